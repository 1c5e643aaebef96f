//! A line of each event: what comes from outside breaks no line, moves no cursor, and fills no disk; and each line of a call names
//! the call and its agent.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use lru::LruCache;
use offhook_stages::scope::{self, Scope};
use serde_json::{Map, Value};
use tracing_subscriber::fmt::MakeWriter;

use super::Format;

/// Longest line, in octets.
const LONGEST: usize = 8 * 1024;
/// Longest text in a line that would be longer.
const LONGEST_TEXT: usize = 512;
/// The calls whose agents are known; of more, those that were logged last.
const CALLS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8_191);

static AGENTS: LazyLock<Mutex<LruCache<String, Arc<str>>>> =
    LazyLock::new(|| Mutex::new(LruCache::new(CALLS)));

/// Whether calls are traced.
static TRACES: AtomicBool = AtomicBool::new(false);

/// Lines of calls in JSON name the call's trace and span from now on.
pub(crate) fn name_traces() {
    TRACES.store(true, Ordering::Relaxed);
}

/// This agent serves the call: its lines name it from now on.
pub(crate) fn serves(call: &str, agent: &str) {
    AGENTS.lock().unwrap_or_else(PoisonError::into_inner).put(call.to_owned(), agent.into());
}

fn agent_of(call: &str) -> Option<Arc<str>> {
    AGENTS.lock().unwrap_or_else(PoisonError::into_inner).get(call).cloned()
}

/// Makes the lines.
#[derive(Clone)]
pub(super) struct OneLine<W>(pub(super) W, pub(super) Format);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for OneLine<W> {
    type Writer = LineWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter(self.0.make_writer(), self.1)
    }
}

pub(super) struct LineWriter<W>(W, Format);

impl<W: Write> Write for LineWriter<W> {
    /// Is given whole events.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = match self.1 {
            Format::Text => text(event, scope::now()),
            Format::Json => json(event, scope::now()),
        };
        self.0.write_all(&line)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn text(event: &[u8], scope: Option<Scope>) -> Vec<u8> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    let kept = text.get(..LONGEST).unwrap_or(text);
    let mut line = Vec::with_capacity(kept.len() + 8);
    for octet in kept {
        match octet {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            octet => line.push(*octet),
        }
    }
    if kept.len() < text.len() {
        line.extend_from_slice(" …".as_bytes());
    }
    // Whoever logs for a call may not know it.
    if let Some(Scope { call, .. }) = scope.filter(|scope| find(text, scope.call.as_bytes()).is_none()) {
        line.extend_from_slice(format!(" call=\"{call}\"").as_bytes());
    }
    line.push(b'\n');
    line
}

fn json(event: &[u8], scope: Option<Scope>) -> Vec<u8> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    if text.len() > LONGEST {
        return long(text, scope);
    }
    let mut line = text.to_vec();
    // What is in a text stands behind a backslash: these are names of fields.
    let call = match (value(text, b"\"call\":\""), scope) {
        (Some(call), scope) => Some((String::from_utf8_lossy(call).into_owned(), scope)),
        (None, Some(scope)) => {
            add(&mut line, "call", &scope.call);
            Some((scope.call.to_string(), Some(scope)))
        }
        (None, None) => None,
    };
    if let Some((call, _)) = call.as_ref().filter(|_| TRACES.load(Ordering::Relaxed)) {
        add(&mut line, "trace_id", &offhook_telemetry::trace_id(call));
        add(&mut line, "span_id", &offhook_telemetry::span_id(call));
    }
    if let (Some((call, scope)), None) = (call, value(text, b"\"agent\":\""))
        && let Some(agent) = agent(&call, scope)
    {
        add(&mut line, "agent", &agent);
    }
    line.push(b'\n');
    line
}

fn agent(call: &str, scope: Option<Scope>) -> Option<Arc<str>> {
    let of_scope =
        scope.filter(|scope| &*scope.call == call && !scope.agent.is_empty()).map(|scope| scope.agent);
    of_scope.or_else(|| agent_of(call))
}

/// The same, of an event that is too long: its texts are cut short, and it stays JSON.
fn long(text: &[u8], scope: Option<Scope>) -> Vec<u8> {
    let mut event: Map<String, Value> = serde_json::from_slice(text).unwrap_or_default();
    event.retain(|_, value| !matches!(value, Value::Array(_) | Value::Object(_)));
    for value in event.values_mut() {
        if let Value::String(text) = value
            && text.len() > LONGEST_TEXT
        {
            *text = text.chars().take(LONGEST_TEXT).chain(['…']).collect();
        }
    }
    // So many fields no event has; but a line must stay one.
    let cut = serde_json::to_vec(&event).unwrap_or_default();
    let few = if cut.len() > LONGEST { b"{\"message\":\"an event was too long\"}".to_vec() } else { cut };
    json(&few, scope)
}

fn add(line: &mut Vec<u8>, name: &str, value: &str) {
    if line.pop() == Some(b'}') {
        let value = Value::from(value);
        line.extend_from_slice(format!(",\"{name}\":{value}}}").as_bytes());
    }
}

/// What stands behind this, up to the next quotation mark.
fn value<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = text.get(find(text, name)? + name.len()..)?;
    rest.get(..rest.iter().position(|octet| *octet == b'"')?)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len().max(1)).position(|part| part == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Option<Scope> {
        Some(Scope { call: "CA7".into(), agent: "pizza".into() })
    }

    fn parsed(line: &[u8]) -> Value {
        assert!(line.ends_with(b"}\n") && line.len() < LONGEST + 200);
        serde_json::from_slice(line).unwrap()
    }

    #[test]
    fn an_event_is_one_line_of_bounded_length() {
        assert_eq!(text(b"a\nb\r\n", None), b"a\\nb\\r\n");
        let long = text(&[b'x'; 1_000_000], None);
        assert!(long.len() < LONGEST + 10 && long.ends_with("…\n".as_bytes()));
        let event =
            serde_json::json!({"level": "WARN", "message": "é\"".repeat(100_000), "call": "CA1", "n": 7});
        let line = parsed(&json(format!("{event}\n").as_bytes(), None));
        assert_eq!((&line["call"], &line["n"], &line["level"]), (&"CA1".into(), &7.into(), &"WARN".into()));
        assert!(line["message"].as_str().unwrap().ends_with('…'));
    }

    #[test]
    fn each_line_of_a_call_names_it_and_its_agent() {
        let both = |line: Value| (line["call"].clone(), line["agent"].clone());
        let of_stage = parsed(&json(b"{\"message\":\"say \\\"call\\\":\\\"CA9\\\"\"}\n", scope()));
        assert_eq!(both(of_stage), ("CA7".into(), "pizza".into()));
        assert_eq!(both(parsed(&json(b"{\"call\":\"CA7\"}\n", scope()))), ("CA7".into(), "pizza".into()));
        // Twilio asks about a call: no thread works for it.
        serves("CA8", "booking");
        assert_eq!(both(parsed(&json(b"{\"call\":\"CA8\"}\n", None))), ("CA8".into(), "booking".into()));
        assert_eq!(both(parsed(&json(b"{\"call\":\"CA6\"}\n", None))), ("CA6".into(), Value::Null));
        assert_eq!(both(parsed(&json(b"{\"message\":\"ready\"}\n", None))), (Value::Null, Value::Null));
        assert_eq!(text(b"no sound\n", scope()), b"no sound call=\"CA7\"\n");
        assert_eq!(text(b"no sound call=CA7\n", scope()), b"no sound call=CA7\n");
    }
}
