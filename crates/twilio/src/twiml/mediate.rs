//! An application's document on its way to Twilio through an engine of one's own: `<ConversationRelay>` is taken out, for the engine
//! serves it, and a `<Stream>` to the engine takes its place. Everything else stays as it is, with whole addresses.

use quick_xml::events::{BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};

use super::build::{Connect, Verb, write_verb};

/// Longest document taken, as with Twilio (error 11750).
const LONGEST: usize = 64 * 1024;
/// Attributes that hold addresses which Twilio asks for what is next.
const FOLLOWED: [&str; 1] = ["action"];
/// Attributes that hold other addresses.
const ADDRESSES: [&str; 8] = [
    "url",
    "statusCallback",
    "recordingStatusCallback",
    "transcribeCallback",
    "partialResultCallback",
    "waitUrl",
    "referUrl",
    "fallbackUrl",
];

/// Names and values of an element's attributes.
pub type Attributes = Vec<(String, String)>;

/// An application's `<ConversationRelay>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayAsked {
    /// Where its server is.
    pub url: String,
    /// What is asked when its session has ended, as a whole address.
    pub action: Option<String>,
    /// Its attributes, with names in lower case: libraries spell them in more than one way.
    pub attributes: Attributes,
    /// Its `<Language>`s, likewise.
    pub languages: Vec<Attributes>,
    /// Its `<Parameter>`s.
    pub parameters: Attributes,
}

impl RelayAsked {
    /// An attribute, by its name in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        value(&self.attributes, name)
    }

    /// A boolean attribute.
    #[must_use]
    pub fn is(&self, name: &str) -> Option<bool> {
        match self.get(name)?.trim().to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

/// The value of a name.
#[must_use]
pub fn value<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mediated {
    /// The document for Twilio.
    pub xml: String,
    /// What the engine serves.
    pub relay: Option<RelayAsked>,
}

/// Reads an application's document, which came from `base`, and writes it anew for Twilio. `connect` takes the place of its first
/// `<Connect><ConversationRelay>`; `follow` gives the address that Twilio is to ask in the place of one of the application's.
///
/// # Errors
/// In words, if the document can't be read.
pub fn mediate(
    document: &str,
    base: &str,
    connect: &Connect,
    follow: impl Fn(&str) -> String,
) -> Result<Mediated, String> {
    if document.len() > LONGEST {
        return Err(format!("the document has {} bytes, and Twilio takes {LONGEST}", document.len()));
    }
    let mut reader = Reader::from_str(document);
    let mut writer = Writer::new(Vec::new());
    let mut walk = Walk { base, follow, relay: None, action: None, path: Vec::new() };
    // Events of a `<Connect>`, until it is known what it connects to.
    let mut held: Option<Vec<Event<'static>>> = None;
    let mut asked = false;
    loop {
        let event = reader.read_event().map_err(|error| format!("the document is no XML: {error}"))?;
        if matches!(event, Event::Eof) {
            break;
        }
        let is_end = matches!(&event, Event::End(_));
        let had = walk.relay.is_some();
        let event = walk.take(event.into_owned())?;
        asked |= !had && walk.relay.is_some();
        let in_connect = walk.path.get(1).is_some_and(|verb| verb == "Connect");
        match (&mut held, in_connect) {
            (None, true) => held = Some(vec![event]),
            (Some(events), true) => events.push(event),
            (Some(_), false) if is_end => {
                let mut events = held.take().unwrap_or_default();
                if std::mem::take(&mut asked) {
                    write_verb(&mut writer, &Verb::Connect(connect.clone())).map_err(|e| e.to_string())?;
                    continue;
                }
                events.push(event);
                for event in events {
                    writer.write_event(event).map_err(|error| error.to_string())?;
                }
            }
            _ => writer.write_event(event).map_err(|error| error.to_string())?,
        }
    }
    if !walk.path.is_empty() {
        return Err(format!("`<{}>` is never closed", walk.path.join("><")));
    }
    let xml = String::from_utf8(writer.into_inner()).map_err(|error| error.to_string())?;
    Ok(Mediated { xml, relay: walk.relay })
}

struct Walk<'a, F> {
    base: &'a str,
    follow: F,
    relay: Option<RelayAsked>,
    /// Of the `<Connect>` that was read last.
    action: Option<String>,
    path: Vec<String>,
}

