//! The conversation: takes what happens, and has its parts do what follows.
//!
//! It has three parts, each of which owns its state: the [`Caller`], the [`Agent`], and the [`Life`] of the call. What one part's news
//! mean to the others is decided here: in `listening` what follows from what the caller does, in `answering` what follows from what the
//! model, its tools and the voice do, in `parting` how the call is left, lost and found again.

mod answering;
mod listening;
mod parting;

use std::time::Duration;

use offhook_stage_api::{Entry, LlmEvent, ReplyReason, StageFailure, ToolCall, ToolResult, TurnEvent};

use crate::agent::{Agent, Soundless};
use crate::caller::Caller;
use crate::config::ConversationConfig;
use crate::deadline::{Deadline, Why};
use crate::event::{CallEvent, Control, EndReason};
use crate::leaving::WantedBy;
use crate::life::Life;
use crate::line::{LineCommand, LineEvent};
use crate::moment::Moment;
use crate::speech::Purpose;

/// Something that happened to the conversation, other than on its line.
#[derive(Debug)]
pub(crate) enum Happened {
    Start,
    Turn(TurnEvent),
    Llm(LlmEvent),
    /// The language model or script has ended: no reply will come any more.
    LlmEnded(StageFailure),
    Tool(ToolResult),
    Control(Control),
    Stop,
    Timeout,
}

/// A conversation.
pub(crate) struct Conversation {
    caller: Caller,
    agent: Agent,
    life: Life,
}

/// More than this at one moment is a fault of ours; it must not hold up other calls.
const MOST_AT_ONCE: usize = 64;
/// Whatever could not be done at once is done after this.
const SOON: Duration = Duration::from_millis(20);

impl Conversation {
    pub(crate) fn new(config: &ConversationConfig, passive: bool) -> Self {
        Self { caller: Caller::new(config), agent: Agent::new(config), life: Life::new(passive) }
    }

    /// The call's life: whether it has begun, is lost or over.
    pub(crate) const fn life(&self) -> &Life {
        &self.life
    }

    /// Nothing is being said, nor about to be.
    pub(crate) fn is_idle(&self) -> bool {
        self.agent.is_idle()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.agent.entries()
    }

    pub(crate) fn handle(&mut self, happened: Happened, at: &mut Moment<'_>) {
        match happened {
            Happened::Start if self.life.is_fresh() => self.start(at),
            Happened::Stop if self.life.has_hung_up() => {
                self.life.end();
            }
            _ if !self.life.is_running() && !self.life.is_lost() => return,
            happened => self.on_happened(happened, at),
        }
        self.settle(at);
    }

    fn on_happened(&mut self, happened: Happened, at: &mut Moment<'_>) {
        match happened {
            Happened::Start => at.trouble("a second `start` came on the same stream; it was ignored"),
            Happened::Turn(event) => self.caller.on_turn_model(event),
            Happened::Llm(_) if self.life.is_lost() => {}
            Happened::Llm(event) => self.on_llm(event, at),
            Happened::LlmEnded(failure) => self.on_llm_ended(failure, at),
            Happened::Tool(result) => self.on_tool_result(result, at),
            Happened::Control(control) if self.life.is_lost() => self.control_while_lost(control, at),
            Happened::Control(control) => self.on_control(control, at),
            Happened::Stop => self.end(self.life.stopped(), at),
            Happened::Timeout => {}
        }
    }

