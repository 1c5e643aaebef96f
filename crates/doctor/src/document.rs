//! The TwiML of an answer: is it read, and does it lead to a stream that can speak?

mod relay;

use offhook_twilio::twiml::check;

use crate::afterwards::Action;
use crate::causes::{self, Cause};
use crate::finding::{Check, Report};
use crate::text::{bare_ampersand, before_xml};
use crate::tree::{Element, read, text_place};
use relay::judge_relay;

/// Longest document that Twilio takes (error 11750).
const LONGEST: usize = 64 * 1024;

/// The stream to connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// As the document has it.
    pub(crate) url: String,
    pub(crate) parameters: Vec<(String, String)>,
    /// By `<Start>`: it only listens.
    pub(crate) one_way: bool,
    /// It asks for sound in another format than μ-law at 8 kHz.
    pub(crate) other_format: bool,
    /// What is asked for when it is over.
    pub(crate) action: Option<Action>,
}

/// The session to connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relay {
    /// As the document has it.
    pub(crate) url: String,
    pub(crate) parameters: Vec<(String, String)>,
    /// What Twilio says first.
    pub(crate) greeting: Option<String>,
    /// The caller's language.
    pub(crate) language: String,
    /// What is asked for when it is over.
    pub(crate) action: Option<Action>,
}

/// Where a document leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    Stream(Stream),
    Relay(Relay),
    /// To another document, by `<Redirect>`.
    On {
        /// As the document has it.
        url: String,
        /// Asked for by GET.
        get: bool,
        /// The caller hears something before, or is waited for.
        after_a_while: bool,
    },
    Nowhere,
}

impl Leads {
    /// What is asked for when it is over.
    pub(crate) fn action(&self) -> Option<Action> {
        match self {
            Self::Stream(stream) => stream.action.clone(),
            Self::Relay(relay) => relay.action.clone(),
            Self::On { .. } | Self::Nowhere => None,
        }
    }
}

/// Judges a document; tells where it leads.
pub(crate) fn judge(body: &[u8], report: &mut Report) -> Leads {
    let mut fail = |cause: &'static Cause, what: String| report.add(Check::Document, cause, what);
    if body.len() > LONGEST {
        fail(&causes::TOO_LONG, format!("the document has {} bytes", body.len()));
        return Leads::Nowhere;
    }
    // RFC 1952, 2.3.1; RFC 8878, 3.1.1.
    if body.starts_with(&[0x1F, 0x8B]) || body.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        fail(&causes::COMPRESSED, "the document is compressed, though nobody asked for that".to_owned());
        return Leads::Nowhere;
    }
    let Ok(text) = std::str::from_utf8(body) else {
        fail(&causes::NOT_UTF8, "the document is not UTF-8".to_owned());
        return Leads::Nowhere;
    };
    if let Some((cause, what)) = before_xml(text) {
        fail(cause, what);
        return Leads::Nowhere;
    }
    // Twilio's own words for what an XML reader finds; streams are judged below.
    let checked = check(200, Some("text/xml"), body);
    if let Some(broken) = checked.findings.iter().find(|finding| matches!(finding.code, 12100 | 12102)) {
        let (cause, what) = match bare_ampersand(text) {
            _ if broken.code == 12102 => (&causes::WRONG_ROOT, broken.detail.clone()),
            Some(place) => (&causes::BARE_AMPERSAND, place),
            None => (&causes::NOT_WELL_FORMED, broken.detail.clone()),
        };
        fail(cause, what);
        return Leads::Nowhere;
    }
    if let Some(at) = text.find(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r') && c < ' ') {
        fail(&causes::CONTROL_CHARACTER, format!("{}: a character that XML forbids", text_place(text, at)));
        return Leads::Nowhere;
    }
    let elements = read(text);
    let streams = elements.iter().any(|element| is_stream(&elements, element));
    for finding in checked.findings.iter().filter(|finding| finding.code == 12200) {
        let cause = if finding.detail.contains("500 characters") {
            &causes::PARAMETER_TOO_LONG
        } else if finding.detail.contains("no attribute") {
            &causes::UNKNOWN_ATTRIBUTE
        } else if !streams && mentions_stream(&elements) {
            &causes::STREAM_LOST
        } else {
            &causes::UNKNOWN_ELEMENT
        };
        fail(cause, finding.detail.clone());
    }
    for finding in checked.findings.iter().filter(|finding| finding.code == 64101) {
        let cause = if finding.detail.contains("URL") { &causes::RELAY_URL } else { &causes::RELAY_VALUE };
        fail(cause, finding.detail.clone());
    }
    walk(&elements, report)
}

