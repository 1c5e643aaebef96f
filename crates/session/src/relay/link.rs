//! ConversationRelay messages in and out.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use offhook_relay_line::{RelayInput, RelayLine, RelayWire};
use offhook_stage_api::tools::HANDOFF;
use offhook_stage_api::{Key, ToolCall};
use offhook_twilio::relay::{Inbound, Info, MOST_BAD_IN_A_ROW, Outbound, Play, RelayDigits, Text, parse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::driver::Outgoing;
use crate::guard::StreamGuard;
use crate::session::{End, Limits, Link, Read};
use crate::socket::Socket;

/// A session's socket.
pub(super) struct RelayLink<S> {
    pub(super) socket: Socket<S>,
    /// Pieces of one utterance that came together go out together.
    text: Option<Text>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> RelayLink<S> {
    pub(super) const fn new(socket: WebSocketStream<S>) -> Self {
        Self { socket: Socket::new(socket), text: None }
    }

    fn write_text(&mut self) {
        if let Some(text) = self.text.take() {
            self.socket.write(Outbound::Text(text).to_json());
        }
    }

    fn send(&mut self, message: &Outbound) {
        self.write_text();
        self.socket.write(message.to_json());
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Outgoing<RelayWire> for RelayLink<S> {
    fn write(&mut self, wire: RelayWire) {
        match wire {
            RelayWire::Text { token, last, interruptible } => {
                if let Some(text) = self.text.as_mut().filter(|text| !text.last) {
                    text.token.push_str(&token);
                    text.last = last;
                } else {
                    self.write_text();
                    // What may interrupt the rest, the TwiML says.
                    let interruptible = (!interruptible).then_some(false);
                    self.text = Some(Text { token, last, interruptible, ..Text::default() });
                }
            }
            RelayWire::Play { source } => {
                let yes = Some(true);
                self.send(&Outbound::Play(Play {
                    source,
                    times: Some(0),
                    preemptible: yes,
                    interruptible: yes,
                }));
            }
            RelayWire::PlayRecording { recording, interruptible } => {
                self.send(&Outbound::Play(Play {
                    source: recording.url.to_string(),
                    times: Some(recording.times),
                    preemptible: None,
                    interruptible: Some(interruptible),
                }));
            }
            RelayWire::Language { tag } => {
                let (tts, transcription) = (Some(tag.clone()), Some(tag));
                self.send(&Outbound::Language { tts, transcription });
            }
            RelayWire::Hints { message } => {
                self.write_text();
                self.socket.write(message);
            }
            RelayWire::Press(digits) => {
                // The line lets only such keys through as Twilio can press.
                if let Some(digits) = RelayDigits::new(digits.reveal()) {
                    self.send(&Outbound::SendDigits { digits });
                }
            }
        }
    }

    fn hang_up(&mut self, handoff: Option<ToolCall>) {
        let handoff = handoff.and_then(|call| match call.arguments.get(HANDOFF) {
            // What an application wants to be handed on goes as it is.
            Some(data) => data.as_str().map(str::to_owned),
            None => serde_json::to_string(&call).ok(),
        });
        self.send(&Outbound::End { handoff });
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<RelayLine> for RelayLink<S> {
    const MOST_BAD_IN_A_ROW: u32 = MOST_BAD_IN_A_ROW;

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        self.socket.poll_recv(context)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.write_text();
        Poll::Ready(ready!(self.socket.poll_flush(context)))
    }

    fn guard() -> StreamGuard {
        StreamGuard::of_text()
    }

    fn read(text: &str, limits: &mut Limits, take: impl FnOnce(RelayInput<'_>)) -> Read {
        let counts = &mut limits.counts;
        let message = match parse(text) {
            Ok(message) => message,
            Err(error) => return Read::Bad(error.to_string()),
        };
        let why;
        take(match &message {
            Inbound::Prompt { text, lang, last } => {
                counts.prompts += u32::from(*last);
                RelayInput::Prompt { text, lang: Some(&**lang).filter(|lang| !lang.is_empty()), last: *last }
            }
            Inbound::Dtmf { digit } => match Key::new(*digit) {
                Some(key) => RelayInput::Dtmf(key),
                None => return Read::Bad("a digit that no keypad has".to_owned()),
            },
            Inbound::Interrupt { heard, after } => {
                counts.interrupts += 1;
                // Whole milliseconds, as on tape.
                let whole = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                RelayInput::Interrupt { heard, after: after.map(whole).map(Duration::from_millis) }
            }
            Inbound::Info(Info::AgentSpeaking(speaking)) => RelayInput::AgentSpeaking(*speaking),
            Inbound::Info(Info::CallerSpeaking(speaking)) => RelayInput::CallerSpeaking(*speaking),
            Inbound::Info(Info::TokensPlayed(text)) => RelayInput::Played(text),
            Inbound::Info(Info::Other(_)) => return Read::Ignored,
            Inbound::Error { description } => {
                why = without_quotation(description);
                RelayInput::Refused(&why)
            }
            Inbound::Setup(_) => return Read::Bad("a second `setup`; a session has one".to_owned()),
            Inbound::Unknown { .. } => {
                counts.unknown += 1;
                return Read::Ignored;
            }
        });
        Read::Taken
    }

    fn closed(frame: Option<CloseFrame>) -> End {
        match frame {
            // Twilio closes so when the caller has hung up.
            Some(frame) if frame.code == CloseCode::Normal => End::Stopped,
            Some(frame) => End::Broken(format!("closed with code {}", frame.code)),
            None => End::Broken("closed without a word".to_owned()),
        }
    }
}

/// An error's words without the message that it quotes: it may hold what was said.
fn without_quotation(description: &str) -> String {
    let words = description.split(['{', '"']).next().unwrap_or("").trim_end_matches([',', ' ', ':']);
    let words: String = words.chars().take(160).collect();
    let code = words
        .split(|c: char| !c.is_ascii_digit())
        .find_map(|code| code.parse().ok().filter(|code| *code > 10_000));
    match code.and_then(offhook_twilio::errors::lookup) {
        Some(error) => format!("{words} ({}; {})", error.meaning, error.fix),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::without_quotation;

    #[test]
    fn an_error_is_told_without_what_was_said() {
        let prefix = without_quotation(
            "Invalid message received, code: 64107, {\"type\":\"text\",\"token\":\"your PIN is 4711\"}",
        );
        assert!(
            prefix.starts_with("Invalid message received, code: 64107 (a message to ConversationRelay"),
            "{prefix}"
        );
        assert!(!prefix.contains("4711"), "{prefix}");
        assert_eq!(without_quotation("odd"), "odd");
    }
}