    /// Takes an event of the line's.
    pub(crate) fn on_line(&mut self, event: LineEvent, at: &mut Moment<'_>) {
        match &event {
            LineEvent::Notice(_) => {}
            LineEvent::Back if self.life.is_running() => {
                return at.trouble("a second `setup` came in the same session; it was ignored");
            }
            _ if self.life.is_running() => {}
            // What the recogniser had heard before still comes.
            LineEvent::Back | LineEvent::Heard { .. } | LineEvent::OtherRecogniser | LineEvent::Deaf(_)
                if self.life.is_lost() => {}
            _ => return,
        }
        match event {
            LineEvent::CallerBegan { at: onset, position } => self.on_caller_began(onset, position, at),
            LineEvent::CallerPaused { at: ended, position } => self.on_caller_paused(ended, position, at),
            LineEvent::Heard { transcript, is_final, span } => self.on_heard(transcript, is_final, span, at),
            LineEvent::Said { text } => self.on_said(&text, at),
            LineEvent::Hint(hint) => self.caller.on_hint(hint),
            LineEvent::Keyed(key) => self.on_key(key, at),
            LineEvent::Beep => match self.life.take_screened() {
                Some(message) => self.leave_message(message, true, at),
                None => {
                    let message = self.life.on_beep(at.now);
                    self.say_message(message, at);
                }
            },
            LineEvent::Ready(id) => self.agent.on_ready(id, at),
            // It is a deadline that follows from it.
            LineEvent::Dry(_) => {}
            LineEvent::Began(id) => {
                if self.agent.on_began(id, at) {
                    self.begin_reply(true, at);
                }
            }
            LineEvent::Over { id, heard } => {
                if self.agent.on_over(id, &heard, at) && at.line.audible(at.now).is_none() {
                    self.caller.nothing_is_heard(at);
                }
            }
            LineEvent::Soundless(id) => {
                let soundless = self.agent.on_soundless(id, at);
                self.on_soundless(soundless, at);
            }
            LineEvent::CutOff(cut) => self.on_cut_off(cut, at),
            LineEvent::OtherRecogniser => self.caller.other_recogniser(at.config.turn.partials),
            LineEvent::Deaf(failure) => {
                self.caller.other_recogniser(false);
                at.trouble(&format!(
                    "no speech-to-text provider is available any more: {failure}. The agent hears keys only."
                ));
            }
            LineEvent::Lost(cut) => self.on_lost(&cut, at),
            LineEvent::Back => self.on_back(at),
            LineEvent::Dead => {
                at.trouble("no media came for too long; the call is given up");
                self.agent.cut_all(at);
                self.hang_up(EndReason::NoMedia, None, at);
            }
            LineEvent::Notice(event) => at.event(event),
        }
        self.settle(at);
    }

    fn on_control(&mut self, control: Control, at: &mut Moment<'_>) {
        match control {
            Control::Say { text, interruptible } => {
                self.agent.say(Purpose::Announcement, &text, Some(interruptible), at);
            }
            Control::Press { digits } => {
                if let Err(why) = self.agent.press(&digits, None, at) {
                    at.trouble(&format!("keys were not pressed: {why}"));
                }
            }
            Control::HangUp => self.life.hang_up(EndReason::HungUp),
            Control::Transfer { to } => {
                self.transfer(ToolCall::transfer(&to), WantedBy::Application, at);
            }
            Control::LeaveMessage { text, beeped } => self.leave_message(text, beeped, at),
        }
    }

    fn start(&mut self, at: &mut Moment<'_>) {
        self.life.begin();
        self.caller.begin(at.line.decides_turns());
        if self.life.is_passive() {
            return;
        }
        if at.config.voicemail.expected {
            at.command(LineCommand::AwaitBeep);
        }
        let is_back = !at.config.history.before.is_empty();
        if is_back && at.config.history.cut_off {
            return self.go_on_after_cut(at);
        }
        match at.config.phrases.greeting.as_ref().filter(|_| !is_back) {
            Some(greeting) => self.agent.say(Purpose::Greeting(None), greeting, None, at),
            // A caller who comes back hears how it stands, no greeting.
            None => {
                let reason = if is_back { ReplyReason::Tool } else { ReplyReason::Greeting };
                self.request(reason, false, at);
            }
        }
    }

