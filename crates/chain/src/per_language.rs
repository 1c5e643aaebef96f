//! One voice that speaks several languages, each in a session of its own: most voices are given the language when their session
//! begins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{SpeakRequest, TtsCommand, TtsEvent};

use crate::links::{Did, Links, QUEUE, Start};
use offhook_stages::queue::Closed;
use offhook_stages::{BoxFuture, CallInfo, Distance, Rx, StageError, Tts, Tx, WhenFull};

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

    fn warm(&self, call: &CallInfo) -> BoxFuture<()> {
        self.voice.warm(call)
    }

    fn distance(&self) -> Distance {
        self.voice.distance()
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
        let router = LanguageRouter {
            sessions,
            tags,
            now: FIRST,
            pending: BTreeMap::new(),
            closing: BTreeSet::new(),
            waiting: VecDeque::new(),
            events,
        };
        Box::pin(router.serve(commands))
    }
}

/// The session of the language that the call begins in.
const FIRST: usize = 0;

/// One call's sessions.
struct LanguageRouter {
    sessions: Links<TtsCommand, TtsEvent>,
    tags: Vec<Arc<str>>,
    /// The language that is spoken.
    now: usize,
    /// What is asked for and not done, and of which session.
    pending: BTreeMap<(UtteranceId, SegmentId), usize>,
    /// Sessions that end once they have spoken what is pending.
    closing: BTreeSet<usize>,
    /// Requests to closing sessions: they are asked again, in new sessions, once those have ended.
    waiting: VecDeque<(usize, SpeakRequest)>,
    events: Tx<TtsEvent>,
}

impl LanguageRouter {
    async fn serve(mut self, commands: Rx<TtsCommand>) -> Result<(), StageError> {
        let mut wanted = true;
        while wanted || self.sessions.any() {
            let sent = tokio::select! {
                biased;
                command = commands.recv(), if wanted => match command {
                    Some(TtsCommand::Speak(request)) => self.speak(request).await,
                    Some(TtsCommand::Cancel { utterance }) => {
                        self.cancel(utterance).await
                    }
                    None => {
                        wanted = false;
                        (0..self.tags.len()).for_each(|session| self.close(session));
                        Ok(())
                    }
                },
                (session, did) = self.sessions.next() => match did {
                    Did::Said(event) => self.pass(event).await,
                    Did::Ended(error) if !self.closing.contains(&session) && session == self.now => {
                        return Err(error);
                    }
                    Did::Ended(error) => self.ended(session, &error, wanted).await,
                },
            };
            if sent.is_err() {
                return Ok(()); // nobody listens: the call is over
            }
        }
        Ok(())
    }

    /// The session of a language. One that the voice was not given is spoken as the one that was spoken before.
    fn session(&self, language: Option<&str>) -> usize {
        let Some(language) = language else { return FIRST };
        self.tags.iter().position(|tag| **tag == *language).unwrap_or(self.now)
    }

    async fn speak(&mut self, request: SpeakRequest) -> Result<(), Closed> {
        let session = self.session(request.language.as_deref());
        let before = std::mem::replace(&mut self.now, session);
        if before != session {
            self.close(before);
            self.stop_if_idle(session);
        }
        if self.closing.contains(&session) {
            self.waiting.push_back((session, request));
            return Ok(());
        }
        self.ask(session, request).await
    }

