//! The moment at which something happens: what every part of a conversation may look at, and where it says what is to be done.

use std::collections::VecDeque;

use offhook_stage_api::{CallTime, LlmCommand, News, ToolCall};

use crate::config::ConversationConfig;
use crate::event::CallEvent;
use crate::line::{Line, LineCommand};

/// Something to do that is not the line's.
#[derive(Debug)]
pub(crate) enum Todo {
    Llm(LlmCommand),
    Tool(ToolCall),
    CancelTool(String),
    Event(CallEvent),
}

/// The time, the settings, the line, and what is to be done.
pub(crate) struct Moment<'a> {
    pub(crate) now: CallTime,
    pub(crate) config: &'a ConversationConfig,
    pub(crate) line: &'a mut dyn Line,
    todo: &'a mut VecDeque<Todo>,
}

impl<'a> Moment<'a> {
    pub(crate) fn new(
        now: CallTime,
        config: &'a ConversationConfig,
        line: &'a mut dyn Line,
        todo: &'a mut VecDeque<Todo>,
    ) -> Self {
        Self { now, config, line, todo }
    }

    /// Has the line do something.
    pub(crate) fn command(&mut self, command: LineCommand) {
        self.line.command(command, self.now);
    }

    /// Reports something.
    pub(crate) fn event(&mut self, event: CallEvent) {
        self.todo.push_back(Todo::Event(event));
    }

    /// Reports that something went wrong.
    pub(crate) fn trouble(&mut self, message: &str) {
        self.event(CallEvent::Trouble { message: message.to_owned() });
    }

    /// Tells the model something.
    pub(crate) fn llm(&mut self, command: LlmCommand) {
        self.todo.push_back(Todo::Llm(command));
    }

    /// Tells the model what happened, if it follows the call.
    pub(crate) fn news(&mut self, news: impl FnOnce() -> News) {
        if self.config.follows {
            self.llm(LlmCommand::News(news()));
        }
    }

    /// Has a tool run.
    pub(crate) fn run_tool(&mut self, call: ToolCall) {
        self.todo.push_back(Todo::Tool(call));
    }

    /// Nobody waits for this tool any more.
    pub(crate) fn cancel_tool(&mut self, id: String) {
        self.todo.push_back(Todo::CancelTool(id));
    }
}
