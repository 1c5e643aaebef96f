//! Many calls at once from one thread, each as Twilio would stream it; measures what their callers would notice.
//!
//! It must cost less than the server under test, or it measures itself: sound is encoded once for all calls, frames are
//! written by hand, messages are looked at no closer than a measurement needs. It tells its own lateness, so that one
//! knows who was slow.

mod figures;
mod metronome;
mod process;
mod stamp;
mod stream;
mod wire;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_twilio::signature::AuthToken;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use metronome::Metronome;

pub use process::resident;

pub use figures::{Figures, Limits, LoadReport, ServerCost};
pub use stamp::sent_us;

/// What calls to place.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// The webhook's URL, or a stream's (`ws://`, `wss://`), which is opened without asking a webhook.
    pub url: String,
    /// The account's token, to sign with.
    pub auth_token: Option<AuthToken>,
    /// How many at once.
    pub calls: usize,
    /// The time within which they all begin.
    pub ramp: Duration,
    /// How long is measured, from the last one's begin.
    pub window: Duration,
    /// What callers say, again and again: frames of μ-law, speech first, silence after.
    pub sound: Vec<[u8; 160]>,
    /// How many of these frames are speech.
    pub speech: usize,
    /// The server returns each frame: measure the way there and back.
    pub echo: bool,
    /// The server's process on this machine, to measure what it costs.
    pub server: Option<u32>,
    /// Frames leave within microseconds of their time, not with the runtime's next millisecond. Takes all of a core.
    pub punctual: bool,
    /// Each frame bears the time at which it was sent, in microseconds since this moment: see [`sent_us`].
    pub stamps: Option<Instant>,
}

impl LoadPlan {
    /// From the begin of [`load`] to that of the window: a second to settle after the last call's begin.
    #[must_use]
    pub fn until_window(&self) -> Duration {
        self.ramp + Duration::from_secs(1)
    }
}

/// 20 ms frames of many calls must not come all at once, nor those of calls that begin or speak together. Multiples of the
/// golden ratio are spread evenly, and so are any consecutive ones of them.
fn phase(index: usize) -> Duration {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    FRAME.mul_f64((index as f64 * GOLDEN).fract())
}

/// Of a call's frames.
pub(crate) const FRAME: Duration = Duration::from_millis(20);

/// What every call says: base64 of each frame.
pub(crate) struct Said {
    frames: Vec<String>,
    speech: usize,
}

/// When a call's frames leave.
pub(crate) struct Times {
    /// At whole frames' lengths from this.
    pub(crate) grid: Instant,
    /// Punctually, if there is one.
    pub(crate) metronome: Option<Rc<Metronome>>,
}

/// When measuring begins and ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Window {
    fn contains(self, at: Instant) -> bool {
        (self.from..self.until).contains(&at)
    }
}

/// Places the calls, and reports when all are over. Runs on the caller's thread.
pub async fn load(plan: LoadPlan) -> LoadReport {
    let said = Arc::new(Said {
        frames: plan.sound.iter().map(|frame| STANDARD.encode(frame)).collect(),
        speech: plan.speech,
    });
    let began = Instant::now();
    let from = began + plan.until_window();
    let window = Window { from, until: from + plan.window };
    let plan = Arc::new(plan);
    let metronome = plan.punctual.then(Rc::<Metronome>::default);
    let kept = metronome.clone();
    let calls = async {
        let mut running = JoinSet::new();
        for index in 0..plan.calls {
            let share = index as f64 / plan.calls.max(1) as f64;
            let begin = began + plan.ramp.mul_f64(share);
            let (plan, said) = (Arc::clone(&plan), Arc::clone(&said));
            let times = Times { grid: began + phase(index), metronome: kept.clone() };
            running.spawn_local(async move {
                tokio::time::sleep_until(begin).await;
                stream::run(&plan, &said, (index, times), window).await
            });
        }
        let mut report = LoadReport::new(&plan);
        while let Some(call) = running.join_next().await {
            match call {
                Ok(Ok(figures)) => report.add(figures),
                Ok(Err(why)) => report.fail(why),
                Err(error) => report.fail(format!("the simulated call broke: {error}")),
            }
        }
        report
    };
    let cost = process::watch(plan.server, window);
    let local = LocalSet::new();
    if let Some(metronome) = metronome {
        // Ends with the set that it runs in.
        local.spawn_local(async move { metronome.run().await });
    }
    let (mut report, cost) = local.run_until(async { tokio::join!(calls, cost) }).await;
    report.server = cost;
    report.conclude();
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_spread_over_the_20_ms() {
        // All of 500 calls, and any 100 that begin one after the other.
        for calls in [0..500, 0..100, 250..350] {
            let count = calls.len();
            let mut each_ms = [0; 20];
            calls.for_each(|index| each_ms[phase(index).as_millis() as usize] += 1);
            let even = count / 20;
            assert!(each_ms.iter().all(|here| (even - 2..=even + 2).contains(here)), "{each_ms:?}");
        }
    }
}
