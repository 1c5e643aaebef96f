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
}

/// With no answer for so long, the next line is said all the same.
const PATIENCE_MS: u64 = 12_000;

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

    /// The next 20 ms. `agent_sounds`: the agent's voice was heard in the last 20 ms.
    pub fn step(&mut self, now_ms: u64, agent_sounds: bool) -> Step {
        if agent_sounds {
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
                silent || (waited_long && self.heard_agent_at.is_none())
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