    async fn ask(&mut self, session: usize, request: SpeakRequest) -> Result<(), Closed> {
        self.pending.insert((request.utterance, request.segment), session);
        match self.sessions.ask(session, TtsCommand::Speak(request)) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(session, &error).await,
        }
    }

    /// Requests the end of a session. It comes once it has spoken what is pending.
    fn close(&mut self, session: usize) {
        if self.sessions.is_running(session) {
            self.sessions.close(session);
            self.closing.insert(session);
        }
    }

    /// Ends a closing session at once if nothing of it is pending.
    fn stop_if_idle(&mut self, session: usize) {
        if self.closing.contains(&session) && !self.pending.values().any(|of| *of == session) {
            self.sessions.stop(session);
            self.closing.remove(&session);
        }
    }

    /// Asks a new session for what waited for the old one's end.
    async fn ask_waiting(&mut self, session: usize) -> Result<(), Closed> {
        let (ready, rest) = std::mem::take(&mut self.waiting).into_iter().partition(|(of, _)| *of == session);
        self.waiting = rest;
        let ready: VecDeque<(usize, SpeakRequest)> = ready;
        for (_, request) in ready {
            self.ask(session, request).await?;
        }
        if session != self.now {
            self.close(session);
        }
        Ok(())
    }

    async fn ended(&mut self, session: usize, error: &StageError, wanted: bool) -> Result<(), Closed> {
        self.closing.remove(&session);
        self.fail(session, error).await?;
        self.ask_waiting(session).await?;
        if !wanted {
            self.close(session);
        }
        Ok(())
    }

    async fn cancel(&mut self, utterance: UtteranceId) -> Result<(), Closed> {
        self.pending.retain(|(of, _), _| *of != utterance);
        self.waiting.retain(|(_, request)| request.utterance != utterance);
        for session in 0..self.tags.len() {
            self.sessions.notify(session, TtsCommand::Cancel { utterance });
            // A closing session takes no commands any more: it would speak on.
            if self.closing.contains(&session) {
                self.stop_if_idle(session);
                if !self.closing.contains(&session) {
                    self.ask_waiting(session).await?;
                }
            }
        }
        Ok(())
    }

    async fn pass(&mut self, event: TtsEvent) -> Result<(), Closed> {
        if matches!(event, TtsEvent::Done { .. } | TtsEvent::Failed { .. }) {
            self.pending.remove(&event.of());
        }
        self.events.send(event).await
    }

    /// A session has ended: what is still pending of it has failed.
    async fn fail(&mut self, session: usize, error: &StageError) -> Result<(), Closed> {
        let failed: Vec<_> =
            self.pending.iter().filter(|(_, of)| **of == session).map(|(segment, _)| *segment).collect();
        for (utterance, segment) in failed {
            self.pending.remove(&(utterance, segment));
            let failure = error.to_failure();
            self.events.send(TtsEvent::Failed { utterance, segment, failure }).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use offhook_stages::bounded;

    /// Says in which language each session speaks, as its only word.
    struct Tongue(Arc<Mutex<Vec<String>>>, Duration);

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
            let (seen, takes) = (Arc::clone(&self.0), self.1);
            Box::pin(async move {
                seen.lock().unwrap().push(format!("{} begins", call.language));
                while let Some(command) = commands.recv().await {
                    let TtsCommand::Speak(request) = command else { continue };
                    seen.lock().unwrap().push(format!("{}: {}", call.language, request.text));
                    let (utterance, segment) = (request.utterance, request.segment);
                    tokio::time::sleep(takes).await;
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
        let voice = PerLanguageTts::new(
            Arc::new(Tongue(Arc::clone(&seen), Duration::ZERO)),
            ["en".into(), "es".into()],
        );
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
                recording: None,
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

    fn request(utterance: u32, segment: u32, language: &str) -> TtsCommand {
        TtsCommand::Speak(SpeakRequest {
            utterance: UtteranceId(utterance),
            segment: SegmentId(segment),
            text: format!("{utterance}.{segment}"),
            last: false,
            language: Some(language.into()),
            recording: None,
        })
    }

    /// What becomes of segments, in the order of events, where each takes 100 ms to speak.
    async fn outcomes(commands: Vec<TtsCommand>) -> Vec<String> {
        let tongue = Tongue(Arc::default(), Duration::from_millis(100));
        let voice = PerLanguageTts::new(Arc::new(tongue), ["en".into(), "es".into()]);
        let (to, commands_of_call) = bounded(8, WhenFull::PushBack);
        let (events, from) = bounded(8, WhenFull::PushBack);
        let call = CallInfo { language: "en".into(), ..CallInfo::default() };
        let run = tokio::spawn(voice.run(call, commands_of_call, events));
        for command in commands {
            to.offer(command).unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(to);
        let mut seen = Vec::new();
        while let Some(event) = from.recv().await {
            seen.push(match event {
                TtsEvent::Done { utterance, segment } => format!("{}.{} done", utterance.0, segment.0),
                TtsEvent::Failed { utterance, segment, .. } => {
                    format!("{}.{} failed", utterance.0, segment.0)
                }
                TtsEvent::Audio { .. } | TtsEvent::Words { .. } => continue,
            });
        }
        assert!(run.await.unwrap().is_ok());
        seen
    }

    #[tokio::test(start_paused = true)]
    async fn a_language_that_is_left_and_taken_up_again_within_a_reply_fails_nothing() {
        let there_and_back =
            vec![request(1, 1, "en"), request(1, 2, "es"), request(1, 3, "en"), request(1, 4, "es")];
        assert_eq!(outcomes(there_and_back).await, ["1.1 done", "1.2 done", "1.3 done", "1.4 done"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_cancelled_session_is_spoken_at_once() {
        let cancelled = vec![
            request(1, 1, "en"),
            request(1, 2, "es"),
            request(2, 1, "en"),
            TtsCommand::Cancel { utterance: UtteranceId(1) },
        ];
        assert_eq!(outcomes(cancelled).await, ["2.1 done"]);
    }
}