fn is_stream(elements: &[Element], element: &Element) -> bool {
    let parent = element.parent.and_then(|parent| elements.get(parent));
    element.name == "Stream"
        && parent.is_some_and(|parent| {
            matches!(parent.name.as_str(), "Connect" | "Start") && parent.parent.is_some_and(|root| root == 0)
        })
}

fn mentions_stream(elements: &[Element]) -> bool {
    elements.iter().any(|element| {
        let name = element.name.to_ascii_lowercase();
        name == "stream" || name == "connect"
    })
}

/// Follows the verbs as Twilio does.
fn walk(elements: &[Element], report: &mut Report) -> Leads {
    let verbs: Vec<(usize, &Element)> =
        elements.iter().enumerate().filter(|(_, element)| element.parent == Some(0)).collect();
    if verbs.is_empty() {
        report.add(Check::Document, &causes::EMPTY_RESPONSE, "<Response> has no verb in it");
        return Leads::Nowhere;
    }
    let mut gone: Option<&Element> = None;
    for (place, (index, verb)) in verbs.iter().enumerate() {
        let after = verbs.get(place + 1..).unwrap_or(&[]);
        let noun = |name: &str| {
            elements
                .iter()
                .enumerate()
                .find(|(_, element)| element.parent == Some(*index) && element.name == name)
        };
        let stream = noun("Stream").filter(|_| matches!(verb.name.as_str(), "Connect" | "Start"));
        let relay = noun("ConversationRelay").filter(|_| verb.name == "Connect");
        if let (Some((_, to)), Some(gone)) = (stream.or(relay), gone) {
            let what =
                format!("line {}: <{}> comes before the stream of line {}", gone.line, gone.name, to.line);
            report.add(Check::Document, &causes::UNREACHABLE_STREAM, what);
            return Leads::Nowhere;
        }
        if let Some((at, stream)) = stream {
            let one_way = verb.name == "Start";
            let other_format = judge_stream(stream, one_way, report);
            judge_after(stream, one_way, after, report);
            // A tap beside an agent is none of the agent's faults.
            if !one_way || after.iter().all(|(_, verb)| verb.name != "Connect") {
                let url = stream.get("url").unwrap_or_default().to_owned();
                let parameters = parameters(elements, at);
                let action = action(verb);
                return Leads::Stream(Stream { url, parameters, one_way, other_format, action });
            }
        }
        if let Some((at, relay)) = relay {
            let get = |name| relay.get(name).map(str::to_owned);
            judge_relay(elements, at, relay, report);
            return Leads::Relay(Relay {
                url: get("url").unwrap_or_default(),
                parameters: parameters(elements, at),
                greeting: get("welcomeGreeting"),
                language: get("transcriptionLanguage")
                    .or_else(|| get("language"))
                    .unwrap_or("en-US".to_owned()),
                action: action(verb),
            });
        }
        let inside = |element: &Element| element.parent == Some(*index);
        if verb.name == "Connect" && gone.is_none() && !elements.iter().any(inside) {
            let what = format!("line {}: <Connect> has nothing in it", verb.line);
            report.add(Check::Document, &causes::CONNECT_EMPTY, what);
        }
        if gone.is_none() && matches!(verb.name.as_str(), "Hangup" | "Reject" | "Redirect" | "Leave") {
            gone = Some(verb);
        }
    }
    if let Some(redirect) = gone.filter(|verb| verb.name == "Redirect") {
        let before = verbs.iter().take_while(|(_, verb)| *verb != redirect);
        let heard = |verb: &Element| {
            matches!(
                verb.name.as_str(),
                "Say" | "Play" | "Pause" | "Gather" | "Record" | "Dial" | "Enqueue" | "Pay"
            )
        };
        return Leads::On {
            url: redirect.text.trim().to_owned(),
            get: redirect.get("method").is_some_and(|method| method.eq_ignore_ascii_case("GET")),
            after_a_while: before.into_iter().any(|(_, verb)| heard(verb)),
        };
    }
    let told = [causes::STREAM_LOST.id, causes::CONNECT_EMPTY.id];
    if report.findings.iter().all(|finding| !told.contains(&finding.cause)) {
        let names: Vec<&str> = verbs.iter().map(|(_, verb)| verb.name.as_str()).collect();
        report.add(Check::Document, &causes::NO_STREAM_HERE, format!("the verbs are: {}", names.join(", ")));
    }
    Leads::Nowhere
}

