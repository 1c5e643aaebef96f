//! What time it is where the agent is: "tonight" means another night elsewhere.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The clock of an agent. The usual one is this machine's.
#[derive(Clone, Debug)]
pub struct Clock(TimeZone);

impl Default for Clock {
    fn default() -> Self {
        Self(TimeZone::system())
    }
}

impl Clock {
    /// The clock of a zone of the IANA's, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn of(zone: &str) -> Result<Self, String> {
        TimeZone::get(zone).map(Self).map_err(|_| {
            format!("there is no time zone `{zone}`: set one of the IANA's, such as \"America/New_York\"")
        })
    }

    /// The time now, in words for a model.
    pub(super) fn now(&self) -> String {
        self.at(Timestamp::now())
    }

    fn at(&self, time: Timestamp) -> String {
        let here = time.to_zoned(self.0.clone());
        let zone = self.0.iana_name().map_or_else(|| here.strftime("UTC%:z").to_string(), str::to_owned);
        format!("{} ({zone})", here.strftime("%A, %-d %B %Y, %H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tonight_is_another_night_elsewhere() {
        let time: Timestamp = "2026-11-30T23:30:00Z".parse().unwrap();
        let at = |zone: &str| Clock::of(zone).unwrap().at(time);
        assert_eq!(at("America/Los_Angeles"), "Monday, 30 November 2026, 15:30 (America/Los_Angeles)");
        assert_eq!(at("Australia/Sydney"), "Tuesday, 1 December 2026, 10:30 (Australia/Sydney)");
        assert!(Clock::of("Mars/Olympus").unwrap_err().contains("Mars/Olympus"));
    }
}
