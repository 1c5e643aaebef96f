//! Which agent answers a call, in what manner: by `[[route]]` tables, or by an application's webhook.

mod ask;
mod limits;
mod told;
mod when;

use std::collections::BTreeMap;
use std::time::SystemTime;

use offhook_twilio::webhook::WebhookForm;
use serde::Deserialize;

pub(crate) use ask::{AskConfig, Asker};
pub(crate) use limits::{Limits, Load, Spent};
use when::{Day, Hours, Zone};

use crate::stored::RecordingForm;

/// Twilio's name for a SIP header in its requests.
const SIP_HEADER: &str = "SipHeader_";

/// `[[route]]`: the first whose conditions all hold is taken; a condition that isn't named holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RouteTable {
    /// Called numbers, or their beginnings.
    pub(crate) to: Vec<String>,
    /// Callers' numbers, or their beginnings.
    pub(crate) from: Vec<String>,
    /// SIP headers, as `X-Department`, and their values.
    pub(crate) header: BTreeMap<String, String>,
    /// Days of the week: mon, tue, …
    pub(crate) days: Vec<Day>,
    /// Hours of the day: `09:00-17:30`.
    pub(crate) hours: Option<Hours>,
    /// The clock that days and hours go by: a place's, with its summer time, as `America/Los_Angeles`; or, as `utc_offset`, a fixed
    /// lead over UTC: `+01:00`. Default UTC.
    #[serde(alias = "utc_offset")]
    pub(crate) time_zone: Zone,
    /// What becomes of the call then.
    #[serde(flatten)]
    pub(crate) then: Decision,
    /// What this route's calls may take together.
    pub(crate) limits: Limits,
}

/// What becomes of a call.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Decision {
    /// Who answers: an agent's name, or its file. Default: the server's `agent`.
    pub(crate) agent: Option<String>,
    /// BCP 47 tag of the language that the call begins in, if it isn't the agent's.
    pub(crate) language: Option<String>,
    /// The voice that the agent speaks in, as its provider names it, if it isn't the agent's.
    pub(crate) voice: Option<String>,
    /// The first words, if they aren't the agent's.
    pub(crate) greeting: Option<String>,
    /// What the call is to achieve.
    pub(crate) goal: Option<String>,
    /// Whose call it is: in records, in what applications are told, and for limits.
    pub(crate) tenant: Option<String>,
    /// Whether tape and record are kept, where the server keeps any. Default true.
    pub(crate) record: Option<bool>,
    /// In what form its sound is kept: `none`, `wav` or `flac`. Default: as `form` in `[recording]`.
    pub(crate) recording: Option<RecordingForm>,
    /// Variables: `{name}` in instructions and greeting stands for their values; applications get them as parameters.
    pub(crate) variables: BTreeMap<String, String>,
    /// Said by Twilio's voice in place of any agent; then the call ends.
    pub(crate) say: Option<String>,
}

impl RouteTable {
    fn holds(&self, form: &WebhookForm, at: SystemTime) -> bool {
        let begins = |beginnings: &[String], field: &str| {
            let number = form.get(field).unwrap_or("");
            beginnings.is_empty()
                || beginnings.iter().any(|beginning| number.starts_with(plain(beginning).as_str()))
        };
        let header = |(name, value): (&String, &String)| {
            form.get(&format!("{SIP_HEADER}{name}")) == Some(value.as_str())
        };
        begins(&self.to, "To")
            && begins(&self.from, "From")
            && self.header.iter().all(header)
            && when::holds(&self.days, self.hours, &self.time_zone, at)
    }
}

/// A number without what people write between its digits; anything else as it is.
fn plain(number: &str) -> String {
    let is_number =
        number.starts_with('+') && number.chars().all(|c| c.is_ascii_digit() || "+ -().".contains(c));
    if is_number {
        number.chars().filter(|c| *c == '+' || c.is_ascii_digit()).collect()
    } else {
        number.to_owned()
    }
}

/// The route of a call.
pub(crate) fn choose<'a>(
    mut routes: impl Iterator<Item = &'a RouteTable>,
    form: &WebhookForm,
    at: SystemTime,
) -> Option<&'a RouteTable> {
    routes.find(|route| route.holds(form, at))
}

/// Text with these variables in it: `{name}` stands for a value. What isn't one stays.
pub(crate) fn filled(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in variables {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_route_that_holds_is_taken() {
        let routes: Vec<RouteTable> = [
            "to = [\"+1 (415) 555-0101\"]\nfrom = [\"+44\"]\nagent = \"british\"",
            "header = { X-Department = \"sales\" }\nagent = \"sales\"\nvariables = { shop = \"Blue Door\" }",
            "to = [\"+1415\"]\ndays = [\"mon\"]\nsay = \"Closed on Mondays.\"",
            "agent = \"rest\"",
        ]
        .iter()
        .map(|text| toml::from_str(text).unwrap())
        .collect();
        let monday = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_796_081_400);
        let chosen = |pairs: &[(&str, &str)]| {
            let form =
                pairs.iter().fold(WebhookForm::parse(b""), |form, (name, value)| form.with(name, value));
            choose(routes.iter(), &form, monday).unwrap().then.clone()
        };
        assert_eq!(chosen(&[("To", "+14155550101"), ("From", "+441")]).agent.as_deref(), Some("british"));
        let sales = chosen(&[("To", "+14155550101"), ("SipHeader_X-Department", "sales")]);
        assert_eq!((sales.agent.as_deref(), sales.variables["shop"].as_str()), (Some("sales"), "Blue Door"));
        assert_eq!(chosen(&[("To", "+14155550101")]).say.as_deref(), Some("Closed on Mondays."));
        assert_eq!(chosen(&[]).agent.as_deref(), Some("rest"));
        assert_eq!(filled("{shop}, {x}", &sales.variables), "Blue Door, {x}");
    }
}