/// Of `<Connect>`: what is asked for when its noun is over.
fn action(connect: &Element) -> Option<Action> {
    let url = connect.get("action").map(str::trim).filter(|url| !url.is_empty())?.to_owned();
    let get = connect.get("method").is_some_and(|method| method.eq_ignore_ascii_case("GET"));
    (connect.name == "Connect").then_some(Action { url, get })
}

fn parameters(elements: &[Element], stream: usize) -> Vec<(String, String)> {
    let inner =
        elements.iter().filter(|element| element.parent == Some(stream) && element.name == "Parameter");
    inner
        .map(|element| {
            let get = |key| element.get(key).unwrap_or_default().to_owned();
            (get("name"), get("value"))
        })
        .collect()
}

/// True if it asks for another format than μ-law at 8 kHz.
fn judge_stream(stream: &Element, one_way: bool, report: &mut Report) -> bool {
    let mut say = |cause: &'static Cause, what: String| {
        report.add(Check::Document, cause, format!("line {}: {what}", stream.line));
    };
    if let Some(track) = stream.get("track") {
        let good = track == "inbound_track" || (one_way && matches!(track, "outbound_track" | "both_tracks"));
        if !good {
            let verb = if one_way { "Start" } else { "Connect" };
            say(&causes::TRACK_WRONG, format!("<{verb}><Stream track=\"{track}\">"));
        }
    }
    let format = stream.get("audioFormat").filter(|format| !format.to_ascii_lowercase().contains("mulaw"));
    let rate = stream.get("sampleRate").filter(|rate| *rate != "8000");
    if format.is_some() || rate.is_some() {
        let asked: Vec<&str> = format.into_iter().chain(rate).collect();
        say(
            &causes::OTHER_FORMAT,
            format!("the stream asks for sound in another format: {}", asked.join(", ")),
        );
    }
    judge_url(stream, &mut say);
    format.is_some() || rate.is_some()
}

fn judge_url(stream: &Element, say: &mut impl FnMut(&'static Cause, String)) {
    let url = stream.get("url").unwrap_or("").to_owned();
    if url.is_empty() && stream.get("connectorName").is_none() {
        return say(&causes::STREAM_URL_MISSING, "<Stream> has no url".to_owned());
    }
    match url.split_once("://") {
        // A scheme for a host: a template that had one already.
        Some(("wss", rest))
            if ["wss:", "ws:", "https:", "http:"].iter().any(|twice| rest.starts_with(twice)) =>
        {
            say(&causes::STREAM_URL_BROKEN, format!("url=\"{url}\" has two schemes"));
        }
        Some(("wss", _)) if url != url.trim() || crate::dial::Target::parse(&url).is_none() => {
            say(&causes::STREAM_URL_BROKEN, format!("url=\"{url}\""));
        }
        Some(("wss", _)) => {}
        Some(_) => say(&causes::STREAM_URL_SCHEME, format!("url=\"{url}\"")),
        None => say(&causes::STREAM_URL_RELATIVE, format!("url=\"{url}\"")),
    }
    if url.contains('?') {
        say(&causes::STREAM_URL_QUERY, format!("url=\"{url}\" has a query"));
    }
}

fn judge_after(stream: &Element, one_way: bool, after: &[(usize, &Element)], report: &mut Report) {
    let first = after.first().map(|(_, verb)| *verb);
    if one_way {
        let waits = |verb: &Element| {
            matches!(
                verb.name.as_str(),
                "Dial"
                    | "Gather"
                    | "Record"
                    | "Connect"
                    | "Enqueue"
                    | "Redirect"
                    | "Say"
                    | "Play"
                    | "Pay"
                    | "Refer"
            )
        };
        match first {
            None => {
                let what = format!("line {}: nothing comes after <Start>", stream.line);
                report.add(Check::Document, &causes::START_ENDS, what);
            }
            // Somebody who only waits, waits for an answer.
            Some(pause) if !after.iter().any(|(_, verb)| waits(verb)) => {
                let what = format!("line {}: <Start><Stream>, and then only <{}>", stream.line, pause.name);
                report.add(Check::Document, &causes::START_ONE_WAY, what);
            }
            Some(_) => {}
        }
    } else if let Some(pause) = first.filter(|verb| verb.name == "Pause") {
        let what = format!("line {}: <Pause> comes after the stream", pause.line);
        report.add(Check::Document, &causes::PAUSE_AFTER, what);
    }
}

#[cfg(test)]
mod tests;
