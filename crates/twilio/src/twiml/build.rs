//! Documents as trees. Nothing is pasted: the serialiser escapes all text.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::relay::ConversationRelay;

/// The content type to answer with.
pub const MIME: &str = "text/xml; charset=utf-8";

/// A document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    verbs: Vec<Verb>,
}

/// What the call does, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// Connects the call to a stream or session until that ends.
    Connect(Connect),
    /// Speaks with Twilio's own voice.
    Say(String),
    /// Waits so many seconds.
    Pause(u32),
    /// Goes on with another document.
    Redirect(String),
    /// Refuses the call: busy.
    RejectBusy,
    /// Hands the caller to another number.
    Dial(Dial),
    /// Ends the call.
    Hangup,
}

/// `<Dial>`: another party takes the agent's place (twilio.com/docs/voice/twiml/dial).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Who is called.
    pub number: String,
    /// The number that is shown to them; without one, the caller's.
    pub caller_id: Option<String>,
    /// How long it rings, in seconds.
    pub timeout: u32,
    /// Asked for what to do next, when the other party has hung up, or did not answer.
    pub action: Option<String>,
}

/// `<Connect>`.
#[derive(Clone, Debug, PartialEq)]
pub struct Connect {
    /// Asked for what to do next, when what the call is connected to has ended.
    pub action: Option<String>,
    /// What it is connected to.
    pub noun: Noun,
}

/// What a call can be connected to.
#[derive(Clone, Debug, PartialEq)]
pub enum Noun {
    /// Sound, both ways.
    Stream(Stream),
    /// Text, both ways.
    ConversationRelay(Box<ConversationRelay>),
}

/// `<Stream>`, bidirectional.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    url: String,
    status_callback: Option<String>,
    parameters: Vec<Parameter>,
}

/// `<Parameter>`: call context, delivered in the `customParameters` of `start` or `setup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub(super) name: String,
    pub(super) value: String,
}

/// Why a document would fail at Twilio.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TwimlError {
    /// Error 31922.
    #[error("a stream's URL must begin with wss://, not `{url}` (Twilio's error 31922)")]
    NotWss {
        /// The URL.
        url: String,
    },
    /// Twilio drops it, or fails with error 31920.
    #[error(
        "a stream's URL must have no query string: Twilio drops it. Use parameters instead (error 31920)"
    )]
    Query,
    /// Error 64101.
    #[error("`{attribute}` of ConversationRelay can't be {value}: {allowed} (Twilio's error 64101)")]
    Attribute {
        /// Which.
        attribute: &'static str,
        /// What it was to be.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// Its limit is documented.
    #[error("parameter `{name}` is too long: name and value must stay under 500 characters together")]
    ParameterTooLong {
        /// Its name.
        name: String,
    },
}

impl Parameter {
    /// A parameter.
    ///
    /// # Errors
    /// If name and value have 500 characters or more together.
    pub fn new(name: &str, value: &str) -> Result<Self, TwimlError> {
        if name.chars().count() + value.chars().count() >= 500 {
            return Err(TwimlError::ParameterTooLong { name: name.chars().take(60).collect() });
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

impl Stream {
    /// A stream to an absolute `wss://` URL without a query.
    ///
    /// # Errors
    /// For any other URL.
    pub fn new(url: &str) -> Result<Self, TwimlError> {
        if !url.starts_with("wss://") || url.len() == 6 {
            return Err(TwimlError::NotWss { url: url.chars().take(120).collect() });
        }
        if url.contains(['?', '#']) {
            return Err(TwimlError::Query);
        }
        Ok(Self { url: url.to_owned(), status_callback: None, parameters: Vec::new() })
    }

    /// Has Twilio tell this URL when the stream starts, stops or fails.
    #[must_use]
    pub fn status_callback(mut self, url: &str) -> Self {
        self.status_callback = Some(url.to_owned());
        self
    }

    /// Adds call context.
    #[must_use]
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }
}

impl Response {
    /// Adds a verb.
    #[must_use]
    pub fn then(mut self, verb: Verb) -> Self {
        self.verbs.push(verb);
        self
    }

    /// The document as text.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut writer = Writer::new(Vec::new());
        // Writing to memory can't fail.
        let _infallible = self.write(&mut writer);
        let document = String::from_utf8(writer.into_inner()).unwrap_or_default();
        // What XML 1.0 forbids can't be escaped either (2.2), and the document would fail as a whole.
        document.replace(|c: char| !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..), "")
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        writer.write_event(Event::Start(BytesStart::new("Response")))?;
        for verb in &self.verbs {
            write_verb(writer, verb)?;
        }
        writer.write_event(Event::End(BytesEnd::new("Response")))
    }
}

