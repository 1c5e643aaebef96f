//! What the caller is waiting for, if for anything, derived from the state of everything else; and what is said into it.

use std::time::Duration;

use offhook_stage_api::{CallTime, UtteranceId};

use crate::conversation::Conversation;
use crate::deadline::{Deadline, Why};
use crate::event::EndReason;
use crate::line::{Line, LineCommand};
use crate::reply::{Phase, Reply};
use crate::speech::{Bridge, Progress, Purpose, Utterance};
use crate::tools::OWN_FILLER_AFTER;
use crate::turn::Pause;

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
        if let Some(pause) = self.turn.pause() {
            let in_trouble =
                self.recogniser_in_trouble(pause) && self.turn.spoken >= self.config.turn.shortest_wordless;
            return in_trouble.then(|| waiting(Bridge::Words, self.turn.ended, Why::WordsLate));
        }
        if let Some(reply) = self.reply.as_ref().filter(|reply| reply.phase == Phase::Due) {
            let said = reply.utterance.and_then(|id| self.speech.get(id));
            if said.is_some_and(|said| said.progress == Progress::Ready) {
                return None;
            }
            let mut waiting = waiting(Bridge::Reply(reply.id), reply.since, Why::ReplyLate);
            // The caller counts from the end of the speech, whatever the turn and the tools took.
            let asked = self.turn.decided().map_or(reply.requested, |decided| decided.at);
            waiting.not_before = asked + first.min(SHORTLY);
            return Some(waiting);
        }
        if self.tools.any() && self.turn.is_quiet() && self.reply.as_ref().is_none_or(|reply| reply.is_over())
        {
            return self.waiting_for_tools(waiting(Bridge::Tools, self.now, Why::ToolLate));
        }
        None
    }

    /// Whether the words of a pause came, or said that there are none, later than a recogniser in good order takes.
    pub(crate) fn recogniser_in_trouble(&self, pause: &Pause) -> bool {
        pause.settled_at.is_none_or(|at| at.since(self.turn.ended) >= RECOGNISER_IN_TROUBLE)
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

    /// Since when the caller waits for what follows the tools: its filler comes no later than the tools' own would have, but not
    /// at once.
    pub(crate) fn waits_on(&self) -> CallTime {
        let timeouts = &self.config.timeouts;
        let silent = self.silence.since.max(self.silence.bridged_at);
        let next = if self.silence.bridged == 0 { timeouts.reply_late } else { timeouts.reply_very_late };
        let due = (silent + next).max(self.now + SHORTLY);
        self.now.min(due.back(timeouts.reply_late))
    }

    pub(crate) fn own_tool_filler(&self) -> Option<&String> {
        self.tools.running().find_map(|tool| self.language.tool_filler(&self.config, &tool.name))
    }

    pub(crate) fn wait_deadline(&self, line: &dyn Line) -> Option<Deadline> {
        let waiting = self.waiting(line)?;
        // While something else is said, or about to be, the wait hasn't begun.
        let busy = |said: &Utterance| said.progress != Progress::Held;
        // What stands behind it waits as well.
        let before = self.speech.iter().take_while(|said| !waiting.is_for(said.id, &said.purpose));
        if before.into_iter().any(busy) {
            return None;
        }
        let timeouts = &self.config.timeouts;
        let at = if self.silence.bridged == 0 {
            let since = waiting.since.max(self.silence.since);
            (since + waiting.first).max(waiting.not_before)
        } else if waiting.bridge == Bridge::Words {
            return None;
        } else {
            waiting.since.max(self.silence.since).max(self.silence.bridged_at) + timeouts.reply_very_late
        };
        Some(Deadline::new(at, waiting.why))
    }

    /// The caller has waited too long: a filler, or after one, where that is no tool, an apology.
    pub(crate) fn bridge_wait(&mut self, line: &mut dyn Line) {
        let Some(Waiting { bridge, .. }) = self.waiting(&*line) else { return };
        if self.silence.bridged > 0 && bridge != Bridge::Tools {
            return match bridge {
                Bridge::Reply(_) => {
                    self.trouble("the reply takes too long; it was given up");
                    self.give_up_reply(line);
                }
                Bridge::Rest(id) => self.give_up_rest(id, line),
                Bridge::Words | Bridge::Tools => {}
            };
        }
        if let Bridge::Rest(id) = bridge
            && self.speech.get(id).is_some_and(|said| said.purpose.is_own())
        {
            // Nobody waits for the rest of a filler: what stands behind it is said.
            return self.give_up_rest(id, line);
        }
        let own = (bridge == Bridge::Tools && self.silence.bridged == 0)
            .then(|| self.own_tool_filler().cloned())
            .flatten();
        let filler = own.or_else(|| self.silence.next_filler(self.language.phrases(&self.config)));
        self.silence.bridge(self.now);
        if let Some(filler) = filler {
            self.say(Purpose::Filler(bridge), &filler, None, line);
        }
        if bridge == Bridge::Tools
            && let Some(sound) = self.tool_sound()
        {
            line.command(LineCommand::Music(sound), self.now);
        }
    }

    fn tool_sound(&self) -> Option<String> {
        self.tools.running().find_map(|tool| self.config.tools.get(&tool.name)?.sound.clone())
    }

    /// What is being said has run dry for good.
    fn give_up_rest(&mut self, id: UtteranceId, line: &mut dyn Line) {
        let Some(said) = self.speech.get(id) else { return };
        let of_reply = said.purpose.reply().is_some();
        self.trouble("the rest of what was being said takes too long; it was given up");
        let heard = line.give_up(id, self.now);
        self.note_cut(id, &heard);
        self.silence.over(self.now);
        self.silence.bridged = 0;
        if of_reply {
            self.apologise(line);
        } else {
            self.voice_failed(line);
        }
    }

    /// When the caller has been silent for too long.
    pub(crate) fn silence_deadline(&self, line: &dyn Line) -> Option<Deadline> {
        let idle = self.turn.is_quiet()
            && self.barge_in.is_none()
            && self.speech.is_idle()
            && self.keypad.is_empty()
            && self.unanswered_digits.is_none()
            && !self.tools.any()
            && !self.tools.results_due
            && !self.leaving.is_wanted()
            && self.reply.as_ref().is_none_or(Reply::is_over);
        let since = self.silence.since.max(self.silence.caller).max(self.tools.ended_at);
        let since = since.max(line.plays_until(self.now).min(self.now));
        idle.then(|| Deadline::new(since + self.config.timeouts.caller_silent, Why::CallerSilent))
    }

    pub(crate) fn on_caller_silent(&mut self, line: &mut dyn Line) {
        self.silence.over(self.now);
        match self.silence.next_check_in(self.language.phrases(&self.config)) {
            Some(text) => {
                self.say(Purpose::CheckIn, &text, None, line);
            }
            None => {
                let farewell = self.language.phrases(&self.config).farewell.clone();
                self.say(Purpose::Farewell, &farewell, None, line);
                self.leaving.hang_up(EndReason::CallerSilent);
            }
        }
    }
}
