//! Days and hours at which a route holds.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Deserializer, de};

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

const WEEK: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

/// From one time of day to another, in minutes since midnight: `09:00-17:30`. Through midnight, where the second is before the first:
/// the hours after it are of the day that they began on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hours {
    from: i32,
    until: i32,
}

/// The clock that a route goes by: a place's, with its summer time, or a fixed lead over UTC. Default UTC.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, until } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.iana_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "UTC{}", self.0.to_offset(Timestamp::UNIX_EPOCH)),
        }
    }
}

fn minutes(text: &str) -> Option<i32> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..=24).contains(&hours) && (0..60).contains(&minutes)).then_some(hours * 60 + minutes)
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = || {
            let (from, until) = text.split_once('-')?;
            Some(Self { from: minutes(from)?, until: minutes(until)? })
        };
        read().ok_or_else(|| de::Error::custom(format!("`{text}` are no hours: write them like 09:00-17:30")))
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let lead = |sign: i32, text: &str| {
            let offset = Offset::from_seconds(sign * 60 * minutes(text)?).ok()?;
            Some(TimeZone::fixed(offset))
        };
        let zone = match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(text), _) => lead(1, text),
            (_, Some(text)) => lead(-1, text),
            (None, None) => TimeZone::get(&text).ok().or_else(|| lead(1, &text)),
        };
        zone.map(Self).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is no clock: write it like America/Los_Angeles, which knows summer time, or like +01:00"
            ))
        })
    }
}

/// Whether a time lies on one of these days, and within these hours.
pub(super) fn holds(days: &[Day], hours: Option<Hours>, Zone(zone): &Zone, at: SystemTime) -> bool {
    let at = Timestamp::try_from(at).unwrap_or_default().to_zoned(zone.clone());
    let minute = i32::from(at.hour()) * 60 + i32::from(at.minute());
    let today = usize::try_from(at.weekday().to_monday_zero_offset()).unwrap_or(0);
    let on = |day: usize| days.is_empty() || WEEK.get(day).is_some_and(|day| days.contains(day));
    match hours {
        None => on(today),
        Some(Hours { from, until }) if from <= until => on(today) && (from..until).contains(&minute),
        Some(Hours { from, until }) => on(today) && minute >= from || on((today + 6) % 7) && minute < until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> Option<Hours> {
        toml::Value::String(text.into()).try_into().ok()
    }

    fn zone(text: &str) -> Zone {
        toml::Value::String(text.into()).try_into().unwrap()
    }

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn days_and_hours_are_those_of_the_place() {
        // A Monday.
        let at = at("2026-11-30T23:30:00Z");
        let utc = Zone::default();
        assert!(holds(&[Day::Mon], hours("23:00-24:00"), &utc, at));
        assert!(!holds(&[Day::Tue], None, &utc, at));
        assert!(holds(&[Day::Tue], hours("00:00-01:00"), &zone("+01:00"), at));
        assert!(holds(&[], hours("15:00-16:00"), &zone("-08:00"), at));
        assert!(holds(&[], hours("15:00-16:00"), &zone("America/Los_Angeles"), at));
        assert!(holds(&[], hours("22:00-06:00"), &utc, at) && !holds(&[], hours("06:00-22:00"), &utc, at));
        assert_eq!((hours("9-17"), hours("25:00-26:00")), (None, None));
        assert!(toml::Value::String("Mars/Olympus".into()).try_into::<Zone>().is_err());
    }

    #[test]
    fn opening_hours_follow_summer_time() {
        let (open, place) = (hours("09:00-17:00"), zone("America/Los_Angeles"));
        let is_open = |text: &str| holds(&[Day::Mon], open, &place, at(text));
        // Winter time until 8 March 2026, summer time until 1 November.
        assert!(!is_open("2026-03-02T16:59:00Z") && is_open("2026-03-02T17:00:00Z"));
        assert!(!is_open("2026-03-09T15:59:00Z") && is_open("2026-03-09T16:00:00Z"));
        assert!(is_open("2026-03-09T23:59:00Z") && !is_open("2026-03-10T00:00:00Z"));
        assert!(!is_open("2026-11-02T16:59:00Z") && is_open("2026-11-02T17:00:00Z"));
        // An hour that comes twice holds twice, one that is left out never does.
        let night = |text: &str, from: &str| holds(&[Day::Sun], hours(from), &place, at(text));
        assert!(night("2026-11-01T08:30:00Z", "01:00-02:00") && night("2026-11-01T09:30:00Z", "01:00-02:00"));
        assert!(!night("2026-11-01T10:30:00Z", "01:00-02:00"));
        for minutes in 0..24 * 60 {
            let moment = at("2026-03-08T08:00:00Z") + std::time::Duration::from_secs(60 * minutes);
            assert!(!holds(&[], hours("02:00-03:00"), &place, moment));
        }
    }

    #[test]
    fn hours_through_midnight_are_of_the_day_that_they_began_on() {
        let friday = |text: &str| holds(&[Day::Fri], hours("22:00-02:00"), &Zone::default(), at(text));
        assert!(friday("2026-12-04T23:00:00Z") && friday("2026-12-05T01:59:00Z"));
        assert!(
            !friday("2026-12-04T01:00:00Z")
                && !friday("2026-12-05T02:00:00Z")
                && !friday("2026-12-05T22:30:00Z")
        );
    }
}
