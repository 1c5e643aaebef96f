//! Tools: what the model wants done, what comes of it, and how the model goes on.

use std::sync::Arc;

use offhook_stage_api::tools::{COLLECT_DIGITS, END_CALL, HANDOFF, SEND_DTMF, SWITCH_LANGUAGE, TRANSFER};
use offhook_stage_api::{Expectation, LlmCommand, ReplyReason, ToolCall, ToolResult};

use crate::conversation::{Conversation, Todo};
use crate::event::{CallEvent, EndReason};
use crate::leaving::WantedBy;
use crate::line::{Line, LineCommand};
use crate::reply::Reply;
use crate::speech::{Occasion, Purpose};
use crate::tools::{Verdict, digits_asked_for, digits_to_press};

impl Conversation {
    pub(crate) fn use_tool(&mut self, mut call: ToolCall, line: &mut dyn Line) {
        self.tools.name(&mut call);
        let mut noted = call.clone();
        if call.name == SEND_DTMF {
            // Keys are not reported, not even to the model's own later turns.
            noted.arguments = serde_json::json!({ "digits": "(hidden)" });
        }
        self.history.tool_call(noted, self.now);
        if call.name != END_CALL
            && let Verdict::Refuse(why) = self.tools.judge(&call, &self.config.tool_limits)
        {
            self.trouble(&format!("the tool `{}` was not run: {why}", call.name));
            return self.refuse_tool(call, why, line);
        }
        match call.name.as_str() {
            END_CALL => {
                // An application that ends the call has said its last word: no interruption calls it off.
                self.leaving.hang_up(match self.config.follows {
                    true => EndReason::HungUp,
                    false => EndReason::AgentDone,
                });
                if call.arguments.get(HANDOFF).is_some() {
                    self.handoff = Some(call.clone());
                }
                let outcome = Ok("the call ends when you have finished speaking".to_owned());
                let result = ToolResult { id: call.id, name: call.name, outcome };
                self.history.tool_result(result, self.now);
            }
            SEND_DTMF => {
                let pressed = digits_to_press(&call)
                    .and_then(|digits| self.press(&digits, Some(call.id.clone()), line));
                match pressed {
                    // Its result comes when they were sent.
                    Ok(()) => {
                        let event = self.tools.begin(&call, self.now);
                        self.event(event);
                    }
                    Err(why) => self.tool_result(call.id, call.name, Err(why)),
                }
            }
            TRANSFER => {
                let (id, name) = (call.id.clone(), call.name.clone());
                if !self.transfer(call, WantedBy::Model) {
                    self.tool_result(id, name, Err("the call is about to end already".to_owned()));
                }
            }
            COLLECT_DIGITS => self.collect_digits(call),
            SWITCH_LANGUAGE => self.switch_language(call, line),
            _ => {
                let event = self.tools.begin(&call, self.now);
                self.event(event);
                self.todo.push_back(Todo::Tool(call));
            }
        }
    }

    /// A model that was asked to speak and calls tools all the same won't: an apology takes the place of its words.
    fn refuse_tool(&mut self, call: ToolCall, why: String, line: &mut dyn Line) {
        let told_before = self.reply.as_ref().is_some_and(|reply| reply.told_to_speak);
        self.tool_result(call.id, call.name, Err(why));
        let wordless = self.reply.as_ref().is_some_and(|reply| reply.done && reply.utterance.is_none());
        if told_before && wordless && !self.speech.iter().any(|said| said.purpose == Purpose::Apology) {
            self.tools.results_due = false;
            let apology = self.language.phrases(&self.config).apology.clone();
            self.say(Purpose::Apology, &apology, None, line);
        }
    }

    /// Hands the caller to somebody else once everything that is being said was heard.
    pub(crate) fn transfer(&mut self, call: ToolCall, by: WantedBy) -> bool {
        let free = self.leaving.transfer(call, by);
        if !free {
            self.trouble("a transfer was wanted, but the call is about to end already");
        }
        free
    }