pub(super) fn write_verb(writer: &mut Writer<Vec<u8>>, verb: &Verb) -> std::io::Result<()> {
    let empty = |name: &'static str| Event::Empty(BytesStart::new(name));
    match verb {
        Verb::Say(text) => write_text(writer, "Say", text),
        Verb::Redirect(url) => write_text(writer, "Redirect", url),
        Verb::Pause(seconds) => {
            let mut pause = BytesStart::new("Pause");
            pause.push_attribute(("length", seconds.to_string().as_str()));
            writer.write_event(Event::Empty(pause))
        }
        Verb::RejectBusy => {
            let mut reject = BytesStart::new("Reject");
            reject.push_attribute(("reason", "busy"));
            writer.write_event(Event::Empty(reject))
        }
        Verb::Dial(dial) => {
            let mut start = BytesStart::new("Dial");
            start.push_attribute(("timeout", dial.timeout.to_string().as_str()));
            if let Some(caller_id) = &dial.caller_id {
                start.push_attribute(("callerId", caller_id.as_str()));
            }
            if let Some(action) = &dial.action {
                start.push_attribute(("action", action.as_str()));
            }
            writer.write_event(Event::Start(start))?;
            write_text(writer, "Number", &dial.number)?;
            writer.write_event(Event::End(BytesEnd::new("Dial")))
        }
        Verb::Hangup => writer.write_event(empty("Hangup")),
        Verb::Connect(connect) => {
            let mut start = BytesStart::new("Connect");
            if let Some(action) = &connect.action {
                start.push_attribute(("action", action.as_str()));
            }
            writer.write_event(Event::Start(start))?;
            match &connect.noun {
                Noun::Stream(stream) => write_stream(writer, stream)?,
                Noun::ConversationRelay(relay) => relay.write(writer)?,
            }
            writer.write_event(Event::End(BytesEnd::new("Connect")))
        }
    }
}

fn write_stream(writer: &mut Writer<Vec<u8>>, stream: &Stream) -> std::io::Result<()> {
    let mut start = BytesStart::new("Stream");
    start.push_attribute(("url", stream.url.as_str()));
    if let Some(callback) = &stream.status_callback {
        start.push_attribute(("statusCallback", callback.as_str()));
    }
    writer.write_event(Event::Start(start))?;
    write_parameters(writer, &stream.parameters)?;
    writer.write_event(Event::End(BytesEnd::new("Stream")))
}

pub(super) fn write_parameters(
    writer: &mut Writer<Vec<u8>>,
    parameters: &[Parameter],
) -> std::io::Result<()> {
    for parameter in parameters {
        let mut element = BytesStart::new("Parameter");
        element.push_attribute(("name", parameter.name.as_str()));
        element.push_attribute(("value", parameter.value.as_str()));
        writer.write_event(Event::Empty(element))?;
    }
    Ok(())
}

fn write_text(writer: &mut Writer<Vec<u8>>, name: &str, text: &str) -> std::io::Result<()> {
    writer.write_event(Event::Start(BytesStart::new(name)))?;
    writer.write_event(Event::Text(BytesText::new(text)))?;
    writer.write_event(Event::End(BytesEnd::new(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_text_is_escaped() {
        let stream = Stream::new("wss://voice.example.com/media-stream")
            .unwrap()
            .status_callback("https://voice.example.com/status?a=1&b=2")
            .parameter(Parameter::new("caller", r#"Tom & "Jerry" <x@y> 'z'"#).unwrap());
        let connect =
            Connect { action: Some("https://voice.example.com/after".into()), noun: Noun::Stream(stream) };
        let response = Response::default().then(Verb::Connect(connect)).then(Verb::Hangup);
        insta::assert_snapshot!(response.to_xml(), @r#"<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="https://voice.example.com/after"><Stream url="wss://voice.example.com/media-stream" statusCallback="https://voice.example.com/status?a=1&amp;b=2"><Parameter name="caller" value="Tom &amp; &quot;Jerry&quot; &lt;x@y&gt; &apos;z&apos;"/></Stream></Connect><Hangup/></Response>"#);
    }

    #[test]
    fn a_transfer_is_a_dial() {
        let dial = Dial {
            number: "+14155550199".into(),
            caller_id: Some("+14155550101".into()),
            timeout: 30,
            action: Some("https://voice.example.com/after-transfer?ref=1&x=2".into()),
        };
        insta::assert_snapshot!(Response::default().then(Verb::Dial(dial)).to_xml(), @r#"<?xml version="1.0" encoding="UTF-8"?><Response><Dial timeout="30" callerId="+14155550101" action="https://voice.example.com/after-transfer?ref=1&amp;x=2"><Number>+14155550199</Number></Dial></Response>"#);
    }

    #[test]
    fn what_would_fail_at_twilio_can_not_be_built() {
        assert!(matches!(Stream::new("ws://example.com/x"), Err(TwimlError::NotWss { .. })));
        assert!(matches!(Stream::new("/relative"), Err(TwimlError::NotWss { .. })));
        assert_eq!(Stream::new("wss://example.com/x?token=1"), Err(TwimlError::Query));
        assert!(Parameter::new("n", &"v".repeat(499)).is_err());
        assert!(Parameter::new("n", &"v".repeat(498)).is_ok());
    }
}
