//! The caller: says lines when it is their time.

/// When a line is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So many milliseconds after the stream's start.
    At(u64),
    /// When the agent has spoken since the last line, and has been silent for so many milliseconds.
    AfterAgent(u64),
    /// So many milliseconds after the agent began to speak since the last line: over its voice.
    BargeIn(u64),
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// Sound, μ-law.
    Sound(Vec<u8>),
    /// Keys, one every 200 ms, as `dtmf` messages.
    Keys(String),
    /// The line's text, to a server that wants text.
    Words,
}

/// One thing that the caller says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub when: When,
    /// What.
    pub say: Say,
    /// Its words, for people.
    pub text: String,
}

/// The caller's side of a call.
#[derive(Clone, Debug, Default)]
pub struct Script {
    lines: Vec<Line>,
    next: usize,
    /// Octets of the current line that were said.
    said: usize,
    speaking: bool,
    /// The agent was heard since the last line ended.
    heard_agent_at: Option<u64>,
    last_end_ms: u64,
    silent_since_ms: u64,
    /// The agent has been speaking since then, without a pause.
    speaks_since_ms: Option<u64>,
    /// Sound of lines that are words.
    sounds: Vec<(usize, Vec<u8>)>,
}

/// With no answer for so long, the next line is said all the same.
const PATIENCE_MS: u64 = 12_000;
/// An answer to the last line is waited for so long at least.
const UNANSWERED_MS: u64 = 5_000;
/// An agent that speaks so long without a pause doesn't end: it is spoken over, or left.
const ENDLESS_MS: u64 = 20_000;
/// A pause of speech that doesn't end.
const PAUSE_MS: u64 = 1_000;

/// What the caller does in a 20 ms step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Octets to send, up to 160; the rest is silence.
    pub octets: Vec<u8>,
    /// A key to press.
    pub key: Option<char>,
    /// The line that began in this step.
    pub began: Option<usize>,
    /// The line that ended in this step.
    pub ended: Option<usize>,
}

impl Script {
    /// A caller who says these lines, one after the other.
    #[must_use]
    pub fn new(lines: Vec<Line>) -> Self {
        Self { lines, ..Self::default() }
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Gives the sound of a line that is words, μ-law, for a server that wants sound.
    pub fn give_sound(&mut self, line: usize, octets: Vec<u8>) {
        self.sounds.push((line, octets));
    }

    /// The same lines, all of them in sound.
    ///
    /// # Errors
    /// A line that is words, and for which there is no sound.
    pub(crate) fn in_sound(&self) -> Result<Self, &Line> {
        let mut script = self.clone();
        for (index, line) in self.lines.iter().enumerate().filter(|(_, line)| line.say == Say::Words) {
            let (_, octets) = self.sounds.iter().find(|(at, _)| *at == index).ok_or(line)?;
            if let Some(line) = script.lines.get_mut(index) {
                line.say = Say::Sound(octets.clone());
            }
        }
        Ok(script)
    }

    /// The lines that weren't said.
    #[must_use]
    pub(crate) fn remaining(&self) -> Self {
        Self::new(self.lines.get(self.next..).unwrap_or_default().to_vec())
    }

    /// Passes over the lines that were said elsewhere: of a script of those that remained.
    pub(crate) fn forward(&mut self, remained: &Self) {
        let left = remained.lines.len().saturating_sub(remained.next);
        self.next = self.next.max(self.lines.len().saturating_sub(left));
    }

    /// Adds a line behind the others.
    pub(crate) fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// All lines were said.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.next >= self.lines.len()
    }

    /// How long the agent has been silent since the caller's last line, if it spoke since.
    #[must_use]
    pub fn silent_for_ms(&self, now_ms: u64) -> Option<u64> {
        self.heard_agent_at.map(|_| now_ms.saturating_sub(self.silent_since_ms))
    }

    /// All lines were said, and the agent has been silent for `quiet_ms` (longer, if it owes an answer), or speaks without end.
    #[must_use]
    pub fn is_done(&self, now_ms: u64, quiet_ms: u64) -> bool {
        let least = match self.heard_agent_at {
            Some(_) => 0,
            None if self.lines.is_empty() => PATIENCE_MS,
            None => UNANSWERED_MS,
        };
        let silent = now_ms.saturating_sub(self.silent_since_ms) >= quiet_ms.max(least);
        self.is_over() && (silent || self.is_endless(now_ms))
    }

    /// The agent has spoken for so long without a pause that it won't end.
    fn is_endless(&self, now_ms: u64) -> bool {
        self.speaks_since_ms
            .is_some_and(|since| now_ms.saturating_sub(since.max(self.last_end_ms)) >= ENDLESS_MS)
    }