    /// Brings everything up to `now`: what time decides, and what follows from what has happened.
    fn settle(&mut self, at: &mut Moment<'_>) {
        for _ in 0..MOST_AT_ONCE {
            if let Some(until) = self.life.lost_until() {
                if until <= at.now {
                    self.end(EndReason::StreamStopped, at);
                }
                return;
            }
            if !self.life.is_running() {
                return;
            }
            if let Some(due) = self.own_deadline(at).filter(|due| due.at <= at.now) {
                self.on_deadline(due.why, at);
                continue;
            }
            let acted = self.answer_turn(at)
                || self.go_on_after_tools(at)
                || self.take_initiative(at)
                || self.leave_when_said(at);
            if !acted {
                self.update_block(at);
                return self.agent.report_progress(at);
            }
        }
        at.trouble("too much happened at one moment; the rest is done at the next");
    }

    /// Nothing begins while the caller holds the floor, or before the answer's time.
    fn update_block(&mut self, at: &mut Moment<'_>) {
        self.agent.discard_dropped(at);
        let blocked = !self.life.is_mailbox()
            && !self.life.must_go()
            && self.caller.keeps_floor(self.agent.bridges_words(), at.now);
        self.agent.block(blocked, at);
        self.caller.report_wait(at);
    }

    /// When to come back if nothing else happens, and why.
    pub(crate) fn deadline(&self, at: &Moment<'_>) -> Option<Deadline> {
        if let Some(until) = self.life.lost_until() {
            return Some(Deadline::new(until, Why::Reconnect));
        }
        if !self.life.is_running() {
            return None;
        }
        self.own_deadline(at).map(|due| match due.at <= at.now {
            true => Deadline { at: at.now + SOON, ..due },
            false => due,
        })
    }

    fn own_deadline(&self, at: &Moment<'_>) -> Option<Deadline> {
        let (caller, agent, life, config) = (&self.caller, &self.agent, &self.life, at.config);
        let too_long = life.too_long(config);
        if life.is_passive() {
            return too_long;
        }
        if life.is_mailbox() {
            return Deadline::earliest([too_long, life.mailbox_deadline(config), agent.voice_deadline(at)]);
        }
        let may_speculate = !life.is_leaving() && agent.may_speculate();
        Deadline::earliest([
            too_long,
            caller.keys_deadline(config),
            caller.barge_in_deadline(config),
            caller.noise_deadline(config),
            caller.turn_deadline(may_speculate, config),
            caller.answer_deadline(at.now),
            agent.voice_deadline(at),
            agent.wait_deadline(caller, at),
            agent.silence_deadline(caller, at).filter(|_| !life.is_leaving()),
            life.leaving_deadline(config),
        ])
    }

    fn on_deadline(&mut self, why: Why, at: &mut Moment<'_>) {
        at.event(CallEvent::Deadline { why });
        match why {
            Why::Eager => self.speculate(at),
            Why::EndOfTurn => self.end_turn(at),
            Why::Noise => self.on_noise(at),
            Why::Duck => self.caller.duck(at),
            Why::ResolveBargeIn => {
                let judged = self.caller.resolve(at);
                self.on_judged(judged, at);
            }
            Why::WordsLate | Why::ReplyLate | Why::ToolLate | Why::RestLate => self.on_too_late(at),
            Why::VoiceLate => {
                let soundless = self.agent.on_voice_late(at);
                self.on_soundless(soundless, at);
            }
            Why::CallerSilent => {
                if self.agent.check_in(at) {
                    self.life.hang_up(EndReason::CallerSilent);
                }
            }
            Why::DigitGap => self.on_number(at),
            Why::TooLong => self.on_too_long(at),
            Why::TransferLate => self.on_transfer_late(at),
            Why::Voicemail => {
                let message = self.life.record();
                self.say_message(message, at);
            }
            // Looked at with everything else, or not the conversation's.
            Why::Answer | Why::Pace | Why::Played | Why::NoMedia | Why::Reconnect => {}
        }
    }

    /// An utterance has no sound.
    fn on_soundless(&mut self, soundless: Soundless, at: &mut Moment<'_>) {
        match soundless {
            Soundless::Skipped => {}
            Soundless::Reply => self.give_up_reply(at),
            Soundless::VoiceFailed => self.hang_up(EndReason::VoiceFailed, None, at),
        }
    }
}
