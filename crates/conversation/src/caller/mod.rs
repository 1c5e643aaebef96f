//! The caller's side: whose turn it is, what is keyed, what kind of answer is expected, and what speech over the agent is.
//!
//! It knows nothing of replies and tools. What follows for the agent from what the caller does, the conversation decides.

mod keys;
mod over_agent;

use std::time::Duration;

use offhook_stage_api::{AnswerKind, CallTime, Digits, News, ReplyReason, Transcript, TurnEvent};

use crate::barge_in::{BargeIn, WORDS_WITHIN};
use crate::config::ConversationConfig;
use crate::deadline::{Deadline, Why, ms};
use crate::event::{CallEvent, DropReason, TurnEnded};
use crate::keypad::Keypad;
use crate::line::{LineCommand, TurnHint};
use crate::moment::Moment;
use crate::turn::{CallerTurn, Evidence, Onset, OverAgent, Pause, TurnState, WordsEffect, same_words};

/// So many replies are requested before the end of a turn is certain: each costs money.
const MOST_SPECULATIONS: u8 = 2;
/// Recognisers give the words of a pause after 0.25 to 1 s.
const RECOGNISER_IN_TROUBLE: Duration = Duration::from_millis(1_100);

/// What came of the attempt to end a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EndOfTurn {
    /// There is no pause.
    Not,
    /// Nothing but noise was heard.
    Noise,
    /// It is over; these are its words.
    Over(String),
}

/// The caller's side.
pub(crate) struct Caller {
    turn: CallerTurn,
    /// Speech over the agent that isn't judged yet.
    barge_in: Option<BargeIn>,
    keypad: Keypad,
    /// A number was keyed that no reply has answered yet.
    keyed: Option<Digits>,
    /// The kind of answer that the agent expects.
    expected: AnswerKind,
    /// The caller was asked to key a number.
    collecting: bool,
    /// When the caller was last heard.
    heard_at: CallTime,
    /// The line decides when the caller's turn is over.
    line_decides: bool,
}

impl Caller {
    pub(crate) fn new(config: &ConversationConfig) -> Self {
        Self {
            turn: CallerTurn::hearing(config.turn.partials),
            barge_in: None,
            keypad: Keypad::default(),
            keyed: None,
            expected: AnswerKind::Open,
            collecting: false,
            heard_at: CallTime::ZERO,
            line_decides: false,
        }
    }

    /// The line is known.
    pub(crate) fn begin(&mut self, line_decides: bool) {
        self.line_decides = line_decides;
    }

    // What is known.

    pub(crate) const fn turn(&self) -> &CallerTurn {
        &self.turn
    }

    pub(crate) const fn heard_at(&self) -> CallTime {
        self.heard_at
    }

    /// A number that no reply has answered yet.
    pub(crate) const fn keyed(&self) -> Option<&Digits> {
        self.keyed.as_ref()
    }

    /// The caller has said and keyed nothing that is unanswered.
    pub(crate) fn is_answered(&self) -> bool {
        self.turn.is_quiet() && self.barge_in.is_none() && self.keyed.is_none()
    }

    /// A number is being keyed, or was, and is unanswered.
    pub(crate) const fn has_keys(&self) -> bool {
        !self.keypad.is_empty() || self.keyed.is_some()
    }

    /// No key of an unfinished number was pressed.
    pub(crate) const fn has_no_open_keys(&self) -> bool {
        self.keypad.is_empty()
    }

    /// Whether the words of a pause came, or said that there are none, later than a recogniser in good order takes.
    pub(crate) fn recogniser_in_trouble(&self, pause: &Pause) -> bool {
        pause.settled_at.is_none_or(|at| at.since(self.turn.ended()) >= RECOGNISER_IN_TROUBLE)
    }

    /// What the caller has said, as the reason of a reply.
    pub(crate) fn said(&self) -> ReplyReason {
        ReplyReason::Caller { text: self.turn.words(), confidence: self.turn.confidence() }
    }

    /// Nothing may begin: the caller holds the floor, or it is not yet the answer's time. `bridged`: a filler waits for its turn that
    /// bridges the wait for the words of a pause.
    pub(crate) fn keeps_floor(&self, bridged: bool, now: CallTime) -> bool {
        match self.turn.state() {
            TurnState::Quiet => false,
            TurnState::Paused(_) => !bridged,
            TurnState::Decided(decided) => now < decided.answer_from,
            TurnState::Speaking { noise, .. } => !noise,
            TurnState::Reopening { .. } => true,
        }
    }

