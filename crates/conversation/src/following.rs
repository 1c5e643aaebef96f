//! Models that follow the call: what they get besides requests, and when they speak unasked.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::{
    CallTime, Digits, Expectation, Interruptible, Key, LlmCommand, News, ReplyReason, ToolCall, UtteranceId,
};

use crate::conversation::{Conversation, Todo};
use crate::event::CallEvent;
use crate::line::{Heard, Line, LineCommand};
use crate::reply::Reply;
use crate::speech::{By, Occasion, Purpose, Utterance};

/// What is heard is looked at so often.
const LOOK: Duration = Duration::from_millis(200);

/// What the model was told of what is being said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WordsTold {
    next: CallTime,
    of: Option<UtteranceId>,
    octets: usize,
}

impl Conversation {
    /// Tells the model how much has been heard of what is being said, if it wants to know, and more was.
    pub(crate) fn tell_words(&mut self, line: &dyn Line) {
        if !self.config.follows_words || self.now < self.words_told.next {
            return;
        }
        self.words_told.next = self.now + LOOK;
        let audible = line.audible(self.now).and_then(|id| self.speech.get(id));
        let Some(said) = audible.filter(|said| !matches!(said.purpose, Purpose::Keys(_) | Purpose::Echo))
        else {
            return;
        };
        let id = said.id;
        let heard = line.heard(id, self.now).text;
        let before = if self.words_told.of == Some(id) { self.words_told.octets } else { 0 };
        if heard.len() > before {
            (self.words_told.of, self.words_told.octets) = (Some(id), heard.len());
            self.news(|| News::AgentSays { heard });
        }
    }

    /// Tells the model, if it follows the call.
    pub(crate) fn news(&mut self, news: impl FnOnce() -> News) {
        if self.config.follows {
            self.todo.push_back(Todo::Llm(LlmCommand::News(news())));
        }
    }

    /// Something that was said is over. Keys that were pressed are no words.
    pub(crate) fn said_news(&mut self, said: &Utterance, heard: &Heard, whole: bool) {
        if !matches!(said.purpose, Purpose::Keys(_) | Purpose::Echo) {
            self.news(|| News::AgentSaid { heard: heard.text.clone(), lasted: heard.lasted, whole });
        }
    }

    /// A key goes to the model at once: what numbers mean, the application knows.
    pub(crate) fn follow_key(&mut self, key: Key, line: &mut dyn Line) {
        self.drop_ended(Occasion::CallerBegan, line);
        let audible = line.audible(self.now).and_then(|id| self.speech.get(id));
        if audible.is_some_and(|said| said.interruptible != Interruptible::No) {
            self.interrupt(By::Key, line);
        }
        self.event(CallEvent::Digits { count: 1 });
        let at: CallTime = self.now;
        // Whoever takes over from the application gets to know it as well.
        self.history.digits(Digits::new(&key.reveal().to_string()), (at, at));
        self.news(|| News::Keyed(key));
    }

    /// The application changes the language that is spoken, that is heard, or both; also to one that isn't declared.
    pub(crate) fn follow_language(&mut self, call: &ToolCall, line: &mut dyn Line) {
        let tag = |name: &str| call.arguments.get(name).and_then(serde_json::Value::as_str);
        if let Some(tag) = tag("language") {
            self.language.speak(tag, &self.config);
            line.command(LineCommand::Language(tag.into()), self.now);
            self.event(CallEvent::Language { language: tag.to_owned() });
        }
        if let Some(tag) = tag("transcription") {
            let (language, answer) = (Some(tag.to_owned()), self.answer);
            let expectation = Expectation { language, answer, ..Expectation::default() };
            line.command(LineCommand::Expect(Arc::new(expectation)), self.now);
        }
        self.tool_result(call.id.clone(), call.name.clone(), Ok("done".to_owned()));
    }

    /// The model has something to say that nobody asked for.
    pub(crate) fn on_initiative(&mut self, preempt: bool, line: &mut dyn Line) {
        self.initiative = true;
        if preempt {
            self.drop_ended(Occasion::Preempted, line);
        }
    }

    /// Requests what the model wants to say unasked, once the caller is silent and nothing else is being written. True if it did.
    pub(crate) fn take_initiative(&mut self, line: &mut dyn Line) -> bool {
        let ready = self.initiative
            && !self.leaving.is_wanted()
            && !self.voicemail.is_there()
            && self.turn.is_quiet()
            && self.barge_in.is_none()
            && self.unanswered_digits.is_none()
            && self.reply.as_ref().is_none_or(Reply::is_over);
        if ready {
            self.request(ReplyReason::Initiative, false, line);
        }
        ready
    }
}
