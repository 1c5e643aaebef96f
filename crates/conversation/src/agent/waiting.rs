//! What the caller is waiting for, if for anything, derived from the state of everything else; and what is said into it.

use std::time::Duration;

use offhook_stage_api::{CallTime, UtteranceId};

use super::Agent;
use super::outcome::{Soundless, TooLong};
use super::reply::Phase;
use super::toolbox::OWN_FILLER_AFTER;
use crate::caller::Caller;
use crate::deadline::{Deadline, Why};
use crate::event::{CallEvent, DropCause};
use crate::line::LineCommand;
use crate::moment::Moment;
use crate::speech::{Bridge, Progress, Purpose, Utterance};

/// A turn that waited long for its end still gets so much time for its answer before a filler is said.
const SHORTLY: Duration = Duration::from_millis(200);

/// So many of the engine's own phrases without a sound, one after the other, and the voice is given up.
const MOST_VOICE_FAILURES: u32 = 3;

/// A wait of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    /// What for.
    bridge: Bridge,
    /// Since when.
    since: CallTime,
    /// How long until the first filler.
    first: Duration,
    /// No filler before this.
    not_before: CallTime,
    why: Why,
}

impl Waiting {
    /// Whether an utterance is what is waited for.
    fn is_for(&self, id: UtteranceId, purpose: &Purpose) -> bool {
        match self.bridge {
            Bridge::Reply(reply) => purpose.reply() == Some(reply),
            Bridge::Rest(waited) => waited == id,
            Bridge::Words | Bridge::Tools => false,
        }
    }
}

impl Agent {
    /// The one thing that the caller is waiting for now.
    fn waiting(&self, caller: &Caller, at: &Moment<'_>) -> Option<Waiting> {
        let turn = caller.turn();
        if turn.holds_floor() || caller.barges_in() {
            return None;
        }
        let first = at.config.timeouts.reply_late;
        let waiting = |bridge, since, why| Waiting { bridge, since, first, not_before: CallTime::ZERO, why };
        if let Some(said) = self.speaking.current()
            && let Some(since) = at.line.dry_since(said.id, at.now)
        {
            return Some(waiting(Bridge::Rest(said.id), since, Why::RestLate));
        }
        if let Some(pause) = turn.pause() {
            let in_trouble =
                caller.recogniser_in_trouble(pause) && turn.spoken() >= at.config.turn.shortest_wordless;
            return in_trouble.then(|| waiting(Bridge::Words, turn.ended(), Why::WordsLate));
        }
        if let Some(reply) = self.reply.as_ref().filter(|reply| reply.phase == Phase::Due) {
            let said = reply.utterance.and_then(|id| self.speaking.get(id));
            if said.is_some_and(|said| said.progress == Progress::Ready) {
                return None;
            }
            let mut waiting = waiting(Bridge::Reply(reply.id), reply.since, Why::ReplyLate);
            // The caller counts from the end of the speech, whatever the turn and the tools took.
            let asked = turn.decided().map_or(reply.requested, |decided| decided.at);
            waiting.not_before = asked + first.min(SHORTLY);
            return Some(waiting);
        }
        if self.tools.any() && turn.is_quiet() && self.is_done_replying() {
            return self.waiting_for_tools(waiting(Bridge::Tools, at.now, Why::ToolLate), at);
        }
        None
    }

    fn waiting_for_tools(&self, waiting: Waiting, at: &Moment<'_>) -> Option<Waiting> {
        let since = self.tools.running().map(|tool| tool.since).min()?;
        if self.silence.bridged == 0 && self.own_tool_filler(at).is_some() {
            return Some(Waiting { since, first: OWN_FILLER_AFTER, ..waiting });
        }
        // Where nothing was said before its call, the caller has waited since the end of the turn.
        let unannounced = self.reply.as_ref().filter(|reply| reply.utterance.is_none());
        let since = unannounced.map_or(since, |reply| reply.since.min(since));
        Some(Waiting { since, ..waiting })
    }

