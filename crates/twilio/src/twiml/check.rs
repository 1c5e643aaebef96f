//! Documents read as Twilio would read them: what it would say, by number and in words.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::report::{Ending, Finding, RelayFound, Step, StreamFound, TwimlReport};
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
    Walk { text, report: &mut report, path: Vec::new(), rooted: false, action: (None, false) }.run();
    report
}

struct Walk<'a> {
    text: &'a str,
    report: &'a mut TwimlReport,
    path: Vec<String>,
    rooted: bool,
    /// Of the `<Connect>` that was read last, and whether it is asked by GET.
    action: (Option<String>, bool),
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
        let by_get = |key: &str| value(key).is_some_and(|method| method.eq_ignore_ascii_case("GET"));
        if parent == Some("Response") {
            let ending = match name {
                "Hangup" => Some(Ending::Over("Hangup")),
                "Reject" => Some(Ending::Over("Reject")),
                "Leave" => Some(Ending::Over("Leave")),
                "Redirect" => Some(Ending::Redirect { url: String::new(), get: by_get("method") }),
                _ => None,
            };
            if self.connected() {
                self.report.then.extend(ending.map(Step::End));
            } else if self.report.ends_before.is_none() {
                self.report.ends_before = ending;
            }
        }
        match (parent, name) {
            (Some("Connect"), "ConversationRelay") => {
                self.check_relay(attributes);
                let (action, action_get) = self.action.clone();
                let url = value("url").unwrap_or_default();
                let attributes = attributes.to_vec();
                let found = RelayFound { url, parameters: Vec::new(), action, action_get, attributes };
                if self.connected() {
                    self.report.then.push(Step::Relay(found));
                } else {
                    (self.report.stream, self.report.relay) = (None, Some(found));
                }
            }
            (Some("Response"), "Connect") => {
                self.action = (value("action"), by_get("method"));
                if !self.connected() {
                    let (action, action_get) = self.action.clone();
                    self.report.stream = Some(StreamFound { action, action_get, ..StreamFound::default() });
                }
            }
            (Some("Connect"), "Stream") => {
                let url = value("url").unwrap_or_default();
                self.check_stream(&url, value("track").as_deref());
                let (action, action_get) = self.action.clone();
                let found = StreamFound {
                    url,
                    parameters: Vec::new(),
                    action,
                    action_get,
                    status_callback: value("statusCallback"),
                    status_callback_get: by_get("statusCallbackMethod"),
                    name: value("name"),
                };
                if self.connected() {
                    self.report.then.push(Step::Stream(found));
                } else {
                    self.report.stream = Some(found);
                }
            }
            (Some("Stream" | "ConversationRelay"), "Parameter") => {
                let (name, text) = (value("name").unwrap_or_default(), value("value").unwrap_or_default());
                if name.chars().count() + text.chars().count() >= 500 {
                    let what = format!("parameter `{name}` has 500 characters or more");
                    self.report.findings.push(Finding::new(12200, what));
                }
                if let Some(parameters) = self.parameters() {
                    parameters.push((name, text));
                }
            }
            _ => {}
        }
    }

    /// Something is connected already: what follows is for later.
    fn connected(&self) -> bool {
        self.report.relay.is_some() || self.report.stream.as_ref().is_some_and(|to| !to.url.is_empty())
    }

    /// Of what was connected last.
    fn parameters(&mut self) -> Option<&mut Vec<(String, String)>> {
        let TwimlReport { then, stream, relay, .. } = &mut *self.report;
        let later = then.iter_mut().rev().find_map(|step| match step {
            Step::Stream(stream) => Some(&mut stream.parameters),
            Step::Relay(relay) => Some(&mut relay.parameters),
            Step::End(_) => None,
        });
        let first = relay.as_mut().map(|relay| &mut relay.parameters);
        later.or(first).or(stream.as_mut().map(|stream| &mut stream.parameters))
    }

    /// The URL of a `<Redirect>` stands in it.
    fn redirect_text(&mut self, text: &str) {
        let inside = matches!(self.path.as_slice(), [root, verb] if root == "Response" && verb == "Redirect");
        // Of several in a row the first is followed.
        let nth = self.report.verbs.iter().filter(|verb| *verb == "Redirect").count();
        let noted = usize::from(matches!(self.report.ends_before, Some(Ending::Redirect { .. })))
            + self
                .report
                .then
                .iter()
                .filter(|step| matches!(step, Step::End(Ending::Redirect { .. })))
                .count();
        if !inside || nth != noted {
            return;
        }
        let ending = match self.report.then.last_mut() {
            Some(Step::End(ending)) => Some(ending),
            Some(_) => None,
            None => self.report.ends_before.as_mut(),
        };
        if let Some(Ending::Redirect { url, .. }) = ending {
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
mod tests;
