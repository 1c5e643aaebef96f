//! Every order ends: a placed call of which nothing more is heard is asked about, and one that Twilio never owned up to is looked for.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use offhook_twilio::calls::{CallStatus, NewCall};

use super::CallRegistry;
use super::live_call::LiveCall;

/// Callbacks are late by so much at most; then Twilio is asked.
const LATE: Duration = Duration::from_secs(45);
/// Between two questions about a call.
const EVERY: Duration = Duration::from_secs(60);

/// What is to be done about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It has ended.
    Nothing,
    /// Its stream runs, and will end it.
    Wait,
    /// Twilio is asked about it.
    Ask,
    /// It is given up: its last words are these.
    End(&'static str),
}

/// An order's limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// So long it rings.
    ring_for: Duration,
    /// So long it lasts once answered.
    lasts: Duration,
}

impl Limits {
    pub(super) fn of(new: &NewCall) -> Self {
        Self { ring_for: new.ring_for, lasts: new.time_limit.unwrap_or(Duration::from_secs(4 * 3_600)) }
    }

    /// When it is first asked about.
    fn first(self) -> Duration {
        self.ring_for + LATE
    }

    /// `age`: since it was ordered; `asked`: how often Twilio was asked about it.
    fn next(self, age: Duration, asked: u32, live: &LiveCall) -> Next {
        let record = live.record();
        if record.over {
            Next::Nothing
        } else if record.talking {
            Next::Wait
        } else if record.sid.is_none() && asked > 0 {
            Next::End("Twilio did not say whether it placed the call, and knows no such call")
        } else if age > self.ring_for + self.lasts + LATE {
            Next::End("how the call ended was never told")
        } else {
            Next::Ask
        }
    }
}

impl CallRegistry {
    /// Sees to it that an order ends.
    pub(super) async fn see_to_end(self: Arc<Self>, live: Arc<LiveCall>, new: NewCall) {
        let limits = Limits::of(&new);
        let since = live.about.since;
        let (mut asked, mut wait) = (0, limits.first());
        loop {
            tokio::time::sleep(wait).await;
            wait = EVERY;
            let age = SystemTime::now().duration_since(since).unwrap_or_default();
            match limits.next(age, asked, &live) {
                Next::Nothing => return,
                Next::Wait => {}
                Next::Ask if live.sid().is_some() => self.ask_about(&live).await,
                Next::Ask => self.look_again(&live, &new, since).await,
                Next::End(why) => {
                    tracing::warn!(call = live.sid(), to = live.about.to, why, "a call is given up");
                    {
                        let mut record = live.record();
                        record.troubles.push(why.to_owned());
                        if !record.status.is_over() {
                            record.status = CallStatus::Failed;
                        }
                    }
                    return self.conclude(&live);
                }
            }
            asked += 1;
        }
    }

    /// Is there such a call after all?
    async fn look_again(&self, live: &LiveCall, new: &NewCall, since: SystemTime) {
        let Some(rest) = &self.rest else { return };
        let found = rest.find(new, since, &|sid: &str| self.call(sid).is_some()).await;
        let Some(found) = found else { return };
        let bound = self.index().bind(&live.about.reference, &found.sid);
        if let (Some(live), Some(status)) = (bound, CallStatus::parse(&found.status)) {
            self.on_status(&live, status, None, (None, None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::live_call::tests::about;
    use super::*;

    #[test]
    fn every_order_ends() {
        let limits = Limits { ring_for: Duration::from_secs(30), lasts: Duration::from_secs(600) };
        assert_eq!(limits.first(), Duration::from_secs(75));
        let order =
            |sid: Option<&str>| LiveCall::new(about(None), sid.map(str::to_owned), CallStatus::Queued);
        let (unclear, placed) = (order(None), order(Some("CA1")));
        let next = |seconds, asked, live| limits.next(Duration::from_secs(seconds), asked, live);
        // One that Twilio never owned up to is looked for once.
        assert_eq!(next(75, 0, &unclear), Next::Ask);
        assert!(matches!(next(135, 1, &unclear), Next::End(why) if why.contains("no such call")));
        // One whose callbacks are lost is asked about until it must have ended.
        assert_eq!((next(75, 0, &placed), next(300, 5, &placed)), (Next::Ask, Next::Ask));
        assert!(matches!(next(676, 11, &placed), Next::End(_)));
        placed.record().talking = true;
        assert_eq!(next(676, 11, &placed), Next::Wait);
        placed.conclude();
        assert_eq!(next(80, 0, &placed), Next::Nothing);
    }
}