    /// The next 20 ms. `agent_sounds`: the agent's voice was heard in the last 20 ms.
    pub fn step(&mut self, now_ms: u64, agent_sounds: bool) -> Step {
        if !agent_sounds && now_ms.saturating_sub(self.silent_since_ms) >= PAUSE_MS {
            self.speaks_since_ms = None;
        }
        if agent_sounds {
            self.speaks_since_ms.get_or_insert(now_ms);
            self.silent_since_ms = now_ms;
            if !self.speaking {
                self.heard_agent_at.get_or_insert(now_ms);
            }
        }
        let mut step = Step::default();
        let Some(line) = self.lines.get(self.next) else { return step };
        if !self.speaking {
            if !self.is_time(line.when, now_ms) {
                return step;
            }
            self.speaking = true;
            self.said = 0;
            step.began = Some(self.next);
        }
        let over = match &line.say {
            Say::Sound(octets) => {
                let rest = octets.get(self.said..).unwrap_or(&[]);
                step.octets = rest.get(..rest.len().min(160)).unwrap_or(&[]).to_vec();
                self.said += step.octets.len();
                self.said >= octets.len()
            }
            Say::Words => true,
            Say::Keys(keys) => {
                // A key every tenth step.
                step.key = if self.said.is_multiple_of(10) { keys.chars().nth(self.said / 10) } else { None };
                self.said += 1;
                self.said > keys.chars().count().saturating_sub(1) * 10
            }
        };
        if over {
            step.ended = Some(self.next);
            self.speaking = false;
            self.next += 1;
            self.heard_agent_at = None;
            self.last_end_ms = now_ms;
            self.silent_since_ms = now_ms;
        }
        step
    }

    fn is_time(&self, when: When, now_ms: u64) -> bool {
        let waited_long = now_ms.saturating_sub(self.last_end_ms) >= PATIENCE_MS;
        match when {
            When::At(at) => now_ms >= at,
            When::AfterAgent(quiet) => {
                let silent = self.silent_for_ms(now_ms).is_some_and(|silent| silent >= quiet);
                silent || (waited_long && self.heard_agent_at.is_none()) || self.is_endless(now_ms)
            }
            When::BargeIn(after) => {
                self.heard_agent_at.is_some_and(|since| now_ms >= since + after)
                    || (waited_long && self.heard_agent_at.is_none())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(when: When, say: Say) -> Line {
        Line { when, say, text: String::new() }
    }

    #[test]
    fn the_caller_leaves_whatever_the_agent_does() {
        let leaves = |lines: usize, agent: fn(u64) -> bool| {
            let lines = (0..lines).map(|_| line(When::AfterAgent(300), Say::Sound(vec![1; 160])));
            let mut script = Script::new(lines.collect());
            (0..9_000).map(|tick| tick * 20).find(|now| {
                script.step(*now, agent(*now));
                script.is_done(*now, 2_000)
            })
        };
        // One that never speaks; one that never stops; one that greets and never answers; one that answers.
        assert_eq!(leaves(1, |_| false), Some(17_000));
        assert_eq!(leaves(1, |_| true), Some(40_000));
        assert_eq!(leaves(1, |now| now < 1_000), Some(6_280));
        assert_eq!(leaves(1, |now| now < 1_000 || (2_000..3_000).contains(&now)), Some(4_980));
        assert_eq!(leaves(0, |_| false), Some(12_000));
        assert_eq!(leaves(0, |now| now < 1_000), Some(2_980));
    }

    #[test]
    fn words_need_a_sound_where_sound_is_wanted() {
        let mut script = Script::new(vec![line(When::AfterAgent(300), Say::Words)]);
        assert!(script.in_sound().is_err());
        script.give_sound(0, vec![7; 160]);
        assert_eq!(script.in_sound().unwrap().lines()[0].say, Say::Sound(vec![7; 160]));
    }

    #[test]
    fn lines_wait_for_the_agent_and_barge_in() {
        let sound = || Say::Sound(vec![1; 320]);
        let mut script = Script::new(vec![
            line(When::AfterAgent(100), sound()),
            line(When::BargeIn(60), sound()),
            line(When::AfterAgent(100), Say::Keys("12".into())),
        ]);
        let mut told = Vec::new();
        for tick in 0..100u64 {
            let now = tick * 20;
            // The agent speaks 100–300 ms, 600–1 200 ms and 1 400–1 500 ms.
            let agent = matches!(now, 100..=300 | 600..=1_200 | 1_400..=1_500);
            let step = script.step(now, agent);
            told.extend(step.began.map(|line| format!("{now} begins {line}")));
            told.extend(step.key.map(|key| format!("{now} key {key}")));
            told.extend(step.ended.map(|line| format!("{now} ends {line}")));
        }
        assert_eq!(
            told,
            [
                "400 begins 0",
                "420 ends 0",
                "660 begins 1",
                "680 ends 1",
                "1300 begins 2",
                "1300 key 1",
                "1500 key 2",
                "1500 ends 2"
            ]
        );
        assert!(script.is_over());
    }
}
