//! Documents read as Twilio would read them: what it would say, by number and in words.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::report::{Ending, Finding, RelayFound, StreamFound, TwimlReport};
use super::schema::SCHEMA;
use super::values::RELAY_VALUES;

/// Longest document that Twilio takes (error 11750).
const LONGEST: usize = 64 * 1024;

/// Checks an answer to a webhook: status, content type, body.
#[must_use]
pub fn check(status: u16, content_type: Option<&str>, body: &[u8]) -> TwimlReport {
    let mut report = TwimlReport::default();
    if !(200..300).contains(&status) {
        report.findings.push(Finding::new(11200, format!("the webhook answered with status {status}")));
        return report;
    }
    if body.len() > LONGEST {
        report.findings.push(Finding::new(11750, format!("the document has {} bytes", body.len())));
        return report;
    }
    let mime = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    // Plain text is a document if it is one, and is read aloud if not.
    let plain = mime == "text/plain";
    if plain && !body.trim_ascii_start().starts_with(b"<") {
        report.verbs.push("Say".to_owned());
        return report;
    }
    if !plain && !matches!(mime.as_str(), "text/xml" | "application/xml" | "text/html") {
        let found =
            if mime.is_empty() { "no content type".to_owned() } else { format!("content type `{mime}`") };
        report.findings.push(Finding::new(12300, format!("the webhook answered with {found}")));
        return report;
    }
    let Ok(text) = std::str::from_utf8(body) else {
        report.findings.push(Finding::new(12100, "the document is not UTF-8"));
        return report;
    };
    if text.starts_with(|c: char| c.is_whitespace() || c == '\u{feff}') && text.contains("<?xml") {
        report.findings.push(Finding::new(12100, "line 1, column 1: there is something before `<?xml`"));
        return report;
    }
    Walk { text, report: &mut report, path: Vec::new(), rooted: false }.run();
    report
}

struct Walk<'a> {
    text: &'a str,
    report: &'a mut TwimlReport,
    path: Vec<String>,
    rooted: bool,
}