impl<F: Fn(&str) -> String> Walk<'_, F> {
    fn take(&mut self, event: Event<'static>) -> Result<Event<'static>, String> {
        Ok(match event {
            Event::Start(element) => {
                let element = self.element(&element)?;
                self.path.push(element.name().as_ref().to_owned());
                Event::Start(element)
            }
            Event::Empty(element) => Event::Empty(self.element(&element)?),
            Event::End(end) => {
                self.path.pop();
                Event::End(end)
            }
            Event::Text(text)
                if matches!(self.path.last().map(String::as_str), Some("Redirect" | "Play")) =>
            {
                let address = quick_xml::escape::unescape(&text).map_err(|error| error.to_string())?;
                let whole = join(self.base, address.trim());
                let redirect = self.path.last().is_some_and(|verb| verb == "Redirect");
                let address = if redirect { (self.follow)(&whole) } else { whole };
                Event::Text(BytesText::new(&address).into_owned())
            }
            other => other,
        })
    }

    /// An element with whole addresses. Notes what a `<ConversationRelay>` asks for.
    fn element(&mut self, element: &BytesStart<'_>) -> Result<BytesStart<'static>, String> {
        let name = element.name().as_ref().to_owned();
        let mut attributes = Vec::new();
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|error| format!("`<{name}>`: {error}"))?;
            let value = quick_xml::escape::unescape(&attribute.value)
                .map_err(|error| format!("`<{name}>`: {error}; write `&` as `&amp;`"))?;
            attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        let parent = self.path.last().map(String::as_str);
        match (parent, name.as_str()) {
            (Some("Response"), "Connect") => {
                self.action = value(&attributes, "action").map(|action| join(self.base, action));
            }
            (Some("Connect"), "ConversationRelay") if self.relay.is_none() => {
                let action = self.action.take();
                let attributes = lower(attributes.clone());
                let url = value(&attributes, "url").unwrap_or_default().to_owned();
                if url.is_empty() {
                    return Err("`<ConversationRelay>` has no `url`".to_owned());
                }
                self.relay = Some(RelayAsked { url, action, attributes, ..RelayAsked::default() });
            }
            (Some("ConversationRelay"), "Language") => {
                if let Some(relay) = &mut self.relay {
                    relay.languages.push(lower(attributes.clone()));
                }
            }
            (Some("ConversationRelay"), "Parameter") => {
                if let Some(relay) = &mut self.relay {
                    let of = |key| value(&attributes, key).unwrap_or_default().to_owned();
                    relay.parameters.push((of("name"), of("value")));
                }
            }
            _ => {}
        }
        let mut written = BytesStart::new(name);
        for (key, text) in &attributes {
            let followed = FOLLOWED.contains(&key.as_str());
            let text = if followed || ADDRESSES.contains(&key.as_str()) {
                join(self.base, text)
            } else {
                text.clone()
            };
            let text = if followed { (self.follow)(&text) } else { text };
            written.push_attribute((key.as_str(), text.as_str()));
        }
        Ok(written)
    }
}

fn lower(attributes: Attributes) -> Attributes {
    attributes.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}

