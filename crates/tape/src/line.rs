//! What is on tape of each kind of call: what only its line has.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_conversation::{Call, Transport};
use offhook_media_line::{CallConfig, MediaInput, MediaLine, MediaWire, media_call};
use offhook_relay_line::{RelayInput, RelayLine, RelayWire, relay_call};

use crate::input::{MaskedKey, WireInput, WireRelayInput};
use crate::output::{WireOutput, WireRelayOutput};
use crate::tts::WireTts;

/// A line whose calls go on tape.
pub trait TapedLine: Transport + Sized + 'static {
    /// A call on such a line.
    fn call(config: CallConfig) -> Call<Self>;

    /// An input as it goes on tape.
    fn taped_input(input: &Self::Input<'_>) -> WireInput;

    /// Gives the input that is on tape; `None` if it belongs to another kind of call, or is damaged.
    fn read_input(input: &WireInput, take: &mut dyn FnMut(Self::Input<'_>)) -> Option<()>;

    /// What goes over the wire, as it goes on tape.
    fn taped_output(wire: &Self::Wire) -> WireOutput;

    /// The caller's sound in an input, for recordings: Twilio's timestamp, and μ-law.
    fn sound_in<'a>(input: &'a Self::Input<'_>) -> Option<(Option<u64>, &'a [u8])>;

    /// What goes over the wire of sound, for recordings.
    fn sound_out(wire: &Self::Wire) -> Option<SoundOut<'_>>;
}

/// Sound that goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundOut<'a> {
    /// A frame, μ-law.
    Frame(&'a [u8]),
    /// A frame that nobody is to hear again: the tones of keys.
    Hidden,
    /// What was not played yet is taken back.
    Clear,
}

impl TapedLine for MediaLine {
    fn call(config: CallConfig) -> Call<Self> {
        media_call(config)
    }

    fn taped_input(input: &MediaInput<'_>) -> WireInput {
        match input {
            MediaInput::Media { timestamp_ms, payload } => {
                WireInput::Media { ts: *timestamp_ms, mulaw: STANDARD.encode(payload) }
            }
            MediaInput::Mark(name) => WireInput::Mark((*name).to_owned()),
            MediaInput::Dtmf(key) => WireInput::Key(MaskedKey::of(*key)),
            MediaInput::Stt(event) => WireInput::Stt(event.clone()),
            MediaInput::Tts(event) => WireInput::Tts(WireTts::of(event)),
            MediaInput::TtsEnded(failure) => WireInput::TtsEnded(failure.clone()),
            MediaInput::Lost => WireInput::Lost,
            MediaInput::Back => WireInput::Back,
        }
    }

    fn read_input(input: &WireInput, take: &mut dyn FnMut(MediaInput<'_>)) -> Option<()> {
        take(match input {
            WireInput::Media { ts, mulaw } => {
                let octets = STANDARD.decode(mulaw).ok()?;
                take(MediaInput::Media { timestamp_ms: *ts, payload: &octets });
                return Some(());
            }
            WireInput::Mark(name) => MediaInput::Mark(name),
            WireInput::Key(key) => MediaInput::Dtmf(key.stand_in()?),
            WireInput::Stt(event) => MediaInput::Stt(event.clone()),
            WireInput::Tts(event) => MediaInput::Tts(event.to_event()?),
            WireInput::TtsEnded(failure) => MediaInput::TtsEnded(failure.clone()),
            WireInput::Lost => MediaInput::Lost,
            WireInput::Back => MediaInput::Back,
            _ => return None,
        });
        Some(())
    }

    fn taped_output(wire: &MediaWire) -> WireOutput {
        match wire {
            MediaWire::Media(frame) => WireOutput::Media(STANDARD.encode(frame.0)),
            MediaWire::HiddenMedia(_) => WireOutput::Hidden,
            MediaWire::Mark(name) => WireOutput::Mark(name.to_string()),
            MediaWire::Clear => WireOutput::Clear,
        }
    }

    fn sound_in<'a>(input: &'a MediaInput<'_>) -> Option<(Option<u64>, &'a [u8])> {
        match input {
            MediaInput::Media { timestamp_ms, payload } => Some((*timestamp_ms, payload)),
            _ => None,
        }
    }

    fn sound_out(wire: &MediaWire) -> Option<SoundOut<'_>> {
        match wire {
            MediaWire::Media(frame) => Some(SoundOut::Frame(&frame.0)),
            MediaWire::HiddenMedia(_) => Some(SoundOut::Hidden),
            MediaWire::Clear => Some(SoundOut::Clear),
            MediaWire::Mark(_) => None,
        }
    }
}