impl Walk<'_> {
    fn run(&mut self) {
        let mut reader = Reader::from_str(self.text);
        loop {
            let before = usize::try_from(reader.buffer_position()).unwrap_or(0);
            match reader.read_event() {
                Err(error) => {
                    let at = usize::try_from(reader.error_position()).unwrap_or(before);
                    let error = error.to_string();
                    let hint = if error.contains("reference") { "; write `&` as `&amp;`" } else { "" };
                    return self.broken(at, &format!("{error}{hint}"));
                }
                Ok(Event::Eof) => break,
                Ok(Event::Start(element)) => {
                    if !self.open(&element, before) {
                        return;
                    }
                }
                Ok(Event::Empty(element)) => {
                    if !self.open(&element, before) {
                        return;
                    }
                    self.path.pop();
                }
                Ok(Event::End(_)) => {
                    self.path.pop();
                }
                Ok(Event::Text(text)) => {
                    if self.path.is_empty() && !text.trim().is_empty() {
                        return self.broken(before, "there is text outside of `<Response>`");
                    }
                    self.redirect_text(&text);
                }
                Ok(Event::GeneralRef(entity)) => {
                    let name = (*entity).to_owned();
                    if !known_entity(&name) {
                        return self.broken(before, &format!("unknown entity `&{name};`"));
                    }
                    if let Ok(text) = quick_xml::escape::unescape(&format!("&{name};")) {
                        self.redirect_text(&text);
                    }
                }
                Ok(Event::CData(text)) => self.redirect_text(&text),
                Ok(_) => {}
            }
        }
        if !self.path.is_empty() {
            let open = self.path.last().cloned().unwrap_or_default();
            return self.broken(self.text.len(), &format!("`<{open}>` is never closed"));
        }
        if !self.rooted {
            self.broken(0, "there is no element in it");
        }
    }

    /// Notes an element and its attributes. False if the document can't be read further.
    fn open(&mut self, element: &BytesStart<'_>, at: usize) -> bool {
        let name = element.name().as_ref().to_owned();
        let mut attributes = Vec::new();
        for attribute in element.attributes() {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(error) => {
                    self.broken(at, &format!("`<{name}>`: {error}"));
                    return false;
                }
            };
            let key = attribute.key.as_ref().to_owned();
            let raw = attribute.value.clone().into_owned();
            match quick_xml::escape::unescape(&raw) {
                Ok(value) => attributes.push((key, value.into_owned())),
                Err(error) => {
                    self.broken(
                        at,
                        &format!("attribute `{key}` of `<{name}>`: {error}; write `&` as `&amp;`"),
                    );
                    return false;
                }
            }
        }
        let parent = self.path.last().cloned();
        match parent.as_deref() {
            None if self.rooted => {
                self.broken(at, "there is a second root element");
                return false;
            }
            None if name != "Response" => {
                self.report
                    .findings
                    .push(Finding::new(12102, format!("the root is `<{name}>`, not `<Response>`")));
                return false;
            }
            None => self.rooted = true,
            Some("Response") => self.report.verbs.push(name.clone()),
            Some(_) => {}
        }
        self.check_schema(parent.as_deref(), &name, &attributes, at);
        self.note(parent.as_deref(), &name, &attributes);
        self.path.push(name);
        true
    }

    fn check_schema(&mut self, parent: Option<&str>, name: &str, attributes: &[(String, String)], at: usize) {
        let entry = |wanted: &str| SCHEMA.iter().find(|(element, ..)| *element == wanted);
        if let Some((parent, _, children)) = parent.and_then(entry)
            && !children.contains(&name)
        {
            let hint = nearest(name, children);
            self.warn(at, &format!("`<{parent}>` has no `<{name}>`{hint}"));
        }
        if let Some((_, known, _)) = entry(name) {
            for (key, _) in attributes {
                if !known.contains(&key.as_str()) {
                    let hint = nearest(key, known);
                    self.warn(at, &format!("`<{name}>` has no attribute `{key}`{hint}"));
                }
            }
        }
    }

    fn note(&mut self, parent: Option<&str>, name: &str, attributes: &[(String, String)]) {
        let value =
            |key: &str| attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        let connected =
            self.report.relay.is_some() || self.report.stream.as_ref().is_some_and(|to| !to.url.is_empty());
        if parent == Some("Response") && !connected && self.report.ends_before.is_none() {
            self.report.ends_before = match name {
                "Hangup" => Some(Ending::Over("Hangup")),
                "Reject" => Some(Ending::Over("Reject")),
                "Leave" => Some(Ending::Over("Leave")),
                "Redirect" => {
                    let get = value("method").is_some_and(|method| method.eq_ignore_ascii_case("GET"));
                    Some(Ending::Redirect { url: String::new(), get })
                }
                _ => None,
            };
        }
        match (parent, name) {
            (Some("Connect"), "ConversationRelay") if self.report.relay.is_none() => {
                self.check_relay(attributes);
                self.report.relay = Some(RelayFound {
                    url: value("url").unwrap_or_default(),
                    parameters: Vec::new(),
                    action: self.report.stream.take().and_then(|connect| connect.action),
                    attributes: attributes.to_vec(),
                });
            }
            (Some("Response"), "Connect") if self.report.stream.is_none() => {
                self.report.stream = Some(StreamFound { action: value("action"), ..StreamFound::default() });
            }
            (Some("Connect"), "Stream") => {
                let url = value("url").unwrap_or_default();
                self.check_stream(&url, value("track").as_deref());
                if let Some(stream) = &mut self.report.stream {
                    stream.url = url;
                    stream.status_callback = value("statusCallback");
                    stream.status_callback_get = value("statusCallbackMethod")
                        .is_some_and(|method| method.eq_ignore_ascii_case("GET"));
                    stream.name = value("name");
                }
            }
            (Some("Stream" | "ConversationRelay"), "Parameter") => {
                let (name, text) = (value("name").unwrap_or_default(), value("value").unwrap_or_default());
                if name.chars().count() + text.chars().count() >= 500 {
                    let what = format!("parameter `{name}` has 500 characters or more");
                    self.report.findings.push(Finding::new(12200, what));
                }
                match (parent, &mut self.report.stream, &mut self.report.relay) {
                    (Some("Stream"), Some(stream), _) => stream.parameters.push((name, text)),
                    (Some("ConversationRelay"), _, Some(relay)) => relay.parameters.push((name, text)),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// The URL of a `<Redirect>` stands in it.
    fn redirect_text(&mut self, text: &str) {
        let inside = matches!(self.path.as_slice(), [root, verb] if root == "Response" && verb == "Redirect");
        // Of several the first is followed.
        let first = self.report.verbs.iter().filter(|verb| *verb == "Redirect").count() == 1;
        if let Some(Ending::Redirect { url, .. }) = &mut self.report.ends_before
            && inside
            && first
        {
            url.push_str(text.trim());
        }
    }

    fn check_relay(&mut self, attributes: &[(String, String)]) {
        let mut say = |code, what: String| self.report.findings.push(Finding::new(code, what));
        let url = attributes.iter().find(|(key, _)| key == "url").map_or("", |(_, url)| url.as_str());
        if !url.starts_with("wss://") || url.len() == 6 {
            say(64101, format!("ConversationRelay's URL must begin with wss://, not `{url}`"));
        }
        for (key, value) in attributes {
            let values = RELAY_VALUES.iter().find(|(name, _)| name == key).map(|(_, values)| values);
            if let Some(values) = values.filter(|values| !values.contains(&value.as_str())) {
                say(64101, format!("`{key}=\"{value}\"`: it may be {}", values.join(", ")));
            }
        }
    }

    fn check_stream(&mut self, url: &str, track: Option<&str>) {
        let mut say = |code, what: String| self.report.findings.push(Finding::new(code, what));
        if let Some(track) = track
            && track != "inbound_track"
        {
            say(31941, format!("`track=\"{track}\"` in `<Connect>`"));
        }
        if url.starts_with("ws://") || url.starts_with("http") {
            say(31922, format!("the stream's URL is `{url}`"));
        } else if url.is_empty() || (url.contains("://") && !url.starts_with("wss://")) {
            say(31923, format!("the stream's URL is `{url}`"));
        } else if url.contains('?') {
            say(31920, format!("the stream's URL has a query string, which Twilio drops: `{url}`"));
        }
    }

    fn broken(&mut self, at: usize, why: &str) {
        let place = self.place(at);
        self.report.findings.push(Finding::new(12100, format!("{place}: {why}")));
    }

    fn warn(&mut self, at: usize, why: &str) {
        let place = self.place(at);
        self.report.findings.push(Finding::new(12200, format!("{place}: {why}")));
    }

    fn place(&self, at: usize) -> String {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("line {line}, column {column}")
    }
}

fn known_entity(name: &str) -> bool {
    matches!(name, "amp" | "lt" | "gt" | "quot" | "apos") || name.starts_with('#')
}

fn nearest(name: &str, known: &[&str]) -> String {
    known
        .iter()
        .map(|right| (strsim::damerau_levenshtein(&name.to_lowercase(), &right.to_lowercase()), right))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, right)| format!("; did you mean `{right}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn xml(body: &str) -> TwimlReport {
        check(200, Some("text/xml"), body.as_bytes())
    }

    fn said(report: &TwimlReport) -> String {
        report.findings.iter().map(|finding| format!("{} {}\n", finding.code, finding.detail)).collect()
    }

    #[test]
    fn a_good_document_is_understood() {
        let report = xml(
            r#"<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="/next"><Stream url="wss://h/x"><Parameter name="a" value="b &amp; c"/></Stream></Connect><Hangup/></Response>"#,
        );
        assert_eq!(said(&report), "");
        let stream = report.stream.unwrap();
        assert_eq!((stream.url.as_str(), stream.action.as_deref()), ("wss://h/x", Some("/next")));
        assert_eq!(stream.parameters, [("a".to_owned(), "b & c".to_owned())]);
        assert_eq!(report.verbs, ["Connect", "Hangup"]);
    }

    #[test]
    fn a_conversation_relay_is_understood() {
        let report = xml(
            r#"<Response><Connect action="https://h/done"><ConversationRelay url="wss://h/relay?a=1" interruptible="any" dtmfDetection="true"><Language code="sv-SE" ttsProvider="Amazon"/><Parameter name="token" value="x"/></ConversationRelay></Connect></Response>"#,
        );
        assert_eq!(said(&report), "");
        assert_eq!(report.stream, None);
        let relay = report.relay.unwrap();
        assert_eq!(
            (relay.url.as_str(), relay.action.as_deref()),
            ("wss://h/relay?a=1", Some("https://h/done"))
        );
        assert_eq!(relay.get("dtmfDetection"), Some("true"));
        assert_eq!(relay.parameters, [("token".to_owned(), "x".to_owned())]);
    }

    #[test]
    fn each_fault_has_its_number() {
        let ok = r#"<Response><Connect><Stream url="wss://h/x""#;
        let cases = [
            check(503, None, b""),
            check(200, Some("application/json"), b"{}"),
            xml("  <?xml version=\"1.0\"?><Response/>"),
            xml("<Response><Say>Tom & Jerry</Say></Response>"),
            xml("<Response>\n  <Redirect>https://h/?a=1&b=2</Redirect></Response>"),
            xml("<Response><Say>x</Response>"),
            xml("<Resp/>"),
            xml(""),
            xml("<Response><connect/></Response>"),
            xml(&format!("{ok} tracks=\"both\"/></Connect></Response>")),
            xml(&format!("{ok} track=\"both_tracks\"/></Connect></Response>")),
            xml("<Response><Connect><Stream url=\"ws://h/x\"/></Connect></Response>"),
            xml("<Response><Connect><Stream url=\"wss://h/x?a=1\"/></Connect></Response>"),
            xml("<Response><Connect><Stream url=\"/x\"/></Connect></Response>"),
            xml(
                "<Response><Connect><ConversationRelay url=\"https://h/x\" deepgramsmartformat=\"true\"/></Connect></Response>",
            ),
            xml(
                "<Response><Connect><ConversationRelay url=\"wss://h/x\" ttsProvider=\"google\" interruptible=\"all\"><Lang/></ConversationRelay></Connect></Response>",
            ),
        ];
        let all: String = cases.iter().map(said).collect();
        insta::assert_snapshot!(all);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(body: Vec<u8>, text in "[<>/&;a-zA-Z\"= ]{0,80}") {
            prop_assert!(check(200, Some("text/xml"), &body).stream.is_none());
            prop_assert!(check(200, Some("text/xml"), text.as_bytes()).stream.is_none());
        }
    }
}