/// An address, whole, as one that stands in a document from `base`.
#[must_use]
pub fn join(base: &str, address: &str) -> String {
    if address.is_empty() || address.contains("://") {
        return address.to_owned();
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
    if let Some(other_host) = address.strip_prefix("//") {
        return format!("{scheme}://{other_host}");
    }
    if address.starts_with('/') {
        return format!("{scheme}://{host}{address}");
    }
    if address.starts_with('?') {
        return format!("{scheme}://{host}/{path}{address}");
    }
    let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    format!("{scheme}://{host}/{folder}{address}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twiml::{Noun, Stream};

    fn ours() -> Connect {
        let stream = Stream::new("wss://engine.example/media-stream").unwrap();
        Connect { action: Some("https://engine.example/after-stream".into()), noun: Noun::Stream(stream) }
    }

    fn through(document: &str) -> Result<Mediated, String> {
        mediate(document, "https://app.example/twilio/voice?x=1", &ours(), |url| format!("via:{url}"))
    }

    #[test]
    fn an_applications_relay_is_taken_out() {
        let document = r#"<?xml version="1.0" encoding="UTF-8"?>
<Response><Say>Hello &amp; welcome.</Say><Play>hi.mp3</Play>
<Connect action="/done?a=1&amp;b=2"><ConversationRelay url="wss://app.example/ws" welcomeGreeting="Hi!" DtmfDetection="true">
<Language code="sv-SE" ttsProvider="Amazon"/><Parameter name="a" value="&lt;b&gt;"/></ConversationRelay></Connect>
<Redirect>next</Redirect></Response>"#;
        let Mediated { xml, relay } = through(document).unwrap();
        let relay = relay.unwrap();
        assert_eq!(relay.url, "wss://app.example/ws");
        assert_eq!(relay.parameters, [("a".to_owned(), "<b>".to_owned())]);
        assert_eq!(relay.get("welcomegreeting"), Some("Hi!"));
        assert_eq!(relay.is("dtmfdetection"), Some(true));
        assert_eq!(value(&relay.languages[0], "code"), Some("sv-SE"));
        assert!(!xml.contains("ConversationRelay") && !xml.contains("Language"), "{xml}");
        assert!(xml.contains("<Say>Hello &amp; welcome.</Say>"), "{xml}");
        assert!(xml.contains("<Play>https://app.example/twilio/hi.mp3</Play>"), "{xml}");
        assert!(xml.contains(r#"<Connect action="https://engine.example/after-stream"><Stream "#), "{xml}");
        assert!(xml.contains("<Redirect>via:https://app.example/twilio/next</Redirect>"), "{xml}");
        let report = crate::twiml::check(200, Some("text/xml"), xml.as_bytes());
        assert_eq!(report.stream.unwrap().url, "wss://engine.example/media-stream");
    }

    #[test]
    fn the_action_of_the_connection_is_the_applications() {
        let document = r#"<Response><Connect action="/done?a=1&amp;b=2"><ConversationRelay url="wss://a.example/"/></Connect></Response>"#;
        let relay = through(document).unwrap().relay.unwrap();
        assert_eq!(relay.action.as_deref(), Some("https://app.example/done?a=1&b=2"));
    }

    #[test]
    fn other_documents_only_get_whole_addresses() {
        let document = r#"<Response><Connect><Stream url="wss://app.example/s"/></Connect><Dial action="end"><Number>+1</Number></Dial></Response>"#;
        let Mediated { xml, relay } = through(document).unwrap();
        assert_eq!(relay, None);
        assert_eq!(xml, document.replace("\"end\"", "\"via:https://app.example/twilio/end\""));
        assert!(through("<Response><Connect>").unwrap_err().contains("never closed"));
        assert!(through("<Response><Connect><ConversationRelay/></Connect></Response>").is_err());
        assert!(through("<Response").is_err());
    }

    #[test]
    fn addresses_are_joined() {
        let base = "http://127.0.0.1:8080/a/b?c=d";
        let joined = |address| join(base, address);
        assert_eq!(joined("x"), "http://127.0.0.1:8080/a/x");
        assert_eq!(joined("/x"), "http://127.0.0.1:8080/x");
        assert_eq!(joined("?y=1"), "http://127.0.0.1:8080/a/b?y=1");
        assert_eq!(joined("//h/x"), "http://h/x");
        assert_eq!(joined("https://h/x"), "https://h/x");
        assert_eq!(join("https://h", "x"), "https://h/x");
    }
}
