//! A call but for its socket: state machine, clock, stages, tools, control, observer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use offhook_conversation::{Call, CallEvent, Deadline, Input, Output, Transport};
use offhook_media_line::{MediaInput, MediaLine};
use offhook_relay_line::{RelayInput, RelayLine};
use offhook_stage_api::{CallTime, ToolCall, ToolResult};
use offhook_stages::Notifier;
use tokio::time::Instant;

use crate::control::ControlReceiver;
use crate::stages::{Running, StageEvent};
use crate::toolbox::Toolbox;

/// Watches a call: the tape, the record, metrics, the console. Called on the call's worker; must not block.
pub trait Observer<L: Transport> {
    /// What goes into the state machine. `deadline`: the one that it had until then.
    fn input(&mut self, now: CallTime, input: &Input<L::Input<'_>>, deadline: Option<Deadline>);

    /// What comes out of it, behind the input that it comes of.
    fn output(&mut self, now: CallTime, output: &Output<L::Wire>);

    /// What the session itself has to report: nothing that the state machine knows of.
    fn notice(&mut self, _now: CallTime, _event: &CallEvent) {}
}

/// A line that a session can carry.
pub trait SessionLine: Transport + 'static {
    /// What a stage says, as an input. `None`: calls on this line have no such stage.
    fn stage_input(event: StageEvent) -> Option<Input<Self::Input<'static>>>;

    /// The socket broke.
    fn lost() -> Self::Input<'static>;

    /// Another socket carries the call.
    fn back() -> Self::Input<'static>;
}

/// What every line's calls have.
fn llm_input<I>(event: StageEvent) -> Option<Input<I>> {
    match event {
        StageEvent::Llm(event) => Some(Input::Llm(event)),
        StageEvent::LlmEnded(failure) => Some(Input::LlmEnded(failure)),
        _ => None,
    }
}

impl SessionLine for MediaLine {
    fn stage_input(event: StageEvent) -> Option<Input<MediaInput<'static>>> {
        Some(match event {
            StageEvent::Stt(event) => Input::Line(MediaInput::Stt(event)),
            StageEvent::Turn(event) => Input::Turn(event),
            StageEvent::Tts(event) => Input::Line(MediaInput::Tts(event)),
            StageEvent::TtsEnded(failure) => Input::Line(MediaInput::TtsEnded(failure)),
            StageEvent::Llm(_) | StageEvent::LlmEnded(_) => return llm_input(event),
        })
    }

    fn lost() -> MediaInput<'static> {
        MediaInput::Lost
    }

    fn back() -> MediaInput<'static> {
        MediaInput::Back
    }
}

impl SessionLine for RelayLine {
    fn stage_input(event: StageEvent) -> Option<Input<Self::Input<'static>>> {
        llm_input(event)
    }

    fn lost() -> RelayInput<'static> {
        RelayInput::Lost
    }

    fn back() -> RelayInput<'static> {
        RelayInput::Back
    }
}

/// Where what is for Twilio goes.
pub(crate) trait Outgoing<W> {
    /// Takes a message; never waits. What can't be written is found out when the socket is flushed.
    fn write(&mut self, wire: W);

    /// The call ends: this goes behind everything else.
    fn hang_up(&mut self, handoff: Option<ToolCall>);
}

/// Where there is no socket any more.
pub(crate) struct Nowhere;

impl<W> Outgoing<W> for Nowhere {
    fn write(&mut self, _wire: W) {}
    fn hang_up(&mut self, _handoff: Option<ToolCall>) {}
}

/// A call but for its socket.
pub(crate) struct Driver<L: SessionLine, W> {
    pub(crate) call: Call<L>,
    pub(crate) stages: Running,
    /// Notified when a stage has said something, or the application wants something.
    pub(crate) notifier: Arc<Notifier>,
    observer: W,
    pub(crate) clock: Instant,
    /// What stages and tools would not take, as inputs, oldest first.
    backlog: VecDeque<Input<L::Input<'static>>>,
    control: Option<ControlReceiver>,
    tools: Toolbox,
    hung_up: bool,
}

impl<L: SessionLine, W> std::fmt::Debug for Driver<L, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("call", &self.call).finish_non_exhaustive()
    }
}

