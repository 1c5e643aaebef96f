//! A call: a conversation on a line, drained to the end after every input.

use std::collections::VecDeque;
use std::sync::Arc;

use offhook_stage_api::{
    CallTime, Entry, LlmCommand, LlmEvent, StageFailure, SttCommand, ToolCall, ToolResult, TtsCommand,
    TurnEvent, TurnQuestion,
};

use crate::config::ConversationConfig;
use crate::conversation::{Conversation, Happened};
use crate::deadline::Deadline;
use crate::event::{CallEvent, Control};
use crate::line::{Line, LineEvent};
use crate::moment::{Moment, Todo};

/// A line with inputs and outputs of its own.
pub trait Transport: Line {
    /// What comes over the wire, and from the stages that only this line has.
    type Input<'a>;
    /// What goes over the wire.
    type Wire: Clone + std::fmt::Debug;

    /// Takes an input. What it means is asked for with [`Line::poll_event`], what is to be done with [`Transport::poll_output`].
    fn handle(&mut self, input: Self::Input<'_>, now: CallTime);

    /// The next thing to do.
    fn poll_output(&mut self) -> Option<Output<Self::Wire>>;

    /// The connection is open: sound or text may go out.
    fn start(&mut self, now: CallTime);

    /// Nothing is being said or heard: memory that only speaking takes may be given back.
    fn shrink(&mut self) {}
}

/// One thing that happened to a call.
#[derive(Debug)]
pub enum Input<I> {
    /// The stream began. Comes once, first.
    Start,
    /// Something came over the wire, or from a stage of the line's own.
    Line(I),
    /// The turn model has judged.
    Turn(TurnEvent),
    /// The language model or script says something.
    Llm(LlmEvent),
    /// The language model or script has ended, and won't say anything any more.
    LlmEnded(StageFailure),
    /// A tool that the call asked for has returned.
    Tool(ToolResult),
    /// The application wants something, from outside the conversation.
    Control(Control),
    /// The stream ended: `stop`, or the socket closed for good.
    Stop,
    /// Nothing happened, but the time that [`Call::deadline`] named has come.
    Timeout,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Output<W> {
    /// Send this over the wire.
    Wire(W),
    /// A command to the speech-to-text stage.
    Stt(SttCommand),
    /// A question to the turn model. Whatever runs it also gives it the sound that goes to the speech-to-text stage.
    Turn(TurnQuestion),
    /// A command to the language model or script.
    Llm(LlmCommand),
    /// A command to the text-to-speech stage.
    Tts(TtsCommand),
    /// Run a tool.
    Tool(ToolCall),
    /// Cancel a tool: nobody waits for its result any more.
    CancelTool {
        /// The [`ToolCall::id`].
        id: String,
    },
    /// Report this.
    Event(CallEvent),
    /// End the stream; Twilio goes on with the TwiML after `<Connect>`.
    HangUp {
        /// What is to be carried out by what comes after the stream, a transfer for instance.
        handoff: Option<ToolCall>,
    },
}

/// So many outputs come of an input while the agent speaks.
const USUAL_OUTPUTS: usize = 8;

/// One call: owns all its state, does no I/O, reads no clock, draws no random number.
pub struct Call<L: Transport> {
    line: L,
    config: Arc<ConversationConfig>,
    conversation: Conversation,
    /// What the conversation wants done.
    todo: VecDeque<Todo>,
    out: VecDeque<Output<L::Wire>>,
    deadline: Option<Deadline>,
    now: CallTime,
}

impl<L: Transport> std::fmt::Debug for Call<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("now", &self.now).finish_non_exhaustive()
    }
}

impl<L: Transport> Call<L> {
    /// A call that hasn't begun. Calls of the same kind may share a configuration. `passive`: the line answers by itself, and the
    /// conversation says nothing (a test of the line).
    #[must_use]
    pub fn on(line: L, config: Arc<ConversationConfig>, passive: bool) -> Self {
        Self {
            line,
            conversation: Conversation::new(&config, passive),
            config,
            todo: VecDeque::new(),
            out: VecDeque::new(),
            deadline: None,
            now: CallTime::ZERO,
        }
    }

