//! A voice that remembers: what comes twice is spoken once, in order, and nothing cut off is kept.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use offhook_cache::{CachedTts, SpokenStore};
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{AudioChunk, SpeakRequest, TtsCommand, TtsEvent};
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Tts, Tx, WhenFull, bounded};

/// A voice that says a text in two chunks and counts how often it speaks; “bad” fails half-way.
#[derive(Default)]
struct Voice(Arc<AtomicUsize>);

impl Tts for Voice {
    fn name(&self) -> &str {
        "test"
    }
    fn voice(&self) -> &str {
        "a"
    }
    fn run(
        &self,
        _: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let count = Arc::clone(&self.0);
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let TtsCommand::Speak(request) = command else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let (utterance, segment) = (request.utterance, request.segment);
                for half in request.text.as_bytes().chunks(request.text.len().div_ceil(2)) {
                    let chunk = AudioChunk::Mulaw(half.into());
                    events.send(TtsEvent::Audio { utterance, segment, chunk }).await.unwrap();
                    tokio::task::yield_now().await;
                }
                let end = if request.text == "bad" {
                    let failure = StageError::Broken { stage: "test".into(), what: "no".into() }.to_failure();
                    TtsEvent::Failed { utterance, segment, failure }
                } else {
                    TtsEvent::Done { utterance, segment }
                };
                events.send(end).await.unwrap();
            }
            Ok(())
        })
    }
}

/// Has texts spoken as the segments of one utterance; gives the sound of each as text, and `!` where it failed.
async fn speak(tts: &CachedTts, texts: &[&str]) -> Vec<String> {
    let (to, commands) = bounded(64, WhenFull::PushBack);
    let (events, from) = bounded(64, WhenFull::PushBack);
    let call = CallInfo { call: "CA1".into(), language: "en-US".into(), ..CallInfo::default() };
    let running = tokio::spawn(tts.run(call, commands, events));
    for (n, text) in texts.iter().enumerate() {
        let (utterance, segment) = (UtteranceId(1), SegmentId(n as u32));
        let request = SpeakRequest {
            utterance,
            segment,
            text: (*text).into(),
            last: false,
            language: None,
            recording: None,
        };
        to.send(TtsCommand::Speak(request)).await.unwrap();
    }
    drop(to);
    let mut said = vec![String::new(); texts.len()];
    let mut at = 0;
    while let Some(event) = from.recv().await {
        let (_, segment) = event.of();
        assert_eq!(segment.0, at, "segments come in order");
        let text = &mut said[at as usize];
        match event {
            TtsEvent::Audio { chunk: AudioChunk::Mulaw(octets), .. } => {
                text.push_str(std::str::from_utf8(&octets).unwrap());
            }
            TtsEvent::Failed { .. } => {
                text.push('!');
                at += 1;
            }
            _ => at += 1,
        }
    }
    running.await.unwrap().unwrap();
    said
}

#[tokio::test]
async fn what_comes_twice_is_spoken_once() {
    let voice = Voice::default();
    let count = Arc::clone(&voice.0);
    let store = Arc::new(SpokenStore::default());
    let tts = CachedTts::new(Arc::new(voice), Arc::clone(&store));
    assert_eq!(speak(&tts, &["hello", "there"]).await, ["hello", "there"]);
    assert_eq!(speak(&tts, &["hello", "you", "there"]).await, ["hello", "you", "there"]);
    // “there” was known, but waited for its turn behind “you”, so the voice said it again.
    assert_eq!(count.load(Ordering::Relaxed), 4);
    assert_eq!(speak(&tts, &["hello", "there", "you"]).await, ["hello", "there", "you"]);
    assert_eq!(count.load(Ordering::Relaxed), 4);
    assert_eq!(store.totals().hits, 4);
}

#[tokio::test]
async fn what_failed_or_is_long_is_not_kept() {
    let voice = Voice::default();
    let count = Arc::clone(&voice.0);
    let tts = CachedTts::new(Arc::new(voice), Arc::new(SpokenStore::default()));
    let long = "word ".repeat(100);
    for _ in 0..2 {
        assert_eq!(speak(&tts, &["bad", &long]).await, ["bad!", &long]);
    }
    assert_eq!(count.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_clip_that_a_chain_would_refuse_is_not_kept() {
    let voice = Voice::default();
    let count = Arc::clone(&voice.0);
    let tts = CachedTts::new(Arc::new(voice), Arc::new(SpokenStore::default()));
    // 31 octets are 4 ms of sound.
    let greeting = "Blue Door restaurant, good day.";
    speak(&tts, &[greeting]).await;
    speak(&tts, &[greeting]).await;
    assert_eq!(count.load(Ordering::Relaxed), 2);
}