    // Speech and words.

    /// The caller is there.
    pub(crate) fn heard(&mut self, now: CallTime) {
        self.heard_at = self.heard_at.max(now);
    }

    pub(crate) fn on_onset(&mut self, onset: CallTime, position: u64, at: &mut Moment<'_>) -> Onset {
        at.event(CallEvent::SpeechStarted { at_ms: ms(onset) });
        at.news(|| News::CallerBegan);
        self.heard(at.now);
        self.turn.on_onset(onset, position)
    }

    /// The caller fell silent. True if that is a pause of the turn's.
    pub(crate) fn on_pause(&mut self, ended: CallTime, position: u64, at: &mut Moment<'_>) -> bool {
        self.heard(at.now);
        let paused = self.turn.on_pause(ended, position);
        if paused {
            at.event(CallEvent::SpeechPaused { at_ms: ms(ended) });
            at.news(|| News::CallerPaused);
        }
        paused
    }

    /// The connection broke. Nobody speaks into one that is gone.
    pub(crate) fn on_lost(&mut self, at: &mut Moment<'_>) {
        if self.turn.on_pause(at.now, self.turn.until()) {
            at.event(CallEvent::SpeechPaused { at_ms: ms(at.now) });
        }
        self.barge_in = None;
    }

    pub(crate) fn ask_turn_model(&mut self, at: &mut Moment<'_>) {
        if at.config.turn.model
            && let Some(question) = self.turn.ask()
        {
            at.command(LineCommand::Ask(question));
        }
    }

    pub(crate) fn on_turn_model(&mut self, event: TurnEvent) {
        self.turn.on_model(event);
    }

    pub(crate) fn on_hint(&mut self, hint: TurnHint) {
        match hint {
            TurnHint::Eager => {}
            TurnHint::End => self.turn.on_recogniser_end(true),
            TurnHint::Resumed => self.turn.on_recogniser_end(false),
        }
    }

    /// Another recogniser listens, or none.
    pub(crate) fn other_recogniser(&mut self, partials: bool) {
        self.turn.other_recogniser(partials);
    }

    pub(crate) fn on_words(
        &mut self,
        transcript: Transcript,
        is_final: bool,
        span: (CallTime, CallTime),
        now: CallTime,
    ) -> WordsEffect {
        self.turn.on_words(transcript, is_final, span, now)
    }

    /// The words of the turn are others, or more.
    pub(crate) fn hearing(&mut self, text: String, at: &mut Moment<'_>) {
        self.heard(at.now);
        at.news(|| News::Hearing { text: text.clone() });
        at.event(CallEvent::Hearing { text });
        self.ask_turn_model(at);
    }

    /// Words came although the turn was taken for over. True if they are nothing but a backchannel ("okay" to "one moment, please"),
    /// which changes nothing where the agent is heard.
    pub(crate) fn only_nodded(&mut self, at: &mut Moment<'_>) -> bool {
        let more = self.turn.words_since_decided();
        let nodded =
            at.line.audible(at.now).is_some() && at.config.barge_in.judge(&more) == OverAgent::Backchannel;
        if nodded {
            at.event(CallEvent::TurnDropped { text: more, why: DropReason::Backchannel });
            self.turn.stay_decided();
        }
        nodded
    }

    /// Whether a reply that was requested on these words is worth nothing, now that there are others.
    pub(crate) fn has_outgrown(
        &self,
        basis: &str,
        speculative: bool,
        is_final: bool,
        at: &Moment<'_>,
    ) -> bool {
        let text = self.turn.words();
        if same_words(basis, &text) {
            return false;
        }
        // What comes over a filler ("okay") is no reason to ask again; the rest of what was said is.
        let over_filler = self.turn.is_decided()
            && text.starts_with(basis)
            && at.config.barge_in.judge(&self.turn.words_since_decided()) == OverAgent::Backchannel;
        speculative || (is_final && self.turn.is_decided() && !over_filler)
    }

    /// The line has decided that the turn is over, with these words.
    pub(crate) fn told(&mut self, text: &str, now: CallTime) {
        self.turn.said(text, now);
    }

    /// Sound without words has lasted too long. True if nothing but noise is left of the turn.
    pub(crate) fn on_noise(&mut self) -> bool {
        self.turn.on_noise()
    }

    /// What was heard after the end of the turn was noise, or no more than a nod: the end stands.
    pub(crate) fn stay_decided(&mut self) {
        self.turn.stay_decided();
    }

    // The end of a turn.