    /// Feeds one thing that happened at `now`. Then drain [`Call::poll_output`]. Never waits. A `now` before an earlier one counts as
    /// that earlier one.
    pub fn handle(&mut self, input: Input<L::Input<'_>>, now: CallTime) {
        self.now = self.now.max(now);
        let now = self.now;
        if self.out.is_empty() {
            self.out.clear(); // begins where it began before: in memory that is known to the processor
            if self.out.capacity() > 2 * USUAL_OUTPUTS {
                self.out.shrink_to(USUAL_OUTPUTS); // an utterance's first frames come all at once
            }
        }
        let happened = match input {
            Input::Line(input) => {
                if !self.conversation.life().is_fresh() {
                    self.line.handle(input, now);
                }
                None
            }
            Input::Start => {
                if self.conversation.life().is_fresh() {
                    self.line.start(now);
                }
                Some(Happened::Start)
            }
            Input::Turn(event) => Some(Happened::Turn(event)),
            Input::Llm(event) => Some(Happened::Llm(event)),
            Input::LlmEnded(failure) => Some(Happened::LlmEnded(failure)),
            Input::Tool(result) => Some(Happened::Tool(result)),
            Input::Control(control) => Some(Happened::Control(control)),
            Input::Stop => Some(Happened::Stop),
            Input::Timeout => None,
        };
        let due = self.deadline.is_some_and(|deadline| deadline.at <= now);
        let mut changed = happened.is_some() || due;
        if let Some(happened) = happened {
            self.tell(happened, now);
        }
        changed |= self.drain(now);
        if due {
            self.tell(Happened::Timeout, now);
            self.drain(now);
        }
        if changed {
            let at = Moment::new(now, &self.config, &mut self.line, &mut self.todo);
            self.deadline = self.conversation.deadline(&at);
            if self.conversation.is_idle() {
                self.line.shrink();
                self.todo.shrink_to_fit();
                self.out.shrink_to(1);
            }
        }
    }

    fn tell(&mut self, happened: Happened, now: CallTime) {
        let mut at = Moment::new(now, &self.config, &mut self.line, &mut self.todo);
        self.conversation.handle(happened, &mut at);
    }

    fn tell_of_line(&mut self, event: LineEvent, now: CallTime) {
        let mut at = Moment::new(now, &self.config, &mut self.line, &mut self.todo);
        self.conversation.on_line(event, &mut at);
    }

    /// Lets the line and the conversation answer each other until neither has more to say. True if the line had anything.
    fn drain(&mut self, now: CallTime) -> bool {
        let mut any = false;
        loop {
            while let Some(event) = self.line.poll_event() {
                self.tell_of_line(event, now);
                self.flush();
                any = true;
            }
            self.line.tick(now);
            self.flush();
            match self.line.poll_event() {
                None => return any,
                Some(event) => self.tell_of_line(event, now),
            }
            any = true;
        }
    }

    /// Takes what the conversation and the line want done, in this order.
    fn flush(&mut self) {
        while let Some(todo) = self.todo.pop_front() {
            self.out.push_back(match todo {
                Todo::Llm(command) => Output::Llm(command),
                Todo::Tool(call) => Output::Tool(call),
                Todo::CancelTool(id) => Output::CancelTool { id },
                Todo::Event(event) => Output::Event(event),
            });
        }
        while let Some(output) = self.line.poll_output() {
            self.out.push_back(output);
        }
    }

    /// The next thing to do; `None` until the next input or [`Call::deadline`].
    pub fn poll_output(&mut self) -> Option<Output<L::Wire>> {
        self.out.pop_front()
    }

    /// When to feed [`Input::Timeout`] if nothing else happens, and why.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        let life = self.conversation.life();
        let goes_on = life.is_running() || life.is_lost();
        goes_on.then(|| Deadline::earliest([self.line.deadline(), self.deadline])).flatten()
    }

    /// The call is over: no output will come any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.conversation.life().is_over() && self.out.is_empty()
    }

    /// The connection broke, and the call could go on over another.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.conversation.life().is_lost()
    }

    /// The conversation so far, oldest first, as the caller heard it.
    #[must_use]
    pub fn history(&self) -> Vec<Entry> {
        self.conversation.entries()
    }

    /// The line.
    #[must_use]
    pub const fn line(&self) -> &L {
        &self.line
    }
}
