//! What is to be done once a lost connection is back.

use offhook_stage_api::{Interruptible, ReplyReason};

use crate::event::Control;
use crate::speech::Purpose;

/// What was going on when the connection broke.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// What was yet to be heard, and what may interrupt it.
    pub(crate) unheard: Vec<(Purpose, String, Interruptible)>,
    /// A reply was waited for, for this reason.
    pub(crate) asked: Option<ReplyReason>,
    /// What the application has wanted since, in order.
    pub(crate) controls: Vec<Control>,
}