    /// When something is done about the present pause. `may_speculate`: a reply may be requested before the end is certain.
    pub(crate) fn turn_deadline(&self, may_speculate: bool, config: &ConversationConfig) -> Option<Deadline> {
        if self.barge_in.is_some() {
            // First it must be clear whether the caller wants the floor at all.
            return None;
        }
        let wait = self.turn.wait(self.expected, &config.turn)?;
        if self.line_decides {
            // Its word should have come by then.
            return Some(Deadline::new(self.turn.ended() + WORDS_WITHIN, Why::EndOfTurn));
        }
        let end = Deadline::new(self.turn.ended() + wait.decide, Why::EndOfTurn);
        let eager = (may_speculate && config.turn.speculate && self.is_worth_speculating(wait.evidence))
            .then(|| Deadline::new(self.turn.ended() + config.turn.eager, Why::Eager));
        Deadline::earliest([eager.filter(|eager| eager.at < end.at), Some(end)])
    }

    /// Whether a reply is worth requesting before the turn's end is certain.
    fn is_worth_speculating(&self, evidence: Evidence) -> bool {
        let unlikely = matches!(
            evidence,
            Evidence::Trailing | Evidence::DigitsMissing | Evidence::Wordless | Evidence::Hanging
        );
        // Once was in vain: only on words that won't change.
        let sure = self.turn.speculations() == 0 || self.turn.is_settled();
        !unlikely
            && sure
            && self.turn.speculations() < MOST_SPECULATIONS
            && !self.has_keys()
            && !self.turn.words().is_empty()
    }

    /// A reply is requested before the turn's end is certain.
    pub(crate) fn speculated(&mut self) {
        self.turn.speculated();
    }

    /// Reports how long the present pause will last at most.
    pub(crate) fn report_wait(&mut self, at: &mut Moment<'_>) {
        if self.barge_in.is_some() || self.line_decides {
            return;
        }
        if let Some(wait) = self.turn.wait(self.expected, &at.config.turn) {
            let until = self.turn.ended() + wait.decide;
            if until > at.now && self.turn.report(until, wait.evidence) {
                at.event(CallEvent::Waiting { evidence: wait.evidence, until_ms: ms(until) });
            }
        }
    }

    /// The caller's turn is over, unless there was nothing but noise in it.
    pub(crate) fn end_turn(&mut self, at: &mut Moment<'_>) -> EndOfTurn {
        let config = &at.config.turn;
        let Some(wait) = self.turn.wait(self.expected, config) else { return EndOfTurn::Not };
        let text = self.turn.words();
        let too_short = self.turn.spoken() < config.shortest_wordless;
        // A recogniser that sends partial transcripts and is certain that there are no words has heard noise.
        let certain = self.turn.pause().is_none_or(|pause| !self.recogniser_in_trouble(pause));
        let noise = self.turn.has_partials() && self.turn.is_settled() && certain;
        if text.is_empty() && (too_short || noise || self.line_decides) {
            return EndOfTurn::Noise;
        }
        let answer = if self.line_decides { Duration::ZERO } else { wait.answer };
        self.turn.decide(at.now, answer);
        self.heard(at.now);
        at.event(CallEvent::TurnEnded(TurnEnded {
            text: text.clone(),
            began_ms: ms(self.turn.began()),
            speech_end_ms: ms(self.turn.ended()),
            decided_ms: ms(at.now),
            evidence: wait.evidence,
        }));
        EndOfTurn::Over(text)
    }

    /// When the answer to a turn that is over may be heard.
    pub(crate) fn answer_deadline(&self, now: CallTime) -> Option<Deadline> {
        let TurnState::Decided(decided) = self.turn.state() else { return None };
        (decided.answer_from > now).then(|| Deadline::new(decided.answer_from, Why::Answer))
    }

    /// When sound without words is taken for noise.
    pub(crate) fn noise_deadline(&self, config: &ConversationConfig) -> Option<Deadline> {
        self.turn.noise_deadline(&config.turn, config.barge_in.resolve)
    }

    /// What had been taken for the end of the turn wasn't.
    pub(crate) fn reopen(&mut self, now: CallTime) {
        self.turn.reopen(now);
    }

    /// The turn is answered or dropped: its audio won't be asked for again.
    pub(crate) fn close_turn(&mut self, at: &mut Moment<'_>) {
        if !self.turn.is_quiet() {
            let until = self.turn.close_in_speech(at.now);
            at.command(LineCommand::TurnEnded { until });
        }
    }
}
