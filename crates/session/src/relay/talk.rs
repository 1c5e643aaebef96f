//! A call but for its socket: state machine, model, tools, clock, observer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_call::relay::{RelayCall, RelayInput, RelayOutput};
use offhook_stage_api::CallTime;
use offhook_stage_api::{LlmEvent, ToolResult};
use offhook_stages::CallInfo;
use offhook_twilio::relay::SetupMessage;
use tokio::time::Instant;

use super::thinker::Thinker;
use super::{Admitted, RelayObserver};
use crate::control::{ControlReceiver, Toolbox};

/// A call without a socket.
pub struct Parked<W>(pub(super) Box<Talk<W>>);

impl<W> std::fmt::Debug for Parked<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Parked").field(&self.0.call).finish()
    }
}

impl<W: RelayObserver> Parked<W> {
    /// The call has not come back: it is over.
    pub fn give_up(mut self) {
        self.0.stop();
    }
}

/// A call but for its socket.
pub(super) struct Talk<W> {
    pub(super) call: RelayCall,
    pub(super) thinker: Thinker,
    pub(super) observer: W,
    pub(super) clock: Instant,
    pub(super) control: Option<ControlReceiver>,
    pub(super) tools: Toolbox,
    /// For the socket.
    to_send: VecDeque<RelayOutput>,
    /// What the model and the tools would not take, as inputs.
    refused: VecDeque<LlmEvent>,
    unable: VecDeque<ToolResult>,
}

impl<W: RelayObserver> Talk<W> {
    pub(super) fn admit(admitted: Admitted<W>, message: &SetupMessage) -> Box<Self> {
        let (setup, observer) = match admitted {
            Admitted::Back(parked) => return parked.0,
            Admitted::New(setup, observer) => (setup, observer),
        };
        let info = CallInfo {
            call: message.call_sid.to_shared(),
            language: setup.language.as_str().into(),
            goal: setup.goal,
            parameters: setup.parameters,
            bridges: Arc::default(),
            meter: setup.meter,
        };
        Box::new(Self {
            call: RelayCall::new(setup.config),
            thinker: Thinker::start(setup.stages.llm.as_ref(), &info),
            observer,
            clock: Instant::now(),
            control: setup.control,
            tools: Toolbox::new(setup.tools),
            to_send: VecDeque::new(),
            refused: VecDeque::new(),
            unable: VecDeque::new(),
        })
    }

    pub(super) fn now(&self) -> CallTime {
        // Whole microseconds, so that the tape has the very time that the call was given.
        let micros = u64::try_from(self.clock.elapsed().as_micros()).unwrap_or(u64::MAX);
        CallTime::after(Duration::from_micros(micros))
    }

    /// Feeds an input and takes what comes of it, before there is another: so it goes on the tape.
    pub(super) fn feed(&mut self, input: RelayInput<'_>) {
        let now = self.now();
        self.observer.input(now, &input);
        self.call.handle(input, now);
        while let Some(output) = self.call.poll_output() {
            self.observer.output(now, &output);
            match output {
                RelayOutput::Event(_) => {}
                RelayOutput::Llm(command) => self.refused.extend(self.thinker.tell(command)),
                RelayOutput::Tool(call) => self.unable.extend(self.tools.begin(call)),
                RelayOutput::CancelTool { id } => self.tools.give_up(&id),
                output => self.to_send.push_back(output),
            }
        }
    }

    /// The next output that is for the socket.
    pub(super) fn next_output(&mut self) -> Option<RelayOutput> {
        loop {
            if let Some(output) = self.to_send.pop_front() {
                return Some(output);
            }
            if let Some(failed) = self.refused.pop_front() {
                self.feed(RelayInput::Llm(failed));
            } else if let Some(result) = self.unable.pop_front() {
                self.feed(RelayInput::Tool(result));
            } else {
                return None;
            }
        }
    }

    /// The call is over.
    pub(super) fn stop(&mut self) {
        self.feed(RelayInput::Stop);
        while self.next_output().is_some() {}
    }
}
