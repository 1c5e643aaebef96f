//! What the caller is waiting for, if for anything: derived from the state of everything else.

use std::time::Duration;

use offhook_stage_api::{CallTime, UtteranceId};

use crate::conversation::Conversation;
use crate::deadline::Why;
use crate::line::Line;
use crate::reply::Phase;
use crate::speech::{Bridge, Progress, Purpose};
use crate::tools::OWN_FILLER_AFTER;

/// A turn that waited long for its end still gets so much time for its answer before a filler is said.
const SHORTLY: Duration = Duration::from_millis(200);
/// Recognisers give the words of a pause after 0.25 to 1 s.
const RECOGNISER_IN_TROUBLE: Duration = Duration::from_millis(1_100);

/// A wait of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// What for.
    pub(crate) bridge: Bridge,
    /// Since when.
    pub(crate) since: CallTime,
    /// How long until the first filler.
    pub(crate) first: Duration,
    /// No filler before this.
    pub(crate) not_before: CallTime,
    pub(crate) why: Why,
}

impl Waiting {
    /// Whether an utterance is what is waited for.
    pub(crate) fn is_for(&self, id: UtteranceId, purpose: &Purpose) -> bool {
        match self.bridge {
            Bridge::Reply(reply) => purpose.reply() == Some(reply),
            Bridge::Rest(waited) => waited == id,
            Bridge::Words | Bridge::Tools => false,
        }
    }
}

impl Conversation {
    /// The one thing that the caller is waiting for now.
    pub(crate) fn waiting(&self, line: &dyn Line) -> Option<Waiting> {
        if self.turn.holds_floor() || self.barge_in.is_some() || self.voicemail.is_there() {
            return None;
        }
        let first = self.config.timeouts.reply_late;
        let waiting = |bridge, since, why| Waiting { bridge, since, first, not_before: CallTime::ZERO, why };
        if let Some(said) = self.speech.current()
            && let Some(since) = line.dry_since(said.id, self.now)
        {
            return Some(waiting(Bridge::Rest(said.id), since, Why::RestLate));
        }
        if let Some(reply) = self.reply.as_ref().filter(|reply| reply.phase == Phase::Due) {
            let said = reply.utterance.and_then(|id| self.speech.get(id));
            if said.is_some_and(|said| said.progress == Progress::Ready) {
                return None;
            }
            let mut waiting = waiting(Bridge::Reply(reply.id), reply.since, Why::ReplyLate);
            // The caller counts from the end of the speech, whatever the turn waited for.
            if let Some(decided) = self.turn.decided() {
                waiting.not_before = decided.at + first.min(SHORTLY);
            }
            return Some(waiting);
        }
        if let Some(pause) = self.turn.pause() {
            let late = |at: CallTime| at.since(self.turn.ended) >= RECOGNISER_IN_TROUBLE;
            let in_trouble =
                pause.settled_at.is_none_or(late) && self.turn.spoken >= self.config.turn.shortest_wordless;
            return in_trouble.then(|| waiting(Bridge::Words, self.turn.ended, Why::WordsLate));
        }
        if self.tools.any() && self.turn.is_quiet() && self.reply.as_ref().is_none_or(|reply| reply.is_over())
        {
            return self.waiting_for_tools(waiting(Bridge::Tools, self.now, Why::ToolLate));
        }
        None
    }

    fn waiting_for_tools(&self, waiting: Waiting) -> Option<Waiting> {
        let since = self.tools.running().map(|tool| tool.since).min()?;
        if self.silence.bridged == 0 && self.own_tool_filler().is_some() {
            return Some(Waiting { since, first: OWN_FILLER_AFTER, ..waiting });
        }
        // Where nothing was said before its call, the caller has waited since the end of the turn.
        let unannounced = self.reply.as_ref().filter(|reply| reply.utterance.is_none());
        let since = unannounced.map_or(since, |reply| reply.since.min(since));
        Some(Waiting { since, ..waiting })
    }

    pub(crate) fn own_tool_filler(&self) -> Option<&String> {
        self.tools.running().find_map(|tool| self.language.tool_filler(&self.config, &tool.name))
    }
}
