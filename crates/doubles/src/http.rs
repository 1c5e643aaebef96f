//! Answers over HTTP, streamed piece by piece, and what faults make of them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use crate::fault::{Fault, Struck, mp3, wav_header};
use crate::seen::{End, Ticket};

/// A connection that is to break.
#[derive(Debug, thiserror::Error)]
#[error("the connection breaks, as ordered")]
pub(crate) struct Broken;

pub(crate) type Body = UnsyncBoxBody<Bytes, Broken>;

/// What a piece of an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Event,
    Audio,
    /// Marks the end.
    Last,
}

/// A piece of an answer, and how long after the one before it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) after: Duration,
    pub(crate) role: Role,
    pub(crate) bytes: Bytes,
}

/// An answer with status 200.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) pieces: Vec<Piece>,
    /// What an error looks like inside of the answer.
    pub(crate) error: Bytes,
    /// Samples per second of the sound, for a header.
    pub(crate) rate: u32,
}

impl Reply {
    /// An answer in one piece.
    pub(crate) fn json(value: &serde_json::Value, after: Duration) -> Self {
        let piece = Piece { after, role: Role::Event, bytes: value.to_string().into() };
        Self { content_type: "application/json", pieces: vec![piece], ..Self::default() }
    }

    pub(crate) fn push(&mut self, after: Duration, role: Role, bytes: impl Into<Bytes>) {
        self.pieces.push(Piece { after, role, bytes: bytes.into() });
    }

    /// The response, faults included.
    pub(crate) fn respond(self, struck: Option<&Struck>, ticket: Ticket) -> Response<Body> {
        let page = struck.is_some_and(|struck| struck.fault == Fault::WrongContentType);
        let steps = steps(self.pieces, struck, &self.error, self.rate);
        let mut response = Response::new(stream_body(steps, struck.is_some(), ticket));
        let content_type = if page { "text/html; charset=utf-8" } else { self.content_type };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        insert(response.headers_mut(), self.headers);
        response
    }
}

/// A refusal: an error status and this provider's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl Refusal {
    pub(crate) fn respond(self, ticket: &Ticket) -> Response<Body> {
        ticket.status(self.status);
        ticket.end(End::Refused);
        let mut response = whole(self.status, self.content_type, self.body);
        insert(response.headers_mut(), self.headers);
        response
    }
}

