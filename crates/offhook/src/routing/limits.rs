//! What calls may take: how many at once, how many of one caller, and how much a day.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

const DAY_S: u64 = 24 * 3_600;

/// `[limits]`, and `limits` of a route. Default: none.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Calls at once.
    pub(crate) calls: Option<usize>,
    /// Calls of one caller at once.
    pub(crate) calls_per_caller: Option<usize>,
    /// Minutes of calls a day (UTC).
    pub(crate) minutes_per_day: Option<u64>,
    /// What providers take a day, by `[prices]`.
    pub(crate) money_per_day: Option<f64>,
    /// What a caller hears who is one too many, by Twilio's voice.
    pub(crate) full: String,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: None,
            calls_per_caller: None,
            minutes_per_day: None,
            money_per_day: None,
            full: "All our lines are busy at the moment. Please call again a little later.".to_owned(),
        }
    }
}

/// What is going on, and was spent today.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) calls: usize,
    pub(crate) of_caller: usize,
    pub(crate) today: Today,
}

impl Limits {
    /// Whether anything is bounded.
    pub(crate) fn any(&self) -> bool {
        self.calls.is_some()
            || self.calls_per_caller.is_some()
            || self.minutes_per_day.is_some()
            || self.money_per_day.is_some()
    }

    /// Which bound is reached, in words for the log.
    pub(crate) fn reached(&self, load: &Load) -> Option<&'static str> {
        let minutes = load.today.length.as_secs() / 60;
        if self.calls.is_some_and(|most| load.calls >= most) {
            Some("calls")
        } else if self.calls_per_caller.is_some_and(|most| load.of_caller >= most) {
            Some("calls_per_caller")
        } else if self.minutes_per_day.is_some_and(|most| minutes >= most) {
            Some("minutes_per_day")
        } else if self.money_per_day.is_some_and(|most| load.today.money >= most) {
            Some("money_per_day")
        } else {
            None
        }
    }
}

/// What the calls of a day took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Today {
    pub(crate) length: Duration,
    pub(crate) money: f64,
}

/// What was spent today, by tenant; under the empty name by all.
#[derive(Debug, Default)]
pub(crate) struct Spent(Mutex<(u64, HashMap<String, Today>)>);

impl Spent {
    /// A call is over.
    pub(crate) fn add(&self, tenant: &str, length: Duration, money: f64, at: SystemTime) {
        self.of_day(at, |all| {
            let names = if tenant.is_empty() { vec![""] } else { vec!["", tenant] };
            for name in names {
                let today = all.entry(name.to_owned()).or_default();
                today.length += length;
                today.money += money;
            }
        });
    }

    /// What was spent so far.
    pub(crate) fn today(&self, tenant: &str, at: SystemTime) -> Today {
        self.of_day(at, |all| all.get(tenant).copied().unwrap_or_default())
    }

    fn of_day<T>(&self, at: SystemTime, take: impl FnOnce(&mut HashMap<String, Today>) -> T) -> T {
        let day = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / DAY_S;
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.0 != day {
            *spent = (day, HashMap::new());
        }
        take(&mut spent.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_reached_by_calls_callers_and_a_days_spending() {
        let limits: Limits =
            toml::from_str("calls = 2\ncalls_per_caller = 1\nminutes_per_day = 10\nmoney_per_day = 5.0")
                .unwrap();
        let load = |calls, of_caller| Load { calls, of_caller, today: Today::default() };
        assert!(limits.any() && !Limits::default().any());
        assert_eq!(limits.reached(&load(1, 0)), None);
        assert_eq!(limits.reached(&load(2, 0)), Some("calls"));
        assert_eq!(limits.reached(&load(1, 1)), Some("calls_per_caller"));
        let (spent, now) = (Spent::default(), SystemTime::UNIX_EPOCH + Duration::from_secs(DAY_S * 3));
        spent.add("a", Duration::from_secs(600), 1.0, now);
        spent.add("b", Duration::from_secs(60), 4.5, now);
        assert_eq!(spent.today("a", now).length, Duration::from_secs(600));
        assert_eq!(spent.today("", now), Today { length: Duration::from_secs(660), money: 5.5 });
        let today = |tenant| Load { today: spent.today(tenant, now), ..load(0, 0) };
        assert_eq!(limits.reached(&today("a")), Some("minutes_per_day"));
        assert_eq!(limits.reached(&today("b")), None);
        let tomorrow = now + Duration::from_secs(DAY_S);
        assert_eq!(spent.today("a", tomorrow), Today::default());
    }
}