/// Who else has a part in a call.
pub(crate) struct Parts<W> {
    pub(crate) stages: Running,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) observer: W,
    pub(crate) control: Option<ControlReceiver>,
    pub(crate) tools: Toolbox,
}

impl<L: SessionLine, W: Observer<L>> Driver<L, W> {
    /// A call whose clock begins now.
    pub(crate) fn new(call: Call<L>, parts: Parts<W>) -> Self {
        let Parts { stages, notifier, observer, control, tools } = parts;
        Self {
            call,
            stages,
            notifier,
            observer,
            clock: Instant::now(),
            backlog: VecDeque::new(),
            control,
            tools,
            hung_up: false,
        }
    }

    pub(crate) fn now(&self) -> CallTime {
        // Whole microseconds, so that the tape has the very time that the call was given.
        let micros = u64::try_from(self.clock.elapsed().as_micros()).unwrap_or(u64::MAX);
        CallTime::after(Duration::from_micros(micros))
    }

    /// When the call wants to be woken.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.call.deadline().map(|deadline| self.clock + deadline.at.since_start())
    }

    /// The call wants to end.
    pub(crate) const fn has_hung_up(&self) -> bool {
        self.hung_up
    }

    /// Feeds an input, and does everything that comes of it.
    pub(crate) fn feed(&mut self, input: Input<L::Input<'_>>, out: &mut impl Outgoing<L::Wire>) {
        self.step(input, out);
        while let Some(input) = self.backlog.pop_front() {
            self.step(input, out);
        }
    }

    /// Outputs are taken before there is another input: so they stand on the tape.
    fn step(&mut self, input: Input<L::Input<'_>>, out: &mut impl Outgoing<L::Wire>) {
        let now = self.now();
        self.observer.input(now, &input, self.call.deadline());
        self.call.handle(input, now);
        while let Some(output) = self.call.poll_output() {
            self.observer.output(now, &output);
            let refused = match output {
                Output::Wire(wire) => {
                    out.write(wire);
                    None
                }
                Output::Event(_) => None,
                Output::Stt(command) => {
                    self.stages.hear(command);
                    None
                }
                Output::Turn(question) => {
                    self.stages.judge(question);
                    None
                }
                Output::Llm(command) => {
                    let events = self.stages.think(command).into_iter().map(StageEvent::Llm);
                    self.backlog.extend(events.filter_map(L::stage_input));
                    None
                }
                Output::Tts(command) => self.stages.speak(command).and_then(L::stage_input),
                Output::Tool(call) => self.tools.begin(call).map(Input::Tool),
                Output::CancelTool { id } => {
                    self.tools.give_up(&id);
                    None
                }
                Output::HangUp { handoff } => {
                    self.hung_up = true;
                    out.hang_up(handoff);
                    None
                }
            };
            self.backlog.extend(refused);
        }
    }

    /// Feeds everything that stages have said and the application wants.
    pub(crate) fn take_news(&mut self, out: &mut impl Outgoing<L::Wire>) {
        while let Some(event) = self.stages.next() {
            if let Some(input) = L::stage_input(event) {
                self.feed(input, out);
            }
        }
        while let Some(control) = self.control.as_ref().and_then(ControlReceiver::try_recv) {
            self.feed(Input::Control(control), out);
        }
    }

    /// The application wants the stream to end now.
    pub(crate) fn is_cut(&self) -> bool {
        self.control.as_ref().is_some_and(ControlReceiver::is_cut)
    }

    /// The next tool's result, if there is one yet.
    pub(crate) fn poll_tool(&mut self, context: &mut Context<'_>) -> Poll<ToolResult> {
        if self.tools.at_work() { self.tools.poll_result(context) } else { Poll::Pending }
    }

    /// Reports something that isn't the call's.
    pub(crate) fn notice(&mut self, message: String) {
        self.observer.notice(self.now(), &CallEvent::Trouble { message });
    }

    /// The socket broke. Whether the call could go on over another.
    pub(crate) fn lose_socket(&mut self) -> bool {
        self.feed(Input::Line(L::lost()), &mut Nowhere);
        self.call.is_lost()
    }

    /// The call is over.
    pub(crate) fn stop(&mut self) {
        self.feed(Input::Stop, &mut Nowhere);
    }
}
