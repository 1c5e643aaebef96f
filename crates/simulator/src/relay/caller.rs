//! What the caller does: lines said, typed, keyed.

use tokio::sync::mpsc;

use super::{Session, messages};
use crate::place::{CallPlan, Progress, millis};
use crate::report::Reply;
use crate::script::{Line, Say, Script};

/// From the end of speech to its prompt.
const PROMPT_AFTER_MS: u64 = 350;
/// Between partial prompts.
const PARTIAL_EVERY_MS: u64 = 300;
/// From the caller's onset to the interruption.
const INTERRUPTS_AFTER_MS: u64 = 200;
/// A caller speaks as fast as the agent.
const OCTETS_A_CHARACTER: usize = 8 * 66;

/// What a call has over all its sessions.
pub(crate) struct Caller {
    pub(crate) script: Script,
    /// Lines that are typed while the call lasts.
    pub(super) typed: Option<mpsc::Receiver<String>>,
    /// Milliseconds of the call so far.
    pub(crate) now_ms: u64,
    pub(crate) sessions: u32,
    pub(super) drop_at_ms: Option<u64>,
}

impl Caller {
    pub(crate) fn new(plan: &CallPlan, typed: Option<mpsc::Receiver<String>>) -> Self {
        let drop_at_ms = plan.drop_after.map(millis);
        Self { script: Script::default(), typed, now_ms: 0, sessions: 0, drop_at_ms }
    }

    /// Comes to a session at this time, with what of the script wasn't said.
    pub(crate) fn resume(&mut self, script: &Script, now_ms: u64) {
        if self.sessions > 0 && now_ms == self.now_ms {
            return; // from one session to the next, as it is
        }
        // Words last as long as their sound, or as it takes to say them.
        let spoken = |line: &Line| match &line.say {
            Say::Words => {
                let octets = vec![0xFF; line.text.chars().count().max(6) * OCTETS_A_CHARACTER];
                Line { say: Say::Sound(octets), ..line.clone() }
            }
            Say::Sound(_) | Say::Keys(_) => line.clone(),
        };
        self.script = Script::new(script.remaining().lines().iter().map(spoken).collect());
        self.now_ms = now_ms;
    }
}

impl<P: FnMut(Progress)> Session<'_, P> {
    pub(super) fn take_typed(&mut self) {
        use mpsc::error::TryRecvError;
        let Some(typed) = &mut self.caller.typed else { return };
        match typed.try_recv() {
            Ok(line) => {
                let say = Say::Sound(vec![0xFF; 160]);
                let when = crate::script::When::At(self.caller.now_ms);
                self.caller.script.push(Line { when, say, text: line });
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => self.caller.typed = None,
        }
    }

    pub(super) fn begin_line(&mut self, index: usize) {
        let now = self.caller.now_ms;
        let Some(line) = self.caller.script.lines().get(index).cloned() else { return };
        (self.progress)(Progress::CallerSays { at_ms: now, text: line.text.clone() });
        self.report.replies.push(Reply {
            said: line.text.clone(),
            barge_in: false,
            from_ms: now,
            until_ms: now + 20,
            response_ms: None,
            stopped_ms: None,
        });
        if matches!(line.say, Say::Keys(_)) {
            return;
        }
        self.saying = Some((index, now));
        self.tell("speaker-events", "clientSpeaking", "on");
        if !self.speaker.is_idle() && self.may_interrupt("speech") && self.speaker.is_interruptible() {
            self.interrupts_at = Some(now + INTERRUPTS_AFTER_MS);
        }
    }

    pub(super) fn end_line(&mut self) {
        let now = self.caller.now_ms;
        if let Some(reply) = self.report.replies.last_mut() {
            reply.until_ms = now + 20;
        }
        let Some((index, _)) = self.saying.take() else { return };
        // Short words interrupt too.
        if self.interrupts_at.take().is_some() {
            self.interrupt();
        }
        self.tell("speaker-events", "clientSpeaking", "off");
        let text = self.caller.script.lines().get(index).map(|line| line.text.clone()).unwrap_or_default();
        let report = self.found.get("reportInputDuringAgentSpeech").unwrap_or("none");
        let told = self.speaker.is_idle() || matches!(report, "any" | "speech" | "true");
        if told {
            self.prompts.push_back((now + PROMPT_AFTER_MS, text, true));
        }
    }

    /// All words of the line so far, now and then.
    pub(super) fn partial_prompts(&mut self) {
        let Some((index, since)) = self.saying else { return };
        let into = self.caller.now_ms - since;
        let wanted = self.found.get("partialPrompts") == Some("true") && self.speaker.is_idle();
        if !wanted || into == 0 || !into.is_multiple_of(PARTIAL_EVERY_MS) {
            return;
        }
        let Some(line) = self.caller.script.lines().get(index) else { return };
        let Say::Sound(octets) = &line.say else { return };
        let share = into as f64 * 8.0 / octets.len().max(1) as f64;
        let count = (line.text.split_whitespace().count() as f64 * share) as usize;
        let words: Vec<&str> = line.text.split_whitespace().take(count).collect();
        if !words.is_empty() {
            let text = words.join(" ");
            self.prompts.push_back((self.caller.now_ms, text, false));
        }
    }

    pub(super) fn press(&mut self, key: char) {
        if !self.speaker.is_idle() && self.may_interrupt("dtmf") && self.speaker.is_interruptible() {
            self.interrupt();
        }
        if self.found.get("dtmfDetection") == Some("true") {
            self.send(messages::dtmf(key));
        }
    }
}
