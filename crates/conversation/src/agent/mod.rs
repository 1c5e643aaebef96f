//! The agent's side: what it says, the reply that it says it for, its tools, what it knows, and the language that it speaks.
//!
//! It looks at the [caller's side](crate::caller), and never changes it.

mod language;
mod losing;
mod outcome;
mod progress;
mod reply;
mod replying;
mod silence;
mod speaking;
mod toolbox;
mod waiting;

use std::sync::Arc;

use offhook_stage_api::{
    CallTime, Digits, Entry, Expectation, Interruptible, LlmCommand, News, ReplyId, StageFailure, ToolCall,
    ToolResult, UtteranceId, tools,
};

use crate::config::ConversationConfig;
use crate::event::{CallEvent, ToolStage};
use crate::history::History;
use crate::line::Heard;
use crate::moment::Moment;
use crate::phrases::Phrases;
use crate::speech::{Occasion, Purpose, Utterance};
use crate::turn::TurnNumber;

use language::ActiveLanguage;
pub(crate) use outcome::{Begun, Soundless, TooLong, Unheard, Wordless};
use progress::Progress;
use reply::Reply;
use silence::Silence;
use speaking::Speaking;
use toolbox::Tools;
pub(crate) use toolbox::{Verdict, digits_asked_for, digits_to_press};

/// The agent's side.
pub(crate) struct Agent {
    speaking: Speaking,
    silence: Silence,
    reply: Option<Reply>,
    last_reply: ReplyId,
    /// The model has something to say that nobody asked for.
    initiative: bool,
    llm_ended: Option<StageFailure>,
    tools: Tools,
    history: History,
    progress: Progress,
    language: ActiveLanguage,
}

impl Agent {
    pub(crate) fn new(config: &ConversationConfig) -> Self {
        Self {
            speaking: Speaking::default(),
            silence: Silence::default(),
            reply: None,
            last_reply: ReplyId::default(),
            initiative: false,
            llm_ended: None,
            tools: Tools::default(),
            history: History::new(&config.history),
            progress: Progress::default(),
            language: ActiveLanguage::default(),
        }
    }

