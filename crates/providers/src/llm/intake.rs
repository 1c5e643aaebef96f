//! An answer's octets as events: a stream, or the whole answer of a server that doesn't stream.

use offhook_stages::StageError;

use crate::net::sse::{Event, Sse};

/// Longest answer of a server that doesn't stream.
const LONGEST_WHOLE: usize = 1024 * 1024;

/// Takes an answer's octets. What it is shows by its first character: servers are careless with the content type.
#[derive(Debug, Default)]
pub(super) struct Intake {
    kind: Kind,
    sse: Sse,
    whole: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Unknown,
    Stream,
    Whole,
}

impl Intake {
    /// Takes the next octets.
    ///
    /// # Errors
    /// The answer is longer than any.
    pub(super) fn push(&mut self, stage: &str, octets: &[u8]) -> Result<(), StageError> {
        if self.kind == Kind::Unknown {
            self.kind = match octets.iter().find(|octet| !octet.is_ascii_whitespace()) {
                None => Kind::Unknown,
                Some(b'{' | b'[') => Kind::Whole,
                Some(_) => Kind::Stream,
            };
        }
        match self.kind {
            Kind::Unknown => {}
            Kind::Stream => self.sse.push(octets),
            Kind::Whole if self.whole.len() + octets.len() > LONGEST_WHOLE => {
                let what = format!("an answer of more than {LONGEST_WHOLE} octets");
                return Err(StageError::Garbage { stage: stage.to_owned(), what });
            }
            Kind::Whole => self.whole.extend_from_slice(octets),
        }
        Ok(())
    }

    /// The next event, if it is complete.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.sse.next_event()
    }

    /// The answer has ended: what was open is complete now.
    pub(super) fn finish(&mut self) -> Option<Event> {
        if self.kind == Kind::Whole {
            let data = String::from_utf8_lossy(&std::mem::take(&mut self.whole)).into_owned();
            return Some(data).filter(|data| !data.is_empty()).map(|data| Event { data, ..Event::default() });
        }
        self.sse.finish()
    }
}