/// A response in one piece.
pub(crate) fn whole(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn insert(headers: &mut hyper::HeaderMap, new: Vec<(&'static str, String)>) {
    for (name, value) in new {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// What is done, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait(Duration),
    Send(Bytes),
    /// The connection breaks.
    Break,
    /// Nothing more comes.
    Stall,
}

/// Makes steps of pieces, with what a fault does to them.
pub(crate) fn steps(pieces: Vec<Piece>, struck: Option<&Struck>, error: &Bytes, rate: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    let last_audio = pieces.iter().rposition(|piece| piece.role == Role::Audio);
    let first_audio = pieces.iter().position(|piece| piece.role == Role::Audio);
    for (index, piece) in pieces.into_iter().enumerate() {
        if !piece.after.is_zero() {
            steps.push(Step::Wait(piece.after));
        }
        let Some(struck) = struck else {
            steps.push(Step::Send(piece.bytes));
            continue;
        };
        let (fault, event) = (&struck.fault, index as u64 + 1);
        let bytes = piece.bytes;
        let half = bytes.len() / 2;
        match fault {
            Fault::Cut | Fault::Stall | Fault::Close { .. } => {
                let end = if *fault == Fault::Stall { Step::Stall } else { Step::Break };
                if struck.before(event) {
                    steps.push(end);
                    return steps;
                }
                if struck.during(event) {
                    steps.extend([Step::Send(bytes.slice(..half)), end]);
                    return steps;
                }
                steps.push(Step::Send(bytes));
                if struck.after(event) {
                    steps.push(end);
                    return steps;
                }
            }
            Fault::ErrorEvent => {
                if struck.before(event) || struck.during(event) {
                    steps.push(Step::Send(error.clone()));
                    return steps;
                }
                steps.push(Step::Send(bytes));
                if struck.after(event) {
                    steps.push(Step::Send(error.clone()));
                    return steps;
                }
            }
            Fault::BrokenJson if struck.this(event) => {
                let mut broken = bytes.slice(..half).to_vec();
                broken.extend(b"\n\n");
                steps.push(Step::Send(broken.into()));
            }
            Fault::Duplicate => {
                steps.push(Step::Send(bytes.clone()));
                if struck.at.is_none() || struck.this(event) {
                    steps.push(Step::Send(bytes));
                }
            }
            Fault::Drip { every } if struck.since(event) => {
                let drops =
                    (0..bytes.len()).flat_map(|at| [Step::Wait(*every), Step::Send(bytes.slice(at..=at))]);
                steps.extend(drops);
            }
            Fault::Split => steps.extend((0..bytes.len()).map(|at| Step::Send(bytes.slice(at..=at)))),
            Fault::NoTerminator if piece.role == Role::Last => {}
            Fault::EmptyAudio if piece.role == Role::Audio => {}
            Fault::Mp3 if piece.role == Role::Audio => steps.push(Step::Send(mp3().into())),
            Fault::WavHeader if first_audio == Some(index) => {
                steps.extend([Step::Send(wav_header(rate).into()), Step::Send(bytes)]);
            }
            Fault::OddBytes if last_audio == Some(index) => {
                steps.extend([Step::Send(bytes), Step::Send(Bytes::from_static(&[0]))]);
            }
            _ => steps.push(Step::Send(bytes)),
        }
    }
    steps
}

fn stream_body(steps: Vec<Step>, faulty: bool, ticket: Ticket) -> Body {
    let end = if faulty { End::Fault } else { End::Complete };
    if steps.is_empty() {
        ticket.end(end);
    }
    let stream = stream::unfold((VecDeque::from(steps), ticket), move |(mut steps, ticket)| async move {
        loop {
            let step = steps.pop_front()?;
            let frame = match step {
                Step::Wait(time) => {
                    tokio::time::sleep(time).await;
                    continue;
                }
                Step::Stall => std::future::pending().await,
                Step::Send(bytes) => Ok(Frame::data(bytes)),
                Step::Break => {
                    // What was sent before must have left, or the break would take it along.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Err(Broken)
                }
            };
            if steps.is_empty() {
                ticket.end(end); // a client need not wait for the end of the body
            }
            return Some((frame, (steps, ticket)));
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Moment;

    fn pieces() -> Vec<Piece> {
        let piece = |text: &'static str, role| Piece { after: Duration::ZERO, role, bytes: text.into() };
        vec![
            piece("data: {a}\n\n", Role::Event),
            piece("data: {b}\n\n", Role::Event),
            piece("data: [DONE]\n\n", Role::Last),
        ]
    }

    fn sent(fault: Fault, at: Option<Moment>) -> (String, Option<Step>) {
        let mut steps =
            steps(pieces(), Some(&Struck { fault, at }), &Bytes::from_static(b"data: {error}\n\n"), 8_000);
        let end = steps.pop_if(|step| matches!(step, Step::Break | Step::Stall));
        let text = steps.iter().filter_map(|step| match step {
            Step::Send(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        });
        (text.collect::<Vec<_>>().concat(), end)
    }

    #[test]
    fn faults_strike_when_they_should() {
        let (text, end) = sent(Fault::Cut, Some(Moment::During(2)));
        assert_eq!((text.as_str(), end), ("data: {a}\n\ndata:", Some(Step::Break)));
        assert_eq!(sent(Fault::Cut, None), (String::new(), Some(Step::Break)));
        assert_eq!(
            sent(Fault::Stall, Some(Moment::After(1))),
            ("data: {a}\n\n".to_owned(), Some(Step::Stall))
        );
        assert_eq!(sent(Fault::NoTerminator, None).0, "data: {a}\n\ndata: {b}\n\n");
        assert_eq!(sent(Fault::ErrorEvent, Some(Moment::After(1))).0, "data: {a}\n\ndata: {error}\n\n");
        assert_eq!(sent(Fault::Duplicate, Some(Moment::Before(2))).0.matches("{b}").count(), 2);
        assert_eq!(sent(Fault::Split, None).0, sent(Fault::Quota, None).0);
    }
}
