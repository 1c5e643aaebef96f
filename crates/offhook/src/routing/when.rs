//! Days and hours at which a route holds.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, de};

const MINUTE_S: i64 = 60;
const DAY_S: i64 = 24 * 60 * MINUTE_S;

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

/// From one time of day to another, in minutes since midnight: `09:00-17:30`. Through midnight, where the second is before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hours {
    from: i64,
    until: i64,
}

/// A clock's lead over UTC, in minutes: `+01:00`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offset(i64);

fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
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

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = match text.strip_prefix('-') {
            Some(text) => minutes(text).map(|minutes| -minutes),
            None => minutes(text.trim_start_matches('+')),
        };
        read.map(Self)
            .ok_or_else(|| de::Error::custom(format!("`{text}` is no offset from UTC: write it like +01:00")))
    }
}

/// Whether a time lies on one of these days, and within these hours.
pub(super) fn holds(days: &[Day], hours: Option<Hours>, Offset(offset): Offset, at: SystemTime) -> bool {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let local = i64::try_from(since).unwrap_or(i64::MAX / 2) + offset * MINUTE_S;
    // The first of January 1970 was a Thursday.
    let day = usize::try_from((local.div_euclid(DAY_S) + 3).rem_euclid(7)).unwrap_or(0);
    let minute = local.rem_euclid(DAY_S) / MINUTE_S;
    let today = WEEK.get(day).is_none_or(|today| days.is_empty() || days.contains(today));
    let now = hours.is_none_or(|Hours { from, until }| {
        if from <= until { (from..until).contains(&minute) } else { minute >= from || minute < until }
    });
    today && now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_hours_are_those_of_the_place() {
        // Monday, 30 November 2026, 23:30 UTC.
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_081_400);
        let hours = |text: &str| -> Option<Hours> { toml::Value::String(text.into()).try_into().ok() };
        let offset = |text: &str| -> Offset { toml::Value::String(text.into()).try_into().unwrap() };
        assert!(holds(&[Day::Mon], hours("23:00-24:00"), Offset(0), at));
        assert!(!holds(&[Day::Tue], None, Offset(0), at));
        assert!(holds(&[Day::Tue], hours("00:00-01:00"), offset("+01:00"), at));
        assert!(holds(&[], hours("15:00-16:00"), offset("-08:00"), at));
        assert!(
            holds(&[], hours("22:00-06:00"), Offset(0), at)
                && !holds(&[], hours("06:00-22:00"), Offset(0), at)
        );
        assert_eq!((hours("9-17"), hours("25:00-26:00")), (None, None));
    }
}
