//! Calls as Twilio's REST API knows them: what a new one is asked for with, what is told of one ("Call resource",
//! twilio.com/docs/voice/api/call-resource; "Answering Machine Detection", twilio.com/docs/voice/answering-machine-detection).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::webhook::WebhookForm;

/// A phone number in E.164: `+`, the country's code, up to 15 digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PhoneNumber(String);

/// Why something is not a phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a phone number must be written with + and the country's code, 8 to 15 digits in all, e.g. +14155550100"
)]
pub struct BadNumber;

impl PhoneNumber {
    /// Reads one. Blanks, dots, dashes and parentheses, as people write them, are passed over.
    ///
    /// # Errors
    /// If it doesn't begin with `+`, or has too few, too many or other characters.
    pub fn parse(text: &str) -> Result<Self, BadNumber> {
        let digits = text.trim().strip_prefix('+').ok_or(BadNumber)?;
        let digits: String = digits.chars().filter(|c| !matches!(c, ' ' | '.' | '-' | '(' | ')')).collect();
        let good = (8..=15).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && !digits.starts_with('0');
        if good { Ok(Self(format!("+{digits}"))) } else { Err(BadNumber) }
    }

    /// As Twilio wants it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallStatus {
    /// Waits for its turn: Twilio places so many calls a second.
    Queued,
    /// Is being placed.
    Initiated,
    /// Rings.
    Ringing,
    /// Was answered.
    InProgress,
    /// Was answered, and is over.
    Completed,
    /// The line was busy.
    Busy,
    /// Could not be placed.
    Failed,
    /// Nobody answered.
    NoAnswer,
    /// Was called off before it was answered.
    Canceled,
}

impl CallStatus {
    /// How far it is: a call goes through these in order, and may leave some out.
    #[must_use]
    pub const fn stage(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Initiated => 1,
            Self::Ringing => 2,
            Self::InProgress => 3,
            Self::Completed | Self::Busy | Self::Failed | Self::NoAnswer | Self::Canceled => 4,
        }
    }

    /// Reads Twilio's word; `None` for one that this version doesn't know.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
    }

    /// Nothing follows.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Busy | Self::Failed | Self::NoAnswer | Self::Canceled)
    }
}

/// Who answered, as Twilio's detection of answering machines has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// A human.
    Human,
    /// A machine, whose greeting goes on.
    MachineStart,
    /// A machine, which has beeped.
    MachineEndBeep,
    /// A machine, which has fallen silent.
    MachineEndSilence,
    /// A machine, whose greeting is over.
    MachineEndOther,
    /// A fax.
    Fax,
    /// It can't be told.
    Unknown,
}

impl AnsweredBy {
    /// Reads Twilio's word; one that this version doesn't know is unknown.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        serde_json::from_value(serde_json::Value::String(word.to_owned())).unwrap_or(Self::Unknown)
    }

    /// Neither a human nor in doubt.
    #[must_use]
    pub const fn is_machine(self) -> bool {
        !matches!(self, Self::Human | Self::Unknown)
    }

    /// A machine that records by now.
    #[must_use]
    pub const fn greeting_is_over(self) -> bool {
        matches!(self, Self::MachineEndBeep | Self::MachineEndSilence | Self::MachineEndOther)
    }
}

/// Detection of answering machines, beside the conversation (`AsyncAmd`): a human is not kept waiting for the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineDetection {
    /// Tell of a machine when its greeting is over (`DetectMessageEnd`), not as soon as it is known for one (`Enable`).
    pub wait_for_end: bool,
    /// Is told the verdict.
    pub callback: String,
}

/// A call to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCall {
    /// Who is called.
    pub to: PhoneNumber,
    /// The account's number that calls.
    pub from: PhoneNumber,
    /// Asked for TwiML when the call is answered.
    pub url: String,
    /// Is told how the call goes.
    pub status_callback: String,
    /// How long it may ring, in whole seconds; Twilio may add up to 5 s. At most 600 s.
    pub ring_for: Duration,
    /// The longest call; Twilio ends it then.
    pub time_limit: Option<Duration>,
    /// Whether machines are to be told from humans.
    pub machine: Option<MachineDetection>,
}

