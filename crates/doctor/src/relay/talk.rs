//! The session's loop: what Twilio sends, and what the server answers, each within its time.

use futures_util::{SinkExt, StreamExt};
use offhook_simulator::relay_messages::{Who, interrupt, prompt, refused, setup};
use offhook_twilio::relay::{MOST_BAD_IN_A_ROW, Outbound, Text, parse_outbound};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Seen;
use super::judge::message_cause;
use crate::call::{Parties, ended};
use crate::document::Relay;
use crate::limits::{Limits, millis};
use crate::upgrade::Socket;

/// What the caller asks, and asks again while the answer is spoken.
const QUESTIONS: [&str; 2] = ["I'd like to order a pizza.", "Sorry, a large one, please."];

/// Makes the session.
pub(crate) async fn talk(socket: Socket, parties: &Parties, relay: &Relay, limits: &Limits) -> Seen {
    let mut session = Session {
        socket,
        seen: Seen::default(),
        began: Instant::now(),
        bad_in_a_row: 0,
        over: false,
        limits: *limits,
    };
    let who = Who {
        account: &parties.account,
        call: &parties.call,
        session: &parties.session(),
        from: "+14155550100",
        to: "+14155550101",
        again: false,
    };
    session.send(setup(&who, &relay.parameters)).await;
    let first = session.listen(0, session.limits.greeting).await;
    session.seen.first_words_ms = first;
    for (index, question) in QUESTIONS.iter().enumerate() {
        if session.over {
            break;
        }
        if index > 0 {
            session.send(interrupt("Sure", 460)).await;
        }
        session.send(prompt(question, &relay.language, true)).await;
        let answer = session.listen(index + 1, session.limits.answer).await;
        if !session.over || answer.is_some() {
            session.seen.answers_ms.push(answer);
        }
        if answer.is_none() {
            break;
        }
    }
    session.farewell().await;
    session.seen
}

struct Session {
    socket: Socket,
    seen: Seen,
    began: Instant,
    bad_in_a_row: u32,
    /// Nothing more is to be expected.
    over: bool,
    limits: Limits,
}

/// What a message does for the answer that is waited for.
enum Got {
    /// Words, or something else that the caller hears.
    Words { last: bool },
    /// The end of an answer, without words.
    End,
    /// Nothing that is heard.
    Other,
}

impl Session {
    async fn send(&mut self, text: String) {
        if self.socket.send(Message::Text(text.into())).await.is_err() {
            // What it is will be seen when reading.
            tracing::debug!("the server takes no more");
        }
    }

    /// Waits for an answer to its end; gives how long its first words took.
    async fn listen(&mut self, which: usize, within: std::time::Duration) -> Option<u64> {
        let asked = Instant::now();
        let (mut until, mut first) = (asked + within, None);
        while !self.over {
            let Ok(message) = tokio::time::timeout_at(until, self.socket.next()).await else {
                if first.is_some() {
                    self.seen.unfinished.push(which);
                }
                return first;
            };
            let text = match message {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Binary(octets))) => {
                    let what = format!("a binary frame of {} bytes", octets.len());
                    self.bad(&crate::causes::RELAY_NOT_JSON, what, "").await;
                    continue;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                other => {
                    self.seen.ended = ended(other, millis(self.began.elapsed()));
                    self.over = true;
                    break;
                }
            };
            match self.take(&text).await {
                Got::Words { last } => {
                    first.get_or_insert_with(|| millis(asked.elapsed()));
                    if last {
                        return first;
                    }
                    until = Instant::now() + self.limits.rest;
                }
                // An answer without a word is none that the caller hears.
                Got::End if first.is_some() => return first,
                Got::End | Got::Other => {}
            }
        }
        first
    }

    async fn take(&mut self, text: &str) -> Got {
        match parse_outbound(text) {
            Ok(message) => {
                self.bad_in_a_row = 0;
                match message {
                    // An empty token tells that nothing more comes, and is no words.
                    Outbound::Text(Text { token, last, .. }) if !token.trim().is_empty() => {
                        Got::Words { last }
                    }
                    Outbound::Text(Text { last: true, .. }) => Got::End,
                    Outbound::Play(_) => Got::Words { last: true },
                    Outbound::End { .. } => {
                        self.seen.handed_over = true;
                        self.over = true;
                        Got::Other
                    }
                    Outbound::Text(_)
                    | Outbound::SendDigits { .. }
                    | Outbound::Language { .. }
                    | Outbound::Config { .. }
                    | Outbound::Hints { .. } => Got::Other,
                }
            }
            Err(error) => {
                let cause = message_cause(text);
                self.bad(cause, error.why, text).await;
                // Twilio may speak it all the same.
                if cause == &crate::causes::RELAY_EXTRA {
                    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
                    let last = value.get("last").and_then(serde_json::Value::as_bool).unwrap_or(false);
                    return Got::Words { last };
                }
                Got::Other
            }
        }
    }

    async fn bad(&mut self, cause: &'static crate::causes::Cause, what: String, text: &str) {
        if self.seen.wrong.iter().all(|(known, _)| *known != cause) {
            self.seen.wrong.push((cause, what));
        }
        self.bad_in_a_row += 1;
        if self.bad_in_a_row >= MOST_BAD_IN_A_ROW {
            self.seen.too_many_wrong = true;
            self.over = true;
        } else {
            self.send(refused(text)).await;
        }
    }

    async fn farewell(&mut self) {
        if self.seen.ended.is_some() {
            return;
        }
        let farewell = CloseFrame { code: CloseCode::Normal, reason: "Closing websocket session".into() };
        let closing = async {
            if self.socket.send(Message::Close(Some(farewell))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        self.seen.closed_after_end = Some(tokio::time::timeout(self.limits.close, closing).await.is_ok());
    }
}
