//! How much has been heard of what is being said, for a model that wants to know while it is said.

use std::time::Duration;

use offhook_stage_api::{CallTime, News, UtteranceId};

use crate::moment::Moment;
use crate::speech::Purpose;

/// What is heard is looked at so often.
const LOOK: Duration = Duration::from_millis(200);

/// What was reported of what is being said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    next: CallTime,
    of: Option<UtteranceId>,
    octets: usize,
}

impl Progress {
    /// Reports what the caller hears of this utterance, if more was heard since the last time.
    pub(super) fn report(&mut self, utterance: Option<(UtteranceId, &Purpose)>, at: &mut Moment<'_>) {
        if !at.config.follows_words || at.now < self.next {
            return;
        }
        self.next = at.now + LOOK;
        let Some((id, purpose)) = utterance else { return };
        if matches!(purpose, Purpose::Keys(_) | Purpose::Echo) {
            return;
        }
        let heard = at.line.heard(id, at.now).text;
        let before = if self.of == Some(id) { self.octets } else { 0 };
        if heard.len() > before {
            (self.of, self.octets) = (Some(id), heard.len());
            at.news(|| News::AgentSays { heard });
        }
    }
}