impl NewCall {
    /// The form to post.
    #[must_use]
    pub fn form(&self) -> WebhookForm {
        let mut form = WebhookForm::default()
            .with("To", self.to.as_str())
            .with("From", self.from.as_str())
            .with("Url", &self.url)
            .with("Method", "POST")
            .with("StatusCallback", &self.status_callback)
            .with("StatusCallbackMethod", "POST");
        for event in ["initiated", "ringing", "answered", "completed"] {
            form = form.with("StatusCallbackEvent", event);
        }
        form = form.with("Timeout", &self.ring_for.as_secs().clamp(1, 600).to_string());
        if let Some(limit) = self.time_limit {
            form = form.with("TimeLimit", &limit.as_secs().max(1).to_string());
        }
        if let Some(machine) = &self.machine {
            form = form
                .with("MachineDetection", if machine.wait_for_end { "DetectMessageEnd" } else { "Enable" })
                .with("AsyncAmd", "true")
                .with("AsyncAmdStatusCallback", &machine.callback)
                .with("AsyncAmdStatusCallbackMethod", "POST");
        }
        form
    }
}

/// What a call in progress is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallUpdate {
    /// End, in whatever state it is.
    End,
    /// Go on with this document, at once. At most 4 000 characters.
    Twiml(String),
}

impl CallUpdate {
    /// The form to post.
    #[must_use]
    pub fn form(&self) -> WebhookForm {
        match self {
            Self::End => WebhookForm::default().with("Status", "completed"),
            Self::Twiml(document) => WebhookForm::default().with("Twiml", document),
        }
    }
}

/// A call, as Twilio tells of it. Fetched, it lags behind by some seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CallResource {
    /// Its name.
    pub sid: String,
    /// Where it stands, in Twilio's word.
    #[serde(default)]
    pub status: String,
    /// Who is called.
    #[serde(default)]
    pub to: String,
    /// Who calls.
    #[serde(default)]
    pub from: String,
    /// When it was asked for, in the manner of RFC 2822.
    #[serde(default)]
    pub date_created: Option<String>,
}

/// A page of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CallPage {
    /// Newest first.
    #[serde(default)]
    pub calls: Vec<CallResource>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let good = |text: &str| PhoneNumber::parse(text).unwrap().0;
        assert_eq!(good("+14155550100"), "+14155550100");
        assert_eq!(good(" +1 (415) 555-01.00 "), "+14155550100");
        for bad in [
            "",
            "14155550100",
            "+",
            "+0155550100",
            "+1415",
            "+1415555010012345",
            "+1415555O100",
            "+1\u{664}155550100",
        ] {
            assert_eq!(PhoneNumber::parse(bad), Err(BadNumber), "{bad}");
        }
    }

    #[test]
    fn forms_are_as_twilio_wants_them() {
        let call = NewCall {
            to: PhoneNumber::parse("+14155550100").unwrap(),
            from: PhoneNumber::parse("+14155550101").unwrap(),
            url: "https://voice.example.com/voice?ref=1".into(),
            status_callback: "https://voice.example.com/status?ref=1".into(),
            ring_for: Duration::from_secs(25),
            time_limit: Some(Duration::from_secs(600)),
            machine: Some(MachineDetection {
                wait_for_end: false,
                callback: "https://voice.example.com/amd?ref=1".into(),
            }),
        };
        insta::assert_snapshot!(call.form().encode().replace('&', "\n"), @r"
        To=%2B14155550100
        From=%2B14155550101
        Url=https%3A%2F%2Fvoice.example.com%2Fvoice%3Fref%3D1
        Method=POST
        StatusCallback=https%3A%2F%2Fvoice.example.com%2Fstatus%3Fref%3D1
        StatusCallbackMethod=POST
        StatusCallbackEvent=initiated
        StatusCallbackEvent=ringing
        StatusCallbackEvent=answered
        StatusCallbackEvent=completed
        Timeout=25
        TimeLimit=600
        MachineDetection=Enable
        AsyncAmd=true
        AsyncAmdStatusCallback=https%3A%2F%2Fvoice.example.com%2Famd%3Fref%3D1
        AsyncAmdStatusCallbackMethod=POST
        ");
        let end = CallUpdate::End.form().encode();
        assert_eq!(end, "Status=completed");
    }

    #[test]
    fn what_twilio_tells_is_read_leniently() {
        let page = r#"{"calls":[{"sid":"CA1","status":"in-progress","to":"+1","from":"+2","price":null,"date_created":"Fri, 17 Jul 2026 10:00:00 +0000"},{"sid":"CA2"}],"page":0}"#;
        let page: CallPage = serde_json::from_str(page).unwrap();
        assert_eq!(CallStatus::parse(&page.calls[0].status), Some(CallStatus::InProgress));
        assert_eq!(page.calls[1].date_created, None);
        assert_eq!(CallStatus::parse("teleported"), None);
        assert!(CallStatus::parse("no-answer").unwrap().is_over());
        assert_eq!(AnsweredBy::parse("machine_end_beep"), AnsweredBy::MachineEndBeep);
        assert!(!AnsweredBy::parse("martian").is_machine() && AnsweredBy::Fax.is_machine());
    }
}
