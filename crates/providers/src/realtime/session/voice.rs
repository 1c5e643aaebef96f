//! Which voice speaks what.

use offhook_stage_api::{SpeakRequest, TtsCommand};
use tokio::time::Instant;

use super::super::reply::Reply;
use super::super::wire;
use super::{Knows, OWN_WORDS, Session};
use crate::llm::Message;

impl Session {
    pub(in crate::realtime) fn on_tts(&mut self, command: TtsCommand, now: Instant) {
        match command {
            TtsCommand::Speak(request) => self.speak(request, now),
            TtsCommand::Cancel { utterance } => {
                let its = |reply: &&mut Reply| reply.output.utterance == Some(utterance);
                if let Some(reply) = self.replies.iter_mut().find(its) {
                    reply.output.mute();
                    return;
                }
                let said = self.own_words.iter().filter(|(of, _)| *of == utterance);
                self.say.extend(said.map(|(_, item)| wire::delete(item)));
                self.own_words.retain(|(of, _)| *of != utterance);
                self.voice.push(TtsCommand::Cancel { utterance });
            }
        }
    }

    /// What goes on with the model's reply is spoken by the model; whatever else by the other voice, and the model is told of
    /// it. The call closes its own utterances with their only segment, and leaves replies open.
    fn speak(&mut self, request: SpeakRequest, now: Instant) {
        let goes_on = self.replies.iter().position(|reply| reply.output.utterance == Some(request.utterance));
        let begins = |reply: &Reply| {
            reply.output.utterance.is_none()
                && !reply.unwanted
                && !reply.cut
                && reply.begins_with(&request.text)
        };
        let own = goes_on.is_none() && !request.last;
        let at = goes_on.or_else(|| self.replies.iter().rposition(begins).filter(|_| own));
        if let Some(reply) = at.and_then(|at| self.replies.get_mut(at)) {
            reply.output.speak(&request, now);
            return;
        }
        if self.knows != Knows::Nothing && request.text.chars().any(char::is_alphanumeric) {
            let item = self.write(&Message::Assistant(request.text.clone()));
            if self.own_words.len() >= OWN_WORDS {
                self.own_words.pop_front();
            }
            self.own_words.push_back((request.utterance, item));
        }
        self.voice.push(TtsCommand::Speak(request));
    }
}
