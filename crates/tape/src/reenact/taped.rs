//! What the stages of a taped call said, and how long each took: the parts that are played again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use offhook_stage_api::id::{ReplyId, SegmentId, UtteranceId};
use offhook_stage_api::{LlmEvent, ReplyReason, SpeakRequest, TtsEvent};

use crate::input::WireInput;
use crate::output::{WireLlm, WireOutput, WireVoice};
use crate::wire::Line;

/// A reply as the model gave it: its events, each so many microseconds after the request.
pub(super) type Reply = Vec<(u64, LlmEvent)>;

/// A segment's sound: its events, each so many microseconds after the request.
pub(super) type Sound = Vec<(u64, TtsEvent)>;

/// What a voice was asked to say: the text, and its language.
type Said = (String, Option<Arc<str>>);

/// The parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    /// Replies to the caller that were spoken, in order.
    pub(super) replies: VecDeque<Reply>,
    /// The reply to the beginning of the call.
    pub(super) greeting: Option<Reply>,
    sounds: BTreeMap<Said, Sound>,
}

impl Parts {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut asked: BTreeMap<ReplyId, (u64, bool, Reply)> = BTreeMap::new();
        let mut committed: Vec<ReplyId> = Vec::new();
        let mut speak: BTreeMap<(UtteranceId, SegmentId), (u64, Said, Sound)> = BTreeMap::new();
        for line in lines {
            match (&line.input, &line.output) {
                (_, Some(WireOutput::Llm(WireLlm::Respond(request)))) => {
                    let greets = request.reason == ReplyReason::Greeting;
                    asked.insert(request.reply, (line.t, greets, Reply::new()));
                }
                (_, Some(WireOutput::Llm(WireLlm::Commit(reply)))) => committed.push(*reply),
                (_, Some(WireOutput::Tts(WireVoice::Speak(request)))) => {
                    let of = (request.utterance, request.segment);
                    speak.insert(of, (line.t, said(request), Sound::new()));
                }
                (Some(WireInput::Llm(event)), _) => {
                    if let Some((since, _, reply)) = asked.get_mut(&event.reply()) {
                        reply.push((line.t.saturating_sub(*since), event.clone()));
                    }
                }
                (Some(WireInput::Tts(event)), _) => {
                    if let Some(event) = event.to_event()
                        && let Some((since, _, sound)) = speak.get_mut(&event.of())
                    {
                        sound.push((line.t.saturating_sub(*since), event));
                    }
                }
                _ => {}
            }
        }
        let mut parts = Self::default();
        for reply in committed {
            match asked.remove(&reply) {
                Some((_, true, events)) => parts.greeting = Some(events),
                Some((_, false, events)) => parts.replies.push_back(events),
                None => {}
            }
        }
        for (_, said, sound) in speak.into_values() {
            // A segment that was cut off by a cancel is no whole one.
            let whole = sound.iter().any(|(_, event)| matches!(event, TtsEvent::Done { .. }));
            if whole || !parts.sounds.contains_key(&said) {
                parts.sounds.insert(said, sound);
            }
        }
        parts
    }

    /// The taped sound of a text in its language.
    pub(super) fn sound(&self, request: &SpeakRequest) -> Option<&Sound> {
        self.sounds.get(&said(request))
    }
}

fn said(request: &SpeakRequest) -> Said {
    let text = request.recording.as_ref().map_or(&*request.text, |recording| &*recording.source);
    (text.to_owned(), request.language.clone())
}

/// The same event of another reply.
pub(super) fn for_reply(event: &LlmEvent, to: ReplyId) -> LlmEvent {
    let mut event = event.clone();
    match &mut event {
        LlmEvent::Text { reply, .. }
        | LlmEvent::Play { reply, .. }
        | LlmEvent::Language { reply, .. }
        | LlmEvent::Silent { reply }
        | LlmEvent::Expect { reply, .. }
        | LlmEvent::Tool { reply, .. }
        | LlmEvent::Interruptible { reply, .. }
        | LlmEvent::Done { reply }
        | LlmEvent::Failed { reply, .. } => *reply = to,
        LlmEvent::Initiative { .. } => {}
    }
    event
}

/// The same event of another segment.
pub(super) fn for_segment(event: &TtsEvent, to: (UtteranceId, SegmentId)) -> TtsEvent {
    let mut event = event.clone();
    match &mut event {
        TtsEvent::Audio { utterance, segment, .. }
        | TtsEvent::Words { utterance, segment, .. }
        | TtsEvent::Done { utterance, segment }
        | TtsEvent::Failed { utterance, segment, .. } => (*utterance, *segment) = to,
    }
    event
}

#[cfg(test)]
mod tests {
    use offhook_stage_api::AudioChunk;

    use super::*;
    use crate::tts::WireTts;

    #[test]
    fn sound_is_found_by_its_text_and_its_language() {
        let request = |segment, language: Option<&str>| SpeakRequest {
            utterance: UtteranceId(1),
            segment: SegmentId(segment),
            text: "No.".into(),
            last: true,
            language: language.map(Into::into),
            recording: None,
        };
        let line = |input, output| Line { t: 0, input, output };
        let mut lines = Vec::new();
        for (segment, language) in [(0, None), (1, Some("es-ES"))] {
            let of = (UtteranceId(1), SegmentId(segment));
            let chunk = AudioChunk::Mulaw(vec![0; 160 * (segment as usize + 1)].into());
            let audio = TtsEvent::Audio { utterance: of.0, segment: of.1, chunk };
            let speak = WireVoice::Speak(request(segment, language));
            lines.push(line(None, Some(WireOutput::Tts(speak))));
            lines.push(line(Some(WireInput::Tts(WireTts::of(&audio))), None));
            let done = TtsEvent::Done { utterance: of.0, segment: of.1 };
            lines.push(line(Some(WireInput::Tts(WireTts::of(&done))), None));
        }
        let parts = Parts::of(&lines);
        let octets = |language| match &parts.sound(&request(7, language))?.first()?.1 {
            TtsEvent::Audio { chunk: AudioChunk::Mulaw(octets), .. } => Some(octets.len()),
            _ => None,
        };
        assert_eq!(
            (octets(None), octets(Some("es-ES")), octets(Some("fr-FR"))),
            (Some(160), Some(320), None)
        );
    }
}
