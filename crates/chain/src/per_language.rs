//! One voice that speaks several languages, each in a session of its own: most voices are told the language when their session
//! begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{SpeakRequest, TtsCommand, TtsEvent};

use crate::links::{Did, Links, QUEUE, Start};
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Tts, Tx, WhenFull};

/// Gives each language of a call its own session of a voice. The first begins with the call, others when they are first spoken;
/// one that is left ends when it has said what it was asked for.
#[derive(Clone)]
pub struct PerLanguageTts {
    voice: Arc<dyn Tts>,
    /// The languages that calls may be switched to.
    languages: Arc<[String]>,
}

impl std::fmt::Debug for PerLanguageTts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PerLanguageTts({}/{}: {})",
            self.voice.name(),
            self.voice.voice(),
            self.languages.join(", ")
        )
    }
}

impl PerLanguageTts {
    /// Stands before a voice. `languages`: BCP 47 tags that calls may be switched to.
    #[must_use]
    pub fn new(voice: Arc<dyn Tts>, languages: impl Into<Arc<[String]>>) -> Self {
        Self { voice, languages: languages.into() }
    }
}

impl Tts for PerLanguageTts {
    fn name(&self) -> &str {
        self.voice.name()
    }

    fn voice(&self) -> &str {
        self.voice.voice()
    }

    fn warm(&self) -> BoxFuture<()> {
        self.voice.warm()
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let others = self.languages.iter().filter(|tag| **tag != *call.language);
        let tags: Vec<Arc<str>> = std::iter::once(Arc::clone(&call.language))
            .chain(others.map(|tag| tag.as_str().into()))
            .collect();
        let starts = tags.iter().map(|tag| {
            let (voice, tag) = (Arc::clone(&self.voice), Arc::clone(tag));
            let start: Start<TtsCommand, TtsEvent> = Box::new(move |mut call, commands, events| {
                call.language = Arc::clone(&tag);
                voice.run(call, commands, events)
            });
            (self.voice.name().to_owned(), start)
        });
        let mut sessions = Links::new(call, starts);
        sessions.start(FIRST, QUEUE, WhenFull::PushBack);
        let desk = Desk { sessions, tags, now: FIRST, owed: BTreeMap::new(), events };
        Box::pin(desk.serve(commands))
    }
}

/// The session of the language that the call begins in.
const FIRST: usize = 0;

/// One call's sessions.
struct Desk {
    sessions: Links<TtsCommand, TtsEvent>,
    tags: Vec<Arc<str>>,
    /// The language that is spoken.
    now: usize,
    /// What is asked for and not done, and of which session.
    owed: BTreeMap<(UtteranceId, SegmentId), usize>,
    events: Tx<TtsEvent>,
}

impl Desk {
    async fn serve(mut self, commands: Rx<TtsCommand>) -> Result<(), StageError> {
        let mut wanted = true;
        while wanted || self.sessions.any() {
            let told = tokio::select! {
                biased;
                command = commands.recv(), if wanted => match command {
                    Some(TtsCommand::Speak(request)) => self.speak(request).await,
                    Some(TtsCommand::Cancel { utterance }) => {
                        self.cancel(utterance);
                        Ok(())
                    }
                    None => {
                        wanted = false;
                        (0..self.tags.len()).for_each(|session| self.sessions.close(session));
                        Ok(())
                    }
                },
                (session, did) = self.sessions.next() => match did {
                    Did::Said(event) => self.pass(event).await,
                    Did::Ended(error) if wanted && session == self.now => return Err(error),
                    Did::Ended(error) => self.fail(session, &error).await,
                },
            };
            if told.is_err() {
                return Ok(()); // nobody listens: the call is over
            }
        }
        Ok(())
    }

    /// The session of a language. One that the voice was not told of is spoken as the one that was spoken before.
    fn session(&self, language: Option<&str>) -> usize {
        let Some(language) = language else { return FIRST };
        self.tags.iter().position(|tag| **tag == *language).unwrap_or(self.now)
    }

