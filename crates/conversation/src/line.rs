//! What carries a conversation: the telephone, or ConversationRelay. Both give the same few events and take the same few commands.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::{
    CallTime, Digits, Expectation, Interruptible, Key, Recording, StageFailure, ToolCall, Transcript,
    TurnQuestion, UtteranceId,
};

use crate::deadline::Deadline;
use crate::event::{CallEvent, UtteranceKind};

/// Something that happened on the line. Times are on the call's clock; they may lie a little back.
#[derive(Clone, Debug, PartialEq)]
pub enum LineEvent {
    /// The caller began to speak, or went on.
    CallerBegan {
        /// The onset.
        at: CallTime,
        /// The onset on the caller's time line, in samples.
        position: u64,
    },
    /// The caller fell silent.
    CallerPaused {
        /// The end of the speech.
        at: CallTime,
        /// The same on the caller's time line.
        position: u64,
    },
    /// Words of the caller's, by their place on the caller's time line.
    Heard {
        /// The words.
        transcript: Transcript,
        /// They won't change.
        is_final: bool,
        /// When the sound that they cover began, and ended.
        span: (CallTime, CallTime),
    },
    /// The line itself has decided that the caller's turn is over: these are all its words.
    Said {
        /// The words. Empty: there were none.
        text: String,
    },
    /// What the recogniser's own turn detection says.
    Hint(TurnHint),
    /// The caller pressed a key.
    Keyed(Key),
    /// A mailbox's beep was heard.
    Beep,
    /// Sound of this utterance is there, to go out as soon as it may.
    Ready(UtteranceId),
    /// The utterance's first sound (or token) went out.
    Began(UtteranceId),
    /// The utterance has begun, isn't complete, and has no sound (or text) left: see [`Line::dry_since`].
    Dry(UtteranceId),
    /// The utterance was played to its end.
    Over {
        /// Which.
        id: UtteranceId,
        /// What reached the caller's ear.
        heard: Heard,
    },
    /// The voice has ended without any sound for the utterance.
    Soundless(UtteranceId),
    /// The line itself has cut off the agent because the caller interrupted (ConversationRelay).
    CutOff(Vec<(UtteranceId, Heard)>),
    /// Another speech-to-text provider listens from now on.
    OtherRecogniser,
    /// No speech-to-text provider is available any more: words won't come.
    Deaf(StageFailure),
    /// The connection broke; the call may come back. What was being said is cut off where time says.
    Lost(Vec<(UtteranceId, Heard)>),
    /// The call came back over another connection.
    Back,
    /// Nothing has come from the line for too long: the call is given up.
    Dead,
    /// Worth reporting as it is.
    Notice(CallEvent),
}

/// What the recogniser's own turn detection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnHint {
    /// The caller may be done.
    Eager,
    /// The caller is done.
    End,
    /// The caller goes on after all.
    Resumed,
}

/// What of an utterance reached the caller's ear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The words.
    pub text: String,
    /// What of the text was not heard, or not spoken.
    pub rest: String,
    /// For how long it was heard.
    pub lasted: Duration,
    /// Word times came from the synthesiser; else they were estimated.
    pub timed: bool,
}

impl Heard {
    /// Nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.rest.chars().any(char::is_alphanumeric)
    }
}

/// An utterance that the line is to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Names it.
    pub id: UtteranceId,
    /// What sort it is.
    pub kind: UtteranceKind,
    /// It goes in front of this one, which may have begun and run dry; `None`: behind everything.
    pub before: Option<UtteranceId>,
    /// Its sound is made, but kept until [`LineCommand::Release`].
    pub held: bool,
    /// It is one phrase of the engine's own, all of whose text comes at once.
    pub phrase: bool,
    /// What may interrupt it.
    pub interruptible: Interruptible,
    /// BCP 47 tag, if the call was switched to a language.
    pub language: Option<Arc<str>>,
}

/// What a line is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum LineCommand {
    /// Take an utterance in.
    Open(Opening),
    /// More text of an utterance, of any length.
    Append {
        /// Which.
        id: UtteranceId,
        /// The text.
        text: String,
    },
    /// Play a recording, in the place of an utterance's text.
    Play {
        /// Which.
        id: UtteranceId,
        /// The recording.
        recording: Arc<Recording>,
    },
    /// No more text of an utterance will come.
    Close(UtteranceId),
    /// A held utterance may go out.
    Release(UtteranceId),
    /// Its interruptibility has become known.
    Interruptible(UtteranceId, Interruptible),
    /// Forget an utterance of which nothing was heard.
    Discard(UtteranceId),
    /// No utterance may begin, because the caller holds the floor. One that has begun goes on.
    Block(bool),
    /// Lower the agent's voice, or raise it again.
    Duck(bool),
    /// The caller's turn is answered: its sound, up to here, won't be asked for again.
    TurnEnded {
        /// On the caller's time line.
        until: u64,
    },
    /// Hints for the recogniser.
    Expect(Arc<Expectation>),
    /// A question for the turn model.
    Ask(TurnQuestion),
    /// From here on another language is spoken: its BCP 47 tag.
    Language(Arc<str>),
    /// Play this sound (a URL) until something is said.
    Music(String),
    /// Listen for a mailbox's beep; nothing that is heard is a turn.
    AwaitBeep,
    /// End the stream, and let this be carried out by what comes after it.
    HangUp {
        /// A transfer, for instance.
        handoff: Option<ToolCall>,
    },
}

/// What carries a conversation.
pub trait Line {
    /// Does something.
    fn command(&mut self, command: LineCommand, now: CallTime);

    /// Stops these utterances now, if they have begun, and forgets them. What of each was heard, in the order given; others go on.
    fn cut(&mut self, ids: &[UtteranceId], now: CallTime) -> Vec<(UtteranceId, Heard)>;

    /// Ends an utterance that has begun and run dry: no more sound of it will come. What was heard of it.
    fn give_up(&mut self, id: UtteranceId, now: CallTime) -> Heard;

    /// Presses keys, as an utterance of this id behind what is being said.
    ///
    /// # Errors
    /// If this line can't press them; in words for the model.
    fn press(&mut self, id: UtteranceId, digits: &Digits, now: CallTime) -> Result<(), String>;

    /// What of an utterance has reached the caller's ear so far, and what has not.
    fn heard(&self, id: UtteranceId, now: CallTime) -> Heard;

    /// The utterance that the caller hears now, if the agent's voice is audible.
    fn audible(&self, now: CallTime) -> Option<UtteranceId>;

    /// When everything that has been given to the caller will have been heard.
    fn plays_until(&self, now: CallTime) -> CallTime;

    /// Since when an utterance that has begun and isn't complete has had no sound (or text) left.
    fn dry_since(&self, id: UtteranceId, now: CallTime) -> Option<CallTime>;

    /// How much of what has begun is not yet heard, as far as is known.
    fn unheard(&self, now: CallTime) -> Duration;

    /// The line itself decides when the caller's turn is over ([`LineEvent::Said`]).
    fn decides_turns(&self) -> bool {
        false
    }

    /// When the line itself wants [`Timeout`](crate::Input::Timeout), and why.
    fn deadline(&self) -> Option<Deadline>;

    /// The next event; `None` until the next input.
    fn poll_event(&mut self) -> Option<LineEvent>;

    /// Time has passed.
    fn tick(&mut self, now: CallTime);
}
