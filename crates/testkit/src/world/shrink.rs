//! From a scene that fails to the smallest that still does.

use super::scene::{Does, Ear, Scene, Setup, Step, Take, Work};

/// Every scene that is a little simpler.
fn simpler(scene: &Scene) -> Vec<Scene> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Scene)| {
        let mut other = scene.clone();
        change(&mut other);
        if other != *scene {
            all.push(other);
        }
    };
    with(&|scene| scene.voice.clear());
    with(&|scene| scene.ear.clear());
    with(&|scene| scene.tools.clear());
    with(&|scene| scene.model.clear());
    for at in (0..scene.steps.len()).rev() {
        with(&|scene| {
            scene.steps.remove(at);
        });
        // The others stay where they are in time.
        with(&|scene| {
            let (wait, _) = scene.steps.remove(at);
            if let Some(next) = scene.steps.get_mut(at) {
                next.0 += wait;
            }
        });
    }
    let plain = Setup::default();
    with(&|scene| scene.setup = Setup::default());
    with(&|scene| scene.setup.partials = plain.partials);
    with(&|scene| scene.setup.reply = plain.reply);
    with(&|scene| scene.setup.greeting = plain.greeting);
    with(&|scene| scene.setup.speculate = plain.speculate);
    with(&|scene| (scene.setup.there_ms, scene.setup.back_ms) = (0, 0));
    with(&|scene| scene.setup.there_ms = 0);
    with(&|scene| scene.setup.back_ms = 0);
    with(&|scene| scene.setup.lost_marks = 0);
    with(&|scene| scene.setup.word_times = true);
    with(&|scene| scene.setup.reports = true);
    with(&|scene| scene.setup.character_ms = plain.character_ms);
    for at in 0..scene.model.len() {
        with(&|scene| scene.model[at] = Does::default());
        with(&|scene| scene.model[at].tools = &[]);
        with(&|scene| scene.model[at].interruptible = None);
        with(&|scene| scene.model[at].gap_ms = 0);
        with(&|scene| scene.model[at].first_ms = 60);
        with(&|scene| {
            if scene.model[at].text.len() > 8 {
                scene.model[at].text = "Yes.";
            }
        });
        with(&|scene| scene.model[at].end = Does::default().end);
    }
    for at in 0..scene.voice.len() {
        with(&|scene| scene.voice[at] = Take::default());
        with(&|scene| scene.voice[at].first_ms = 60);
        with(&|scene| scene.voice[at].speed = 1_000);
        with(&|scene| scene.voice[at].end = Take::default().end);
    }
    for at in 0..scene.ear.len() {
        with(&|scene| scene.ear[at] = Ear::default());
        with(&|scene| scene.ear[at].final_ms = 100);
        with(&|scene| scene.ear[at].lost = false);
    }
    for at in 0..scene.tools.len() {
        with(&|scene| scene.tools[at] = Work::default());
    }
    for at in 0..scene.steps.len() {
        with(&|scene| {
            if let (_, Step::Says(text)) = &mut scene.steps[at] {
                *text = "stop";
            }
        });
        for part in [1_000, 100] {
            with(&|scene| scene.steps[at].0 -= scene.steps[at].0 % part);
        }
    }
    all
}

/// The smallest scene found that still fails.
pub fn shrink(scene: Scene, fails: impl Fn(&Scene) -> bool) -> Scene {
    let mut smallest = scene;
    for _ in 0..400 {
        match simpler(&smallest).into_iter().find(&fails) {
            Some(simpler) => smallest = simpler,
            None => break,
        }
    }
    smallest
}
