//! Media Streams messages in and out.

use std::task::{Context, Poll, ready};

use offhook_media_line::{MarkName, MediaInput, MediaLine, MediaWire};
use offhook_stage_api::{Key, ToolCall};
use offhook_twilio::StreamSid;
use offhook_twilio::stream::{Inbound, MediaIn, parse, write_clear, write_mark, write_media};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::driver::Outgoing;
use crate::guard::StreamGuard;
use crate::session::{End, Limits, Link, Read};
use crate::socket::Socket;

/// Most frames in one message: 100 ms.
const MOST_OCTETS: usize = 800;
/// Longest payload of one `media` message: 2 s.
const LONGEST_PAYLOAD: usize = 16_000;
/// Payloads up to this, two of Twilio's, are decoded on the stack.
const USUAL_PAYLOAD: usize = 321;

/// A stream's socket.
pub(super) struct MediaLink<S> {
    pub(super) socket: Socket<S>,
    stream: StreamSid,
    /// Consecutive frames that go into one message.
    media: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> MediaLink<S> {
    pub(super) const fn new(socket: WebSocketStream<S>, stream: StreamSid) -> Self {
        Self { socket: Socket::new(socket), stream, media: Vec::new() }
    }

    fn write_media(&mut self) {
        if !self.media.is_empty() {
            // Given away rather than copied: a link that is silent holds nothing.
            let mut text = String::new();
            write_media(&mut text, &self.stream, &self.media);
            self.media.clear();
            self.socket.write(text);
        }
    }

    /// Marks stand where a sentence ends: perhaps it is quiet for a while, and needs no room.
    fn write_mark(&mut self, name: MarkName) {
        self.media = Vec::new();
        let mut text = String::new();
        write_mark(&mut text, &self.stream, &name.to_string());
        self.socket.write(text);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Outgoing<MediaWire> for MediaLink<S> {
    fn write(&mut self, wire: MediaWire) {
        match wire {
            MediaWire::Media(frame) | MediaWire::HiddenMedia(frame) => {
                self.media.extend_from_slice(&frame.0);
                if self.media.len() >= MOST_OCTETS {
                    self.write_media();
                }
            }
            MediaWire::Mark(name) => {
                self.write_media();
                self.write_mark(name);
            }
            MediaWire::Clear => {
                self.write_media();
                let mut text = String::new();
                write_clear(&mut text, &self.stream);
                self.socket.write(text);
            }
        }
    }

    /// Closing lets Twilio go on with the TwiML after `<Connect>`; there is no message for it.
    fn hang_up(&mut self, _handoff: Option<ToolCall>) {
        self.write_media();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<MediaLine> for MediaLink<S> {
    const MOST_BAD_IN_A_ROW: u32 = crate::guard::MOST_BAD_IN_A_ROW;

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        self.socket.poll_recv(context)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.write_media();
        Poll::Ready(ready!(self.socket.poll_flush(context)))
    }

    fn guard() -> StreamGuard {
        StreamGuard::of_sound()
    }

    fn read(text: &str, limits: &mut Limits, take: impl FnOnce(MediaInput<'_>)) -> Read {
        match parse(text) {
            Ok(Inbound::Media(media)) => return read_media(&media, limits, take),
            Ok(Inbound::Mark { name }) => take(MediaInput::Mark(&name)),
            Ok(Inbound::Dtmf { digit }) => match Key::new(digit) {
                Some(key) => take(MediaInput::Dtmf(key)),
                None => return Read::Bad("a digit that no keypad has".to_owned()),
            },
            Ok(Inbound::Stop) => return Read::Stop,
            Ok(Inbound::Start(_)) => return Read::Bad("a second `start`; a stream has one".to_owned()),
            Ok(Inbound::Connected { .. }) => return Read::Ignored,
            Ok(Inbound::Unknown { .. }) => {
                limits.counts.unknown += 1;
                return Read::Ignored;
            }
            Err(error) => return Read::Bad(error.to_string()),
        }
        Read::Taken
    }

    /// Twilio says `stop` before it closes: who closes in another way than in good order is a proxy that restarts, or a break.
    fn closed(frame: Option<CloseFrame>) -> End {
        match frame {
            Some(frame) if frame.code != CloseCode::Normal => {
                End::Broken(format!("closed with {} {}", frame.code, frame.reason))
            }
            _ => End::Stopped,
        }
    }

    fn broken(error: &Error) -> End {
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => End::Broken("closed without a word".to_owned()),
            other => End::Broken(other.to_string()),
        }
    }
}

fn read_media(media: &MediaIn<'_>, limits: &mut Limits, take: impl FnOnce(MediaInput<'_>)) -> Read {
    let (samples, gap, elapsed) = (media.payload.len() / 4 * 3, limits.longest_gap, limits.elapsed);
    if let Err(what) = limits.guard.sound(samples, media.timestamp_ms, gap, elapsed) {
        return Read::TooMuch(what);
    }
    // Twilio's have 160 octets; clearing room for the longest costs more than decoding these.
    let (mut usual, mut longest);
    let octets: &mut [u8] = if media.payload.len() <= USUAL_PAYLOAD * 4 / 3 {
        usual = [0; USUAL_PAYLOAD];
        &mut usual
    } else {
        longest = vec![0; LONGEST_PAYLOAD];
        &mut longest
    };
    match media.decode(octets) {
        Ok(payload) => {
            take(MediaInput::Media { timestamp_ms: media.timestamp_ms, payload });
            Read::Taken
        }
        Err(error) => Read::Bad(error.to_string()),
    }
}