impl TapedLine for RelayLine {
    fn call(config: CallConfig) -> Call<Self> {
        relay_call(Arc::clone(&config.conversation))
    }

    fn taped_input(input: &RelayInput<'_>) -> WireInput {
        WireInput::Relay(match input {
            RelayInput::Dtmf(key) => return WireInput::Key(MaskedKey::of(*key)),
            RelayInput::Prompt { text, lang, last } => WireRelayInput::Prompt {
                text: (*text).to_owned(),
                lang: lang.map(str::to_owned),
                last: *last,
            },
            RelayInput::Interrupt { heard, after } => WireRelayInput::Interrupt {
                heard: (*heard).to_owned(),
                after_ms: after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            },
            RelayInput::AgentSpeaking(speaking) => WireRelayInput::AgentSpeaking(*speaking),
            RelayInput::CallerSpeaking(speaking) => WireRelayInput::CallerSpeaking(*speaking),
            RelayInput::Played(text) => WireRelayInput::Played((*text).to_owned()),
            RelayInput::Refused(why) => WireRelayInput::Refused((*why).to_owned()),
            RelayInput::Lost => WireRelayInput::Lost,
            RelayInput::Back => WireRelayInput::Back,
        })
    }

    fn read_input(input: &WireInput, take: &mut dyn FnMut(RelayInput<'_>)) -> Option<()> {
        take(match input {
            WireInput::Key(key) => RelayInput::Dtmf(key.stand_in()?),
            WireInput::Relay(relay) => match relay {
                WireRelayInput::Prompt { text, lang, last } => {
                    RelayInput::Prompt { text, lang: lang.as_deref(), last: *last }
                }
                WireRelayInput::Interrupt { heard, after_ms } => {
                    RelayInput::Interrupt { heard, after: after_ms.map(Duration::from_millis) }
                }
                WireRelayInput::AgentSpeaking(speaking) => RelayInput::AgentSpeaking(*speaking),
                WireRelayInput::CallerSpeaking(speaking) => RelayInput::CallerSpeaking(*speaking),
                WireRelayInput::Played(text) => RelayInput::Played(text),
                WireRelayInput::Refused(why) => RelayInput::Refused(why),
                WireRelayInput::Lost => RelayInput::Lost,
                WireRelayInput::Back => RelayInput::Back,
            },
            _ => return None,
        });
        Some(())
    }

    fn taped_output(wire: &RelayWire) -> WireOutput {
        WireOutput::Relay(match wire {
            RelayWire::Text { token, last, interruptible } => {
                WireRelayOutput::Text { token: token.clone(), last: *last, fixed: !interruptible }
            }
            RelayWire::Play { source } => WireRelayOutput::Play(source.clone()),
            RelayWire::PlayRecording { recording, interruptible } => WireRelayOutput::PlayRecording {
                source: recording.source.to_string(),
                times: recording.times,
                fixed: !interruptible,
            },
            RelayWire::Language { tag } => WireRelayOutput::Language(tag.clone()),
            RelayWire::Hints { message } => WireRelayOutput::Hints(message.clone()),
            RelayWire::Press(digits) => WireRelayOutput::Press(digits.reveal().len()),
        })
    }

    fn sound_in<'a>(_: &'a RelayInput<'_>) -> Option<(Option<u64>, &'a [u8])> {
        None
    }

    fn sound_out(_: &RelayWire) -> Option<SoundOut<'_>> {
        None
    }
}