    /// Since when the caller waits for what follows the tools: its filler comes no later than the tools' own would have, but not
    /// at once.
    pub(super) fn waits_on(&self, at: &Moment<'_>) -> CallTime {
        let timeouts = &at.config.timeouts;
        let silent = self.silence.since.max(self.silence.bridged_at);
        let next = if self.silence.bridged == 0 { timeouts.reply_late } else { timeouts.reply_very_late };
        let due = (silent + next).max(at.now + SHORTLY);
        at.now.min(due.back(timeouts.reply_late))
    }

    fn own_tool_filler<'a>(&self, at: &Moment<'a>) -> Option<&'a String> {
        self.tools.running().find_map(|tool| self.language.tool_filler(at.config, &tool.name))
    }

    pub(crate) fn wait_deadline(&self, caller: &Caller, at: &Moment<'_>) -> Option<Deadline> {
        let waiting = self.waiting(caller, at)?;
        // While something else is said, or about to be, the wait hasn't begun.
        let busy = |said: &Utterance| said.progress != Progress::Held;
        // What stands behind it waits as well.
        let before = self.speaking.iter().take_while(|said| !waiting.is_for(said.id, &said.purpose));
        if before.into_iter().any(busy) {
            return None;
        }
        let timeouts = &at.config.timeouts;
        let silence = &self.silence;
        let due = if silence.bridged == 0 {
            let since = waiting.since.max(silence.since);
            (since + waiting.first).max(waiting.not_before)
        } else if waiting.bridge == Bridge::Words {
            return None;
        } else {
            waiting.since.max(silence.since).max(silence.bridged_at) + timeouts.reply_very_late
        };
        Some(Deadline::new(due, waiting.why))
    }

    /// The caller has waited too long: a filler, or after one, where that is no tool, an apology.
    pub(crate) fn bridge_wait(&mut self, caller: &Caller, at: &mut Moment<'_>) -> TooLong {
        let Some(Waiting { bridge, .. }) = self.waiting(caller, at) else { return TooLong::Bridged };
        match bridge {
            Bridge::Reply(_) if self.silence.bridged > 0 => {
                at.trouble("the reply takes too long; it was given up");
                return TooLong::GiveUpReply;
            }
            // Nobody waits for the rest of a filler: what stands behind it is said.
            Bridge::Rest(id)
                if self.silence.bridged > 0
                    || self.speaking.get(id).is_some_and(|said| said.purpose.is_own()) =>
            {
                return self.give_up_rest(id, at);
            }
            Bridge::Words if self.silence.bridged > 0 => return TooLong::Bridged,
            Bridge::Reply(_) | Bridge::Rest(_) | Bridge::Words | Bridge::Tools => {}
        }
        let own = (bridge == Bridge::Tools && self.silence.bridged == 0)
            .then(|| self.own_tool_filler(at).cloned())
            .flatten();
        let filler = own.or_else(|| self.silence.next_filler(self.language.phrases(at.config)));
        self.silence.bridge(at.now);
        if let Some(filler) = filler {
            self.say(Purpose::Filler(bridge), &filler, None, at);
        }
        if bridge == Bridge::Tools
            && let Some(sound) = self.tool_sound(at)
        {
            at.command(LineCommand::Music(sound));
        }
        TooLong::Bridged
    }

    fn tool_sound(&self, at: &Moment<'_>) -> Option<String> {
        self.tools.running().find_map(|tool| at.config.tools.get(&tool.name)?.sound.clone())
    }

    /// What is being said has run dry for good.
    fn give_up_rest(&mut self, id: UtteranceId, at: &mut Moment<'_>) -> TooLong {
        let Some(said) = self.speaking.get(id) else { return TooLong::Bridged };
        let of_reply = said.purpose.reply().is_some();
        at.trouble("the rest of what was being said takes too long; it was given up");
        let heard = at.line.give_up(id, at.now);
        let gone = self.speaking.cut(id, heard);
        self.all_gone(gone, at);
        self.silence.over(at.now);
        self.silence.wait_anew();
        if of_reply {
            self.apologise(at);
        } else if self.voice_failed(at) {
            return TooLong::VoiceFailed;
        }
        TooLong::Bridged
    }

    // The voice.

    /// The voice gave no sound at all for it.
    pub(crate) fn on_soundless(&mut self, id: UtteranceId, at: &mut Moment<'_>) -> Soundless {
        let Some(said) = self.speaking.remove(id) else { return Soundless::Skipped };
        let what = said.purpose.kind();
        at.event(CallEvent::Dropped { utterance: id, what, why: DropCause::NoSound });
        self.silence.over(at.now);
        self.speaking.next_in_turn(at);
        let of_reply = self.reply.as_mut().filter(|reply| reply.utterance == Some(id) && !reply.has_begun());
        if let Some(reply) = of_reply {
            at.trouble("the voice gave no sound for the reply");
            reply.utterance = None;
            return Soundless::Reply;
        }
        if self.voice_failed(at) { Soundless::VoiceFailed } else { Soundless::Skipped }
    }

    /// True if the voice is given up.
    fn voice_failed(&mut self, at: &mut Moment<'_>) -> bool {
        self.silence.voice_failures += 1;
        let given_up = self.silence.voice_failures >= MOST_VOICE_FAILURES;
        if given_up {
            at.trouble("the voice gives no sound any more; the call is given up");
        }
        given_up
    }

    /// When one of the engine's own phrases has waited too long for its voice.
    pub(crate) fn voice_deadline(&self, at: &Moment<'_>) -> Option<Deadline> {
        self.speaking.voice_deadline(at)
    }

    pub(crate) fn on_voice_late(&mut self, at: &mut Moment<'_>) -> Soundless {
        let Some(id) = self.speaking.waits_for_voice() else { return Soundless::Skipped };
        at.command(LineCommand::Discard(id));
        let keys = self.speaking.get(id).map(|said| said.purpose.clone());
        if let Some(Purpose::Keys(Some(tool))) = keys {
            self.keys_done(tool, Err("not pressed: the line was not free in time".to_owned()), at);
        }
        self.on_soundless(id, at)
    }

    // The caller's silence.

    /// The caller has said something, or done what is as good: another wait begins.
    pub(crate) fn wait_anew(&mut self) {
        self.silence.wait_anew();
    }

    /// The caller said or keyed something: check-ins begin anew.
    pub(crate) fn caller_is_there(&mut self) {
        self.silence.caller_is_there();
    }

    /// Whatever was said before counts as over now.
    pub(crate) fn silence_begins(&mut self, at: &Moment<'_>) {
        self.silence.over(at.now);
    }

    /// When the caller has been silent for too long, unless the call is about to be left.
    pub(crate) fn silence_deadline(&self, caller: &Caller, at: &Moment<'_>) -> Option<Deadline> {
        let idle = caller.is_answered()
            && caller.has_no_open_keys()
            && self.speaking.is_idle()
            && !self.tools.any()
            && !self.tools.are_results_due()
            && self.is_done_replying();
        let since = self.silence.since.max(caller.heard_at()).max(self.tools.ended_at());
        let since = since.max(at.line.plays_until(at.now).min(at.now));
        idle.then(|| Deadline::new(since + at.config.timeouts.caller_silent, Why::CallerSilent))
    }

    /// The caller has been silent for too long. True if the farewell is said, because nothing else helped.
    pub(crate) fn check_in(&mut self, at: &mut Moment<'_>) -> bool {
        self.silence.over(at.now);
        match self.silence.next_check_in(self.language.phrases(at.config)) {
            Some(text) => {
                self.say(Purpose::CheckIn, &text, None, at);
                false
            }
            None => {
                self.say_phrase(Purpose::Farewell, |phrases| &phrases.farewell, None, at);
                true
            }
        }
    }
}
