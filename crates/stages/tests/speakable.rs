//! A voice behind [`SpeakableTts`] gets speakable text; the call gets the written words' times.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{SpeakRequest, TimedWord, TtsCommand, TtsEvent};
use offhook_stages::speakable::SpeakableTts;
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Tts, Tx, WhenFull, bounded};

/// Says every word in 100 ms.
struct Parrot;

impl Tts for Parrot {
    fn name(&self) -> &str {
        "parrot"
    }

    fn voice(&self) -> &str {
        "grey"
    }

    fn run(
        &self,
        _call: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let TtsCommand::Speak(request) = command else { continue };
                let (utterance, segment) = (request.utterance, request.segment);
                for (at, word) in (0..).zip(request.text.split_whitespace()) {
                    let words =
                        vec![TimedWord { word: word.into(), start_ms: at * 100, end_ms: at * 100 + 90 }];
                    events.send(TtsEvent::Words { utterance, segment, words }).await.unwrap();
                }
                events.send(TtsEvent::Done { utterance, segment }).await.unwrap();
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn times_are_those_of_the_written_words() {
    let (to, commands) = bounded(8, WhenFull::PushBack);
    let (events, from) = bounded(64, WhenFull::PushBack);
    let voice = SpeakableTts::new(Arc::new(Parrot));
    for (segment, text) in ["Pay **$5.20** at 3pm.", "Plain words."].into_iter().enumerate() {
        let segment = SegmentId(u32::try_from(segment).unwrap());
        let request = SpeakRequest {
            utterance: UtteranceId(1),
            segment,
            text: text.into(),
            last: false,
            language: None,
            recording: None,
        };
        to.offer(TtsCommand::Speak(request)).unwrap();
    }
    drop(to);
    voice.run(CallInfo::default(), commands, events).await.unwrap();
    let mut told = Vec::new();
    while let Ok(event) = from.try_recv() {
        match event {
            TtsEvent::Words { segment, words, .. } => {
                told.extend(
                    words.iter().map(|w| format!("{segment} {} {}-{}", w.word, w.start_ms, w.end_ms)),
                );
            }
            TtsEvent::Done { segment, .. } => told.push(format!("{segment} done")),
            _ => {}
        }
    }
    assert_eq!(
        told,
        [
            "s0 Pay 0-90",
            "s0 **$5.20** 100-590",
            "s0 at 600-690",
            "s0 3pm. 700-890",
            "s0 done",
            "s1 Plain 0-90",
            "s1 words. 100-190",
            "s1 done"
        ]
    );
}

#[tokio::test]
async fn what_says_nothing_is_done_in_its_turn_and_never_reaches_the_voice() {
    let (to, commands) = bounded(8, WhenFull::PushBack);
    let (events, from) = bounded(64, WhenFull::PushBack);
    let voice = SpeakableTts::new(Arc::new(Parrot));
    for (segment, text) in ["👍", "Hello.", "```sh", "Bye.", "..."].into_iter().enumerate() {
        let segment = SegmentId(u32::try_from(segment).unwrap());
        let request = SpeakRequest {
            utterance: UtteranceId(1),
            segment,
            text: text.into(),
            last: false,
            language: None,
            recording: None,
        };
        to.offer(TtsCommand::Speak(request)).unwrap();
    }
    drop(to);
    voice.run(CallInfo::default(), commands, events).await.unwrap();
    let mut told = Vec::new();
    while let Ok(event) = from.try_recv() {
        match event {
            TtsEvent::Words { words, .. } => told.extend(words.into_iter().map(|word| word.word)),
            TtsEvent::Done { segment, .. } => told.push(segment.to_string()),
            _ => {}
        }
    }
    assert_eq!(told, ["s0", "Hello.", "s1", "s2", "Bye.", "s3", "s4"]);
}

#[tokio::test]
async fn numbers_are_read_in_the_language_that_the_call_was_switched_to() {
    let (to, commands) = bounded(8, WhenFull::PushBack);
    let (events, from) = bounded(64, WhenFull::PushBack);
    let request = SpeakRequest {
        utterance: UtteranceId(1),
        segment: SegmentId(0),
        text: "12,50 €".into(),
        last: true,
        language: Some("de-DE".into()),
        recording: None,
    };
    to.offer(TtsCommand::Speak(request)).unwrap();
    drop(to);
    let voice = SpeakableTts::new(Arc::new(Parrot));
    let call = CallInfo { language: "en-US".into(), ..CallInfo::default() };
    voice.run(call, commands, events).await.unwrap();
    let mut spans = Vec::new();
    while let Ok(event) = from.try_recv() {
        if let TtsEvent::Words { words, .. } = event {
            spans.extend(words.into_iter().map(|word| (word.word, word.end_ms)));
        }
    }
    // "zwölf Euro fünfzig": three words, for two that were written.
    assert_eq!(spans, [("12,50 €".to_owned(), 290)]);
}
