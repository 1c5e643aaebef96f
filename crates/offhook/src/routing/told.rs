//! Routes as people read them.

use serde_json::{Value, json};

use super::RouteTable;

impl RouteTable {
    /// Its conditions, in words, and what becomes of a call then.
    pub(crate) fn told(&self) -> Value {
        let numbers = |what: &str, beginnings: &[String]| {
            (!beginnings.is_empty()).then(|| format!("{what} {}", beginnings.join(" or ")))
        };
        let headers = self.header.iter().map(|(name, value)| format!("the SIP header {name} is {value}"));
        let days: Vec<String> = self.days.iter().map(|day| format!("{day:?}").to_ascii_lowercase()).collect();
        let days = (!days.is_empty()).then(|| format!("on {}", days.join(", ")));
        let hours = self.hours.map(|hours| format!("at {hours}"));
        let timed = days.is_some() || hours.is_some();
        let zone = timed.then(|| format!("by the clock of {}", self.time_zone));
        let when: Vec<String> = [numbers("to", &self.to), numbers("from", &self.from)]
            .into_iter()
            .flatten()
            .chain(headers)
            .chain([days, hours, zone].into_iter().flatten())
            .collect();
        let then = &self.then;
        json!({
            "when": when, "agent": then.agent, "say": then.say, "tenant": then.tenant, "language": then.language,
            "voice": then.voice, "greeting": then.greeting, "goal": then.goal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_told_as_it_is_written() {
        let route: RouteTable = toml::from_str(
            "to = [\"+1415\", \"+1416\"]\nheader = { X-Department = \"sales\" }\ndays = [\"mon\", \"tue\"]\nhours = \"09:00-17:30\"\n\
             time_zone = \"America/Los_Angeles\"\nagent = \"sales\"\nlanguage = \"de-DE\"\n",
        )
        .unwrap();
        let told = route.told();
        let when = [
            "to +1415 or +1416",
            "the SIP header X-Department is sales",
            "on mon, tue",
            "at 09:00-17:30",
            "by the clock of America/Los_Angeles",
        ];
        assert_eq!(told["when"], json!(when));
        assert_eq!(
            (&told["agent"], &told["language"], &told["say"]),
            (&json!("sales"), &json!("de-DE"), &Value::Null)
        );
        let rest: RouteTable = toml::from_str("say = \"We are closed.\"").unwrap();
        assert_eq!((&rest.told()["when"], &rest.told()["say"]), (&json!([]), &json!("We are closed.")));
        let fixed: RouteTable = toml::from_str("days = [\"sun\"]\nutc_offset = \"-08:00\"").unwrap();
        assert_eq!(fixed.told()["when"], json!(["on sun", "by the clock of UTC-08"]));
    }
}
