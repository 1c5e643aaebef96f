//! Both sides' sound, as the parties heard it, put together from a tape.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_tape::{Line, WireInput, WireOutput};

/// Octets of a second.
const RATE: u64 = 8_000;
/// A time line isn't made longer than this by one odd timestamp: 4 h.
const LONGEST: u64 = 4 * 3_600 * RATE;

/// Both sides, μ-law, from the stream's start on.
#[derive(Clone, Debug, Default)]
pub(super) struct Sound {
    pub(super) caller: Vec<u8>,
    pub(super) agent: Vec<u8>,
    /// Twilio's timestamp, and our clock in octets, of the first frame.
    first: Option<(u64, u64)>,
}

impl Sound {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut sound = Self::default();
        for line in lines {
            let at = line.t.saturating_mul(RATE) / 1_000_000;
            match (&line.input, &line.output) {
                (Some(WireInput::Media { ts, mulaw }), _) => sound.hear(at, *ts, mulaw),
                (_, Some(WireOutput::Media(mulaw))) => {
                    if let Ok(octets) = STANDARD.decode(mulaw) {
                        sound.play(at, &octets);
                    }
                }
                (_, Some(WireOutput::Hidden)) => sound.play(at, &[0xFF; 160]),
                // What wasn't played yet never will be.
                (_, Some(WireOutput::Clear)) => sound.agent.truncate(at as usize),
                _ => {}
            }
        }
        sound
    }

    /// A frame lies where Twilio's timestamp says; it arrives when it is over.
    fn hear(&mut self, at: u64, ts: Option<u64>, mulaw: &str) {
        let Ok(octets) = STANDARD.decode(mulaw) else { return };
        let length = octets.len() as u64;
        let from = match (ts, self.first) {
            (Some(ts), Some((first, clock))) => clock + ts.saturating_sub(first) * RATE / 1_000,
            (Some(ts), None) => {
                let clock = at.saturating_sub(length);
                self.first = Some((ts, clock));
                clock
            }
            (None, _) => self.caller.len() as u64,
        };
        put(&mut self.caller, from, &octets);
    }

    /// Twilio plays what it has, one after the other.
    fn play(&mut self, at: u64, octets: &[u8]) {
        let from = at.max(self.agent.len() as u64);
        put(&mut self.agent, from, octets);
    }
}

fn put(line: &mut Vec<u8>, from: u64, octets: &[u8]) {
    let until = from + octets.len() as u64;
    if until > LONGEST {
        return;
    }
    let (from, until) = (from as usize, until as usize);
    if line.len() < until {
        line.resize(until, 0xFF);
    }
    line[from..until].copy_from_slice(octets);
}
