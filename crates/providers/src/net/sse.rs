//! Server-sent events (WHATWG HTML, 9.2), as model servers send them: also with `error:` fields, and with ends of stream
//! in place of a last empty line, which parsers by the book lose.

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name, if it has one.
    pub event: Option<String>,
    /// Its data; several lines are joined by line feeds.
    pub data: String,
    /// Not in the standard: the `error` field of some servers.
    pub error: Option<String>,
}

/// A parser of a stream that arrives in pieces, cut anywhere.
#[derive(Debug, Default)]
pub struct Sse {
    /// Octets not yet read as lines.
    rest: Vec<u8>,
    /// The line before ended with a carriage return: a line feed at the beginning belongs to it.
    after_cr: bool,
    open: Event,
    has_data: bool,
    /// A line was read: the mark of the byte order, which may stand before the first, may not stand any more.
    begun: bool,
}

/// U+FEFF; a stream may begin with one.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// A line longer than this is no event of a model.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

impl Sse {
    /// Takes the next octets. What would make a line longer than 4 MiB is dropped.
    pub fn push(&mut self, octets: &[u8]) {
        if self.rest.len() + octets.len() <= LONGEST_LINE {
            self.rest.extend_from_slice(octets);
        }
    }

    /// The next event, if it is complete.
    pub fn next_event(&mut self) -> Option<Event> {
        while let Some(line) = self.line() {
            if !line.is_empty() {
                self.field(&String::from_utf8_lossy(&line));
            } else if let Some(event) = self.take() {
                return Some(event);
            }
        }
        None
    }

    /// The stream has ended: what was open is complete now.
    pub fn finish(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.rest);
        if !line.is_empty() {
            self.field(&String::from_utf8_lossy(&line));
        }
        self.take()
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        if let Some(first) = self.rest.first()
            && std::mem::take(&mut self.after_cr)
            && *first == b'\n'
        {
            self.rest.remove(0);
        }
        let end = memchr::memchr2(b'\n', b'\r', &self.rest)?;
        let tail = self.rest.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.rest, tail);
        self.after_cr = line.pop() == Some(b'\r');
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        Some(line)
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => {
                // An event without an end is cut.
                if self.open.data.len() + value.len() < LONGEST_LINE {
                    if self.has_data {
                        self.open.data.push('\n');
                    }
                    self.open.data.push_str(value);
                }
                self.has_data = true;
            }
            "event" => self.open.event = Some(value.to_owned()),
            "error" => self.open.error = Some(value.to_owned()),
            // Comments (without a name), ids, retry times and whatever comes later.
            _ => {}
        }
    }

    /// The open event, unless there is nothing in it.
    fn take(&mut self) -> Option<Event> {
        self.has_data = false;
        let event = std::mem::take(&mut self.open);
        (!event.data.is_empty() || event.error.is_some()).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = ": ping\n\ndata: {\"a\":\"ü—€\"}\n\nevent: x\r\ndata:1\r\ndata: 2\r\n\r\ndata:\n\nevent: y\rdata: 3\r\r\
                          error: {\"code\":500}\n\ndata: [DONE]";

    fn read(pieces: &[&[u8]]) -> Vec<Event> {
        let mut sse = Sse::default();
        let mut events = Vec::new();
        for piece in pieces {
            sse.push(piece);
            events.extend(std::iter::from_fn(|| sse.next_event()));
        }
        events.extend(sse.finish());
        events
    }

    fn event(name: Option<&str>, data: &str) -> Event {
        Event { event: name.map(str::to_owned), data: data.to_owned(), error: None }
    }

    #[test]
    fn a_line_feed_alone_in_a_piece_ends_no_second_line() {
        let pieces: [&[u8]; 4] = [b"data: 1\r", b"\n", b"\n", b"data: 2\n\n"];
        assert_eq!(read(&pieces), [event(None, "1"), event(None, "2")]);
    }

    #[test]
    fn all_line_ends_comments_and_a_missing_last_line() {
        let error = Event { error: Some("{\"code\":500}".to_owned()), ..Event::default() };
        let expected = [
            event(None, "{\"a\":\"ü—€\"}"),
            event(Some("x"), "1\n2"),
            event(Some("y"), "3"),
            error,
            event(None, "[DONE]"),
        ];
        assert_eq!(read(&[STREAM.as_bytes()]), expected);
    }

    #[test]
    fn a_byte_order_mark_hides_nothing() {
        assert_eq!(read(&[b"\xEF\xBB", b"\xBFdata: 1\n\n"]), [event(None, "1")]);
    }

    #[test]
    fn wherever_it_is_cut_the_events_are_the_same() {
        let whole = read(&[STREAM.as_bytes()]);
        for at in 0..STREAM.len() {
            let (one, two) = STREAM.as_bytes().split_at(at);
            assert_eq!(read(&[one, two]), whole, "cut at {at}");
        }
        let single: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(read(&single), whole);
    }

    proptest! {
        #[test]
        fn noise_is_survived(noise in proptest::collection::vec(any::<u8>(), 0..500), cut in 0usize..500) {
            let cut = cut.min(noise.len());
            prop_assert_eq!(read(&[&noise]), read(&[&noise[..cut], &noise[cut..]]));
        }
    }
}
