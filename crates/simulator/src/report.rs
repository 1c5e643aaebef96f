//! What a call showed.

use offhook_audio::Dbov;
use serde::Serialize;

use crate::playout::Gap;

/// A run of the agent's voice as the far party heard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Talkspurt {
    /// Its first sound, milliseconds of the stream.
    pub from_ms: u64,
    /// Its last.
    pub until_ms: u64,
}

/// A line of the caller, and how the agent took it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reply {
    /// The line's words.
    pub said: String,
    /// It began while the agent spoke.
    pub barge_in: bool,
    /// Its first sound.
    pub from_ms: u64,
    /// The end of its speech.
    pub until_ms: u64,
    /// From the end of the speech to the agent's first sound after it; `None` if the agent said nothing.
    pub response_ms: Option<u64>,
    /// For a barge-in: from its onset to the agent's last sound.
    pub stopped_ms: Option<u64>,
}

/// Something that the agent said in a call of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spoken {
    /// When it was said, milliseconds of the call.
    pub at_ms: u64,
    /// What was heard of it.
    pub text: String,
    /// The caller interrupted it.
    pub interrupted: bool,
}

/// What a call showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CallReport {
    /// The call's id.
    pub call_sid: String,
    /// The stream's id.
    pub stream_sid: String,
    /// The stream's URL.
    pub stream_url: String,
    /// What Twilio would have said, in its own numbers and in words.
    pub findings: Vec<String>,
    /// How long the webhook took to answer.
    pub webhook_ms: u64,
    /// How long the WebSocket's handshake took.
    pub handshake_ms: u64,
    /// From `start` to the agent's first sound.
    pub first_sound_ms: Option<u64>,
    /// How long the stream lasted.
    pub length_ms: u64,
    /// Who ended it.
    pub ended_by: String,
    /// What the TwiML said to do after the stream.
    pub after: Vec<String>,
    /// The caller's lines.
    pub replies: Vec<Reply>,
    /// When the agent spoke.
    pub agent: Vec<Talkspurt>,
    /// What it said, where the call is one of text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spoken: Vec<Spoken>,
    /// How often a call of text was connected.
    #[serde(skip_serializing_if = "is_zero")]
    pub sessions: u32,
    /// Holes in the agent's speech.
    pub gaps: Vec<Gap>,
    /// Messages from the server.
    pub media_messages: u64,
    /// Marks from the server.
    pub marks: u64,
    /// Clears from the server.
    pub clears: u64,
    /// Level of the agent's voice while it spoke.
    pub agent_level_dbov: Option<f32>,
    /// Samples of the agent at full scale.
    pub clipped_samples: u64,
    /// How late the simulator's own frames left, at the worst: if this is large, it was the slow one.
    pub own_lateness_ms: u64,
    /// Every message of the stream: milliseconds since its start, `twilio` or `server`, and the text.
    #[serde(skip)]
    pub messages: Vec<(u64, &'static str, String)>,
    /// What the caller said, μ-law, on the stream's clock.
    #[serde(skip)]
    pub caller_sound: Vec<u8>,
    /// What the caller heard, μ-law, on the same clock.
    #[serde(skip)]
    pub agent_sound: Vec<u8>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Sound above this is a voice.
pub(crate) const VOICE: Dbov = Dbov(-50.0);
/// Pauses up to this belong to the talkspurt.
const PAUSE_MS: u64 = 400;

/// Whether a frame of μ-law octets, 160 at most, is loud enough to be a voice.
#[must_use]
pub fn has_voice(octets: &[u8]) -> bool {
    let mut samples = [0; 160];
    offhook_mulaw::decode_slice(octets, &mut samples);
    Dbov::of(samples.get(..octets.len().min(160)).unwrap_or(&[])) > VOICE
}

impl CallReport {
    /// Works out what follows from the recordings.
    pub(crate) fn conclude(&mut self) {
        self.agent = talkspurts(&self.agent_sound);
        self.first_sound_ms = self.agent.first().map(|spurt| spurt.from_ms);
        for reply in &mut self.replies {
            let next = self.agent.iter().find(|spurt| spurt.from_ms >= reply.until_ms.saturating_sub(20));
            // An echo answers while the line is still being said.
            let during = |spurt: &&Talkspurt| (reply.from_ms + 1..reply.until_ms).contains(&spurt.from_ms);
            let at_once = self.agent.iter().find(during).map(|_| 0);
            reply.response_ms =
                at_once.or_else(|| next.map(|spurt| spurt.from_ms.saturating_sub(reply.until_ms)));
            let over = self
                .agent
                .iter()
                .find(|spurt| spurt.from_ms < reply.from_ms && spurt.until_ms > reply.from_ms);
            reply.barge_in = over.is_some();
            reply.stopped_ms = over.map(|spurt| spurt.until_ms - reply.from_ms);
        }
        let mut samples = vec![0; self.agent_sound.len()];
        offhook_mulaw::decode_slice(&self.agent_sound, &mut samples);
        self.clipped_samples = samples.iter().filter(|sample| sample.unsigned_abs() >= 32_124).count() as u64;
        let loud: Vec<i16> =
            samples.chunks(160).filter(|frame| Dbov::of(frame) > Dbov(-45.0)).flatten().copied().collect();
        self.agent_level_dbov = (!loud.is_empty()).then(|| Dbov::of(&loud).0);
    }
}

fn talkspurts(sound: &[u8]) -> Vec<Talkspurt> {
    let mut spurts: Vec<Talkspurt> = Vec::new();
    for (index, frame) in sound.chunks(160).enumerate() {
        if !has_voice(frame) {
            continue;
        }
        let (from_ms, until_ms) = (index as u64 * 20, index as u64 * 20 + 20);
        match spurts.last_mut() {
            Some(last) if from_ms <= last.until_ms + PAUSE_MS => last.until_ms = until_ms,
            _ => spurts.push(Talkspurt { from_ms, until_ms }),
        }
    }
    spurts
}