    async fn speak(&mut self, request: SpeakRequest) -> Result<(), offhook_stages::queue::Closed> {
        let session = self.session(request.language.as_deref());
        let before = std::mem::replace(&mut self.now, session);
        if before != session {
            // It ends when it has said what it owes. One that is spoken again before that begins anew.
            self.sessions.close(before);
            if !self.sessions.takes(session) {
                let what = "its language was left and taken up again at once".to_owned();
                let error = StageError::Broken { stage: self.sessions.name(session), what };
                self.sessions.stop(session);
                self.fail(session, &error).await?;
            }
        }
        let (utterance, segment) = (request.utterance, request.segment);
        self.owed.insert((utterance, segment), session);
        if let Err(error) = self.sessions.ask(session, TtsCommand::Speak(request)) {
            self.owed.remove(&(utterance, segment));
            let failure = error.to_failure();
            self.events.send(TtsEvent::Failed { utterance, segment, failure }).await?;
        }
        Ok(())
    }

    fn cancel(&mut self, utterance: UtteranceId) {
        self.owed.retain(|(owed, _), _| *owed != utterance);
        for session in 0..self.tags.len() {
            self.sessions.tell(session, TtsCommand::Cancel { utterance });
        }
    }

    async fn pass(&mut self, event: TtsEvent) -> Result<(), offhook_stages::queue::Closed> {
        if matches!(event, TtsEvent::Done { .. } | TtsEvent::Failed { .. }) {
            self.owed.remove(&event.of());
        }
        self.events.send(event).await
    }

    /// A session has ended: what it still owed has failed.
    async fn fail(
        &mut self,
        session: usize,
        error: &StageError,
    ) -> Result<(), offhook_stages::queue::Closed> {
        let failed: Vec<_> =
            self.owed.iter().filter(|(_, of)| **of == session).map(|(segment, _)| *segment).collect();
        for (utterance, segment) in failed {
            self.owed.remove(&(utterance, segment));
            let failure = error.to_failure();
            self.events.send(TtsEvent::Failed { utterance, segment, failure }).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use offhook_stages::bounded;

    /// Says in which language each session speaks, as its only word.
    struct Tongue(Arc<Mutex<Vec<String>>>);

    impl Tts for Tongue {
        fn name(&self) -> &'static str {
            "tongue"
        }

        fn voice(&self) -> &'static str {
            "v"
        }

        fn run(
            &self,
            call: CallInfo,
            commands: Rx<TtsCommand>,
            events: Tx<TtsEvent>,
        ) -> BoxFuture<Result<(), StageError>> {
            let seen = Arc::clone(&self.0);
            Box::pin(async move {
                seen.lock().unwrap().push(format!("{} begins", call.language));
                while let Some(command) = commands.recv().await {
                    let TtsCommand::Speak(request) = command else { continue };
                    seen.lock().unwrap().push(format!("{}: {}", call.language, request.text));
                    let (utterance, segment) = (request.utterance, request.segment);
                    events.send(TtsEvent::Done { utterance, segment }).await.unwrap();
                }
                seen.lock().unwrap().push(format!("{} ends", call.language));
                Ok(())
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_language_has_its_session_and_one_that_is_left_ends() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let voice = PerLanguageTts::new(Arc::new(Tongue(Arc::clone(&seen))), ["en".into(), "es".into()]);
        let (to, commands) = bounded(8, WhenFull::PushBack);
        let (events, from) = bounded(8, WhenFull::PushBack);
        let call = CallInfo { language: "en".into(), ..CallInfo::default() };
        let run = tokio::spawn(voice.run(call, commands, events));
        let said = [("hello", None), ("hola", Some("es")), ("adiós", Some("es")), ("bye", Some("en"))];
        for (number, (text, language)) in said.into_iter().enumerate() {
            let utterance = UtteranceId(number as u32);
            let request = SpeakRequest {
                utterance,
                segment: SegmentId(0),
                text: text.to_owned(),
                last: true,
                language: language.map(Into::into),
            };
            to.offer(TtsCommand::Speak(request)).unwrap();
            let done = from.recv().await.unwrap();
            assert!(matches!(done, TtsEvent::Done { utterance: done, .. } if done == utterance), "{done:?}");
            // A session that was left ends before it is needed again.
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        drop(to);
        assert!(run.await.unwrap().is_ok());
        let seen = seen.lock().unwrap().join("\n");
        insta::assert_snapshot!(seen, @r"
        en begins
        en: hello
        en ends
        es begins
        es: hola
        es: adiós
        en begins
        en: bye
        es ends
        en ends
        ");
    }
}
