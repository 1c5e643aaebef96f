//! Twilio's voice: takes text as it comes, speaks it in its own time, tells what was heard. No I/O.

use std::collections::VecDeque;

use offhook_twilio::relay::{Outbound, Text};

/// From text to its first sound.
const BEGINS_AFTER_MS: u64 = 340;
/// A voice speaks some 15 characters a second.
const CHARACTER_MS: u64 = 66;
/// Tone and pause of a key.
const KEY_MS: u64 = 250;
/// What a played file is taken to last.
const FILE_MS: u64 = 2_000;

/// What is spoken, keyed or played next.
#[derive(Clone, Debug)]
struct Piece {
    text: String,
    length_ms: u64,
    interruptible: bool,
    preemptible: bool,
    /// The utterance's last.
    last: bool,
}

/// What happened in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The voice began.
    Began,
    /// These words were spoken to their end.
    Played(String),
    /// An utterance was spoken to its end.
    Utterance(String),
    /// The voice stopped.
    Stopped,
}

/// The voice.
#[derive(Debug, Default)]
pub(super) struct Speaker {
    queue: VecDeque<Piece>,
    /// How much of the first piece was spoken.
    into_ms: u64,
    /// What was spoken of the utterance.
    spoken: String,
    since_ms: u64,
    sounding: bool,
    begins_at: Option<u64>,
}

impl Speaker {
    pub(super) const fn is_sounding(&self) -> bool {
        self.sounding
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.sounding
    }

    /// What is being spoken may be interrupted by speech.
    pub(super) fn is_interruptible(&self) -> bool {
        self.queue.front().is_none_or(|piece| piece.interruptible)
    }

    /// Takes a message; `usual` is what the TwiML says of interruptions.
    pub(super) fn take(&mut self, message: &Outbound, usual: bool, now_ms: u64) {
        let piece = match message {
            Outbound::Text(Text { token, last, interruptible, preemptible, .. }) => Piece {
                text: token.clone(),
                length_ms: token.chars().count() as u64 * CHARACTER_MS,
                interruptible: interruptible.unwrap_or(usual),
                preemptible: preemptible.unwrap_or(false),
                last: *last,
            },
            Outbound::SendDigits { digits } => Piece {
                text: String::new(),
                length_ms: digits.reveal().len() as u64 * KEY_MS,
                interruptible: false,
                preemptible: false,
                last: true,
            },
            Outbound::Play(play) => Piece {
                text: String::new(),
                length_ms: FILE_MS * u64::from(play.times.unwrap_or(1)),
                interruptible: play.interruptible.unwrap_or(usual),
                preemptible: play.preemptible.unwrap_or(false),
                last: true,
            },
            Outbound::Language { .. }
            | Outbound::End { .. }
            | Outbound::Config { .. }
            | Outbound::Hints { .. } => return,
        };
        if self.queue.back().is_some_and(|before| before.preemptible && before.last) {
            self.queue.clear();
            self.into_ms = 0;
        }
        if self.is_idle() {
            self.begins_at.get_or_insert(now_ms + BEGINS_AFTER_MS);
        }
        self.queue.push_back(piece);
    }

    /// 20 ms.
    pub(super) fn tick(&mut self, now_ms: u64) -> Vec<Heard> {
        let mut heard = Vec::new();
        if self.queue.is_empty() {
            if std::mem::take(&mut self.sounding) {
                heard.push(Heard::Stopped);
            }
            self.begins_at = None;
            return heard;
        }
        if self.begins_at.is_some_and(|at| now_ms < at) {
            return heard;
        }
        let mut step = 20;
        while let Some(first) = self.queue.front() {
            if !self.sounding && first.length_ms > 0 {
                self.sounding = true;
                self.since_ms = now_ms;
                heard.push(Heard::Began);
            }
            let left = first.length_ms.saturating_sub(self.into_ms);
            if left > step {
                self.into_ms += step;
                break;
            }
            step -= left;
            self.into_ms = 0;
            let Some(first) = self.queue.pop_front() else { break };
            self.spoken.push_str(&first.text);
            if !first.text.trim().is_empty() {
                heard.push(Heard::Played(first.text));
            }
            if first.last {
                let whole = std::mem::take(&mut self.spoken);
                if !whole.trim().is_empty() {
                    heard.push(Heard::Utterance(whole.trim().to_owned()));
                }
            }
        }
        heard
    }

    /// The caller interrupts: gives what was heard of the utterance, and for how long. Nothing more is spoken.
    pub(super) fn interrupt(&mut self, now_ms: u64) -> (String, u64) {
        let mut heard = std::mem::take(&mut self.spoken);
        if let Some(first) = self.queue.front() {
            let share = self.into_ms as f64 / first.length_ms.max(1) as f64;
            let count = (first.text.chars().count() as f64 * share) as usize;
            let cut: String = first.text.chars().take(count).collect();
            // Whole words.
            heard.push_str(cut.rsplit_once(' ').map_or("", |(words, _)| words));
        }
        self.queue.clear();
        self.into_ms = 0;
        self.sounding = false;
        self.begins_at = None;
        (heard.trim().to_owned(), now_ms.saturating_sub(self.since_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(token: &str, last: bool) -> Outbound {
        Outbound::Text(Text { token: token.into(), last, ..Text::default() })
    }

    #[test]
    fn text_is_spoken_in_its_time_and_told() {
        let mut speaker = Speaker::default();
        speaker.take(&text("Hello ", false), true, 0);
        speaker.take(&text("there.", true), true, 0);
        let mut told = Vec::new();
        for tick in 0..100 {
            told.extend(speaker.tick(tick * 20).into_iter().map(|heard| (tick * 20, heard)));
        }
        assert_eq!(
            told,
            [
                (340, Heard::Began),
                (720, Heard::Played("Hello ".into())),
                (1_120, Heard::Played("there.".into())),
                (1_120, Heard::Utterance("Hello there.".into())),
                (1_140, Heard::Stopped)
            ]
        );
    }

    #[test]
    fn an_interruption_tells_whole_words_and_leaves_nothing() {
        let mut speaker = Speaker::default();
        speaker.take(&text("Our opening hours are nine to five.", true), true, 0);
        speaker.take(&text("Anything else?", true), true, 0);
        for tick in 0..80 {
            speaker.tick(tick * 20);
        }
        let (heard, _) = speaker.interrupt(1_600);
        assert_eq!(heard, "Our opening hours");
        assert!(speaker.is_idle());
    }
}