    // What is known.

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.history.entries()
    }

    // The language.

    /// The language that the call has been switched to, if it was.
    pub(crate) fn language(&self) -> Option<Arc<str>> {
        self.language.tag()
    }

    /// What is expected, in the language that is spoken.
    pub(crate) fn in_language(&self, expectation: &Arc<Expectation>) -> Arc<Expectation> {
        self.language.expectation(expectation)
    }

    /// Changes to what a call of the tool `switch_language` asks for. Gives its tag, and whether it is another.
    pub(crate) fn switch_language(
        &mut self,
        call: &ToolCall,
        at: &Moment<'_>,
    ) -> Result<(String, bool), String> {
        self.language.switch(call, at.config)
    }

    /// Changes to this language, declared or not.
    pub(crate) fn speak_language(&mut self, tag: &str, at: &Moment<'_>) {
        self.language.speak(tag, at.config);
    }

    fn phrases<'a>(&'a self, at: &'a Moment<'_>) -> &'a Phrases {
        self.language.phrases(at.config)
    }

    /// Nothing is being said, nor about to be, apart from what is held.
    pub(crate) fn is_idle(&self) -> bool {
        self.speaking.is_idle()
    }

    /// What the caller hears now.
    pub(crate) fn audible(&self, at: &Moment<'_>) -> Option<&Utterance> {
        self.speaking.audible(at)
    }

    /// Reports to the model how much was heard of what is being said, if it wants to know.
    pub(crate) fn report_progress(&mut self, at: &mut Moment<'_>) {
        let audible = self.speaking.audible(at).map(|said| (said.id, &said.purpose));
        self.progress.report(audible, at);
    }

    // Saying.

    /// Says something of the engine's own. Nothing for an empty text.
    pub(crate) fn say(
        &mut self,
        purpose: Purpose,
        text: &str,
        by: Option<Interruptible>,
        at: &mut Moment<'_>,
    ) {
        if !text.trim().is_empty() {
            self.speaking.say(purpose, text, by, self.language.tag(), at);
        }
    }

    /// Says one of the engine's phrases, in the language that is spoken.
    pub(crate) fn say_phrase(
        &mut self,
        purpose: Purpose,
        phrase: impl FnOnce(&Phrases) -> &String,
        by: Option<Interruptible>,
        at: &mut Moment<'_>,
    ) {
        let text = phrase(self.phrases(at)).clone();
        self.say(purpose, &text, by, at);
    }

    /// Says that it went wrong.
    pub(crate) fn apologise(&mut self, at: &mut Moment<'_>) {
        self.say_phrase(Purpose::Apology, |phrases| &phrases.apology, None, at);
    }

    /// An apology is being said, or about to be.
    pub(crate) fn apologises(&self) -> bool {
        self.speaking.iter().any(|said| said.purpose == Purpose::Apology)
    }

    /// Says again the last sentence that was heard: a question, mostly.
    pub(crate) fn ask_again(&mut self, at: &mut Moment<'_>) {
        let question = self.history.last_of_agent().map(last_sentence).unwrap_or_default();
        self.say(Purpose::Reply(None), &question, None, at);
    }

    /// Presses keys, behind what is being said.
    pub(crate) fn press(
        &mut self,
        digits: &Digits,
        tool: Option<String>,
        at: &mut Moment<'_>,
    ) -> Result<(), String> {
        self.speaking.press(digits, tool, at)
    }

    // What the line says of it.

    /// Sound of it is there.
    pub(crate) fn on_ready(&mut self, id: UtteranceId, at: &mut Moment<'_>) {
        let Some(said) = self.speaking.ready(id) else { return };
        let (begun, reply) = (said.has_begun(), said.purpose.reply());
        if begun {
            self.drop_ended(Occasion::RestReady(id), at);
        } else if let Some(reply) = reply {
            if let Some(reply) = self.reply.as_mut().filter(|current| current.id == reply) {
                reply.first_audio.get_or_insert(at.now);
            }
            self.drop_ended(Occasion::ReplyReady(reply), at);
        }
    }

    /// Its first sound went out. True if it is the reply that is waited for.
    pub(crate) fn on_began(&mut self, id: UtteranceId, at: &mut Moment<'_>) -> bool {
        let Some(said) = self.speaking.began(id, at) else { return false };
        let text = if said.is_recording { said.shown().to_owned() } else { said.text.clone() };
        let (what, reply) = (said.purpose.kind(), said.purpose.reply());
        let (speaks, interruptible) =
            (!matches!(said.purpose, Purpose::Keys(_) | Purpose::Echo), said.interruptible);
        at.event(CallEvent::Speaking { utterance: id, what, text });
        // The turn that it answers comes before it.
        if speaks {
            self.silence.voice_failures = 0;
            self.history.began(id, at.now);
            at.news(|| News::AgentBegan { interruptible });
        }
        reply.is_some() && self.reply.as_ref().is_some_and(|current| Some(current.id) == reply)
    }

    /// It was played to its end. True if it was known.
    pub(crate) fn on_over(&mut self, id: UtteranceId, heard: &Heard, at: &mut Moment<'_>) -> bool {
        let Some(said) = self.speaking.remove(id) else { return false };
        self.note_said(&said, heard, false, at);
        if let Purpose::Keys(Some(tool)) = said.purpose {
            self.keys_done(tool, Ok("pressed".to_owned()), at);
        }
        self.silence.over(at.now);
        self.speaking.next_in_turn(at);
        true
    }

    /// A filler waits for its turn that bridges the wait for the words of a pause.
    pub(crate) fn bridges_words(&self) -> bool {
        self.speaking.bridges_words()
    }

    /// Nothing may begin, or it may again.
    pub(crate) fn block(&mut self, blocked: bool, at: &mut Moment<'_>) {
        self.speaking.block(blocked, at);
    }

    /// Tells the line of replies that were thrown away.
    pub(crate) fn discard_dropped(&mut self, at: &mut Moment<'_>) {
        self.speaking.discard_dropped(at);
    }

    // What the caller has said and keyed.

    /// A turn is over, and will be answered.
    pub(crate) fn on_turn(&mut self, number: TurnNumber, text: &str, span: (CallTime, CallTime)) {
        self.silence.caller_is_there();
        self.tools.new_turn();
        self.history.caller(number, text, span);
    }

    /// A turn that is over has other words.
    pub(crate) fn correct_turn(&mut self, number: TurnNumber, text: &str, span: (CallTime, CallTime)) {
        self.history.caller(number, text, span);
    }

    /// These words of a turn are known.
    pub(crate) fn knows_turn(&self, number: TurnNumber, text: &str) -> bool {
        self.history.words_of(number).unwrap_or_default() == text
    }

    /// The turn goes on.
    pub(crate) fn withdraw_turn(&mut self, number: TurnNumber) {
        self.history.withdraw(number);
    }

    pub(crate) fn on_keys(&mut self, digits: Digits, span: (CallTime, CallTime)) {
        self.history.digits(digits, span);
    }

    // Tools.

    pub(crate) const fn tools_run(&self) -> bool {
        self.tools.any()
    }

    /// All tools have returned, and the model has not had their results yet.
    pub(crate) const fn has_results(&self) -> bool {
        self.tools.are_results_due() && !self.tools.any()
    }

    /// The caller begins anew: the model may call tools again.
    pub(crate) fn allow_tools(&mut self) {
        self.tools.new_turn();
    }

    /// The model calls a tool.
    pub(crate) fn judge_tool(&mut self, call: &mut ToolCall, at: &Moment<'_>) -> Verdict {
        self.tools.name(call);
        let mut noted = call.clone();
        if call.name == tools::SEND_DTMF {
            // Keys are not reported, not even to the model's own later turns.
            noted.arguments = serde_json::json!({ "digits": "(hidden)" });
        }
        self.history.tool_call(noted, at.now);
        if call.name == tools::END_CALL {
            return Verdict::Run;
        }
        self.tools.judge(call, &at.config.tool_limits)
    }

    fn keys_done(&mut self, id: String, outcome: Result<String, String>, at: &mut Moment<'_>) {
        let name = tools::SEND_DTMF.to_owned();
        let result = ToolResult { id, name, outcome };
        if let Some(event) = self.tools.end(&result, at.now) {
            at.event(event);
        }
        self.take_result(result, at);
    }

    /// A tool runs from now on.
    pub(crate) fn tool_runs(&mut self, call: &ToolCall, at: &mut Moment<'_>) {
        let event = self.tools.begin(call, at.now);
        at.event(event);
    }

    /// A tool has returned. One that was cancelled is ignored.
    pub(crate) fn on_tool_result(&mut self, result: ToolResult, at: &mut Moment<'_>) {
        if let Some(event) = self.tools.end(&result, at.now) {
            at.event(event);
            self.tools.results_matter();
            self.take_result(result, at);
        }
    }

    /// The result of a tool of the engine's own. `matters`: the caller waits for what the model makes of it.
    pub(crate) fn own_result(
        &mut self,
        call: &ToolCall,
        outcome: Result<String, String>,
        matters: bool,
        at: &mut Moment<'_>,
    ) {
        if matters {
            self.tools.results_matter();
        }
        self.take_result(result_of(call, outcome), at);
    }

    /// The model need not go on with the results that there are.
    pub(crate) fn results_need_no_words(&mut self) {
        self.tools.results_are_taken();
    }

    /// The result of a tool that nothing follows.
    pub(crate) fn last_result(&mut self, call: &ToolCall, outcome: &str, at: &Moment<'_>) {
        self.history.tool_result(result_of(call, Ok(outcome.to_owned())), at.now);
    }

    /// A transfer that the application wanted has failed.
    pub(crate) fn transfer_failed(&mut self, to: String, why: String, at: &Moment<'_>) {
        self.history.transfer_failed(to, why, at.now);
        self.tools.results_matter();
        self.tools.results_come();
    }

    /// Takes a result into the conversation; the model goes on with it.
    fn take_result(&mut self, result: ToolResult, at: &mut Moment<'_>) {
        self.history.tool_result(result.clone(), at.now);
        at.llm(LlmCommand::ToolResult(result));
        self.tools.results_come();
    }

    /// The caller spoke up: tools that are declared so are cancelled.
    pub(crate) fn interrupt_tools(&mut self, at: &mut Moment<'_>) {
        for tool in self.tools.interrupt(&at.config.tools) {
            at.event(tool.event(ToolStage::Cancelled, at.now));
            let result = tool.cancelled();
            at.cancel_tool(result.id.clone());
            at.llm(LlmCommand::ToolResult(result.clone()));
            self.history.tool_result(result, at.now);
        }
        if !self.tools.any() {
            self.drop_ended(Occasion::ToolsEnded, at);
        }
    }
}

fn result_of(call: &ToolCall, outcome: Result<String, String>) -> ToolResult {
    ToolResult { id: call.id.clone(), name: call.name.clone(), outcome }
}

/// The last sentence: a question, mostly.
fn last_sentence(text: &str) -> String {
    let end = text.trim_end_matches(['.', '!', '?', '…']).len();
    let start = text.get(..end).and_then(|text| text.rfind(['.', '!', '?', '…'])).map_or(0, |at| at + 1);
    text.get(start..).unwrap_or(text).trim_start_matches(['.', '!', '?', '…']).trim().to_owned()
}