    /// A tool has returned. One that was cancelled is ignored.
    pub(crate) fn on_tool_result(&mut self, result: ToolResult, line: &mut dyn Line) {
        if let Some((call, by)) = self.leaving.answered(&result.name) {
            return self.on_transferred(call, by, result, line);
        }
        if let Some(event) = self.tools.end(&result, self.now) {
            self.event(event);
            self.tools.results_matter = true;
            self.take_result(result);
        }
    }

    fn on_transferred(&mut self, call: ToolCall, by: WantedBy, result: ToolResult, line: &mut dyn Line) {
        match (result.outcome, by) {
            (Ok(outcome), _) => {
                let result =
                    ToolResult { id: call.id.clone(), name: call.name.clone(), outcome: Ok(outcome) };
                self.todo.push_back(Todo::Llm(LlmCommand::ToolResult(result)));
                self.hang_up(EndReason::Transferred, Some(call), line);
            }
            (Err(why), WantedBy::Model) => {
                self.tools.results_matter = true;
                self.tool_result(call.id, call.name, Err(why));
            }
            (Err(why), WantedBy::Application) => {
                let to = call.arguments.get("to").and_then(|to| to.as_str()).unwrap_or("another number");
                self.history.transfer_failed(to.to_owned(), why, self.now);
                self.tools.results_matter = true;
                self.tools.results_due = true;
            }
        }
    }

    /// The result of a tool of the engine's own.
    pub(crate) fn tool_result(&mut self, id: String, name: String, outcome: Result<String, String>) {
        self.take_result(ToolResult { id, name, outcome });
    }

    /// Takes a result into the conversation; the model goes on with it.
    pub(crate) fn take_result(&mut self, result: ToolResult) {
        self.history.tool_result(result.clone(), self.now);
        self.todo.push_back(Todo::Llm(LlmCommand::ToolResult(result)));
        self.tools.results_due = true;
    }

    /// Requests the follow-up reply once all tool results have arrived and the caller is silent. True if it did.
    pub(crate) fn go_on_after_tools(&mut self, line: &mut dyn Line) -> bool {
        let ready = self.tools.results_due
            && !self.tools.any()
            && !self.leaving.is_wanted()
            && !self.voicemail.is_there()
            && self.turn.is_quiet()
            && self.barge_in.is_none()
            && self.unanswered_digits.is_none()
            && self.reply.as_ref().is_none_or(Reply::is_over);
        if self.tools.results_due && !self.tools.any() && self.leaving.is_wanted() {
            self.drop_ended(Occasion::ToolsEnded, line); // nothing follows them
        }
        if ready {
            self.request(ReplyReason::Tool, false, line);
            let exhausted = self.tools.is_exhausted();
            if let Some(reply) = &mut self.reply {
                reply.told_to_speak = exhausted;
            }
        }
        ready
    }

    /// The tool `collect_digits`: the keys come as the caller's next turn.
    fn collect_digits(&mut self, call: ToolCall) {
        self.answer = digits_asked_for(&call, &self.config.dtmf);
        self.tools.collecting = true;
        // The caller was asked in the same reply, or is asked now.
        let asked = self.reply.as_ref().is_some_and(|reply| reply.utterance.is_some());
        let outcome = Ok("the caller's keys will come as a note".to_owned());
        self.tool_result(call.id, call.name, outcome);
        if asked {
            self.tools.results_due = false;
        }
    }

    /// The tool `switch_language`.
    fn switch_language(&mut self, call: ToolCall, line: &mut dyn Line) {
        if self.config.follows {
            return self.follow_language(&call, line);
        }
        let outcome = self.language.switch(&call, &self.config).map(|(tag, changed)| {
            if changed {
                // Grammars and the like were for the other language.
                let expectation = Expectation {
                    language: Some(tag.clone()),
                    answer: self.answer,
                    ..Expectation::default()
                };
                line.command(LineCommand::Language(tag.as_str().into()), self.now);
                line.command(LineCommand::Expect(Arc::new(expectation)), self.now);
                self.event(CallEvent::Language { language: tag.clone() });
            }
            format!("from now on the call is in {tag}: go on in that language")
        });
        self.tools.results_matter = true;
        self.tool_result(call.id, call.name, outcome);
    }
}
