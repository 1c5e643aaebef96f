//! The speech-to-text doubles don't know the future: what flite speaks, its own words' times tell when each was spoken, and
//! no transcript has a word before its sound has arrived.
#![allow(clippy::unwrap_used, reason = "what fails here, fails the test")]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_audio::SampleRate;
use offhook_doubles::{Doubles, DoublesConfig, Latencies, Script, Utterance};
use offhook_providers::embedded::{Flite, NativePool, Voice};
use offhook_resample::Resampler;
use serde_json::Value;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const SENTENCES: [&str; 12] = [
    "two large pepperoni pizzas",
    "what are your opening hours",
    "and a bottle of water",
    "no thanks",
    "I'd like to book a table for four at seven thirty on Friday",
    "my phone number is four one five five five five zero one nine nine",
    "can you please tell me when the next train to Boston leaves",
    "yes",
    "actually I would rather have it delivered tomorrow afternoon",
    "the address is twenty two Baker Street apartment nine",
    "we are all here already",
    "could I speak to a real person",
];
const LEAD: Duration = Duration::from_millis(400);

/// A spoken sentence: its sound between silences, and where each word ends in it.
struct Spoken {
    octets: Vec<u8>,
    ends: Vec<Duration>,
}

fn speak(flite: &Flite, text: &str) -> Spoken {
    let spoken = flite.speak(text).unwrap();
    let rate = |rate| SampleRate::new(rate).unwrap();
    let mut resampler = Resampler::new(rate(spoken.rate), rate(8_000)).unwrap();
    let mut samples = vec![0; 8 * LEAD.as_millis() as usize];
    resampler.process(&spoken.samples, &mut samples);
    resampler.flush(&mut samples);
    samples.extend([0; 12_000]);
    let octets = samples.into_iter().map(offhook_mulaw::encode).collect();
    let ends = spoken.words.iter().map(|word| LEAD + Duration::from_millis(word.end_ms.into())).collect();
    Spoken { octets, ends }
}

/// When each word first stood in a transcript, and the words of all finals.
async fn hear(said: Utterance, octets: &[u8]) -> (Vec<Duration>, Vec<String>) {
    let script = Script { caller: vec![said, "".into()], ..Script::default() };
    let doubles =
        Doubles::start(DoublesConfig { latency: Latencies::MEDIAN, script, ..DoublesConfig::default() })
            .await
            .unwrap();
    let url = "ws://double/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000&interim_results=true&endpointing=300&punctuate=true";
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("authorization", "Token key".parse().unwrap());
    let (socket, _) = tokio_tungstenite::client_async(request, doubles.connect()).await.unwrap();
    let (mut sink, mut source) = socket.split();
    let began = Instant::now();
    let octets = octets.to_vec();
    let sender = tokio::spawn(async move {
        for (nth, frame) in (1..).zip(octets.chunks(160)) {
            // A frame is sent when it is over.
            tokio::time::sleep_until(began + Duration::from_millis(20) * nth).await;
            sink.send(Message::binary(frame.to_vec())).await.unwrap();
        }
        sink.send(Message::text(r#"{"type":"CloseStream"}"#)).await.unwrap();
        sink
    });
    let (mut first, mut finals) = (Vec::new(), Vec::<String>::new());
    while let Some(Ok(message)) = source.next().await {
        let Message::Text(text) = message else { continue };
        let value: Value = serde_json::from_str(&text).unwrap();
        let transcript = value["channel"]["alternatives"][0]["transcript"].as_str().unwrap_or("");
        let words: Vec<String> = transcript.split_whitespace().map(str::to_owned).collect();
        while first.len() < finals.len() + words.len() {
            first.push(began.elapsed());
        }
        if value["is_final"] == true {
            finals.extend(words);
        }
    }
    drop(sender.await.unwrap());
    (first, finals)
}

#[tokio::test(start_paused = true)]
async fn no_word_comes_before_it_was_spoken() {
    let mut early = Vec::new();
    let mut late = Vec::new();
    for voice in [Voice::Slt, Voice::Rms, Voice::Awb, Voice::Kal] {
        let Ok(flite) = Flite::new(voice, NativePool::new("speak", 1, 16)) else {
            eprintln!("skipped: flite is not installed");
            return;
        };
        for text in SENTENCES {
            let spoken = speak(&flite, text);
            let (first, finals) = hear(text.into(), &spoken.octets).await;
            assert_eq!(finals.join(" "), text, "{voice:?}");
            for ((first, end), word) in first.iter().zip(&spoken.ends).zip(text.split_whitespace()) {
                let after = first.as_secs_f64() - end.as_secs_f64();
                late.push(after);
                // The estimate may be wrong by some of the delay, but no word comes before its sound.
                if after < 0.0 {
                    early.push(format!("{voice:?}: “{word}” of “{text}” {:.0} ms", after * 1_000.0));
                }
            }
            // With the true times, to the frame.
            let ends_ms = spoken.ends.iter().map(|end| (*end - LEAD).as_millis() as u64).collect();
            let (first, finals) = hear(Utterance { text: text.to_owned(), ends_ms }, &spoken.octets).await;
            assert_eq!(finals.join(" "), text, "{voice:?}");
            for (first, end) in first.iter().zip(&spoken.ends) {
                let after = first.as_millis() as i64 - end.as_millis() as i64;
                assert!((150..450).contains(&after), "{voice:?} {text}: {after} ms");
            }
        }
    }
    late.sort_by(f64::total_cmp);
    eprintln!(
        "{} words, median {:.3}, p95 {:.3}",
        late.len(),
        late[late.len() / 2],
        late[late.len() * 95 / 100]
    );
    assert!(early.is_empty(), "{} early:\n{}", early.len(), early.join("\n"));
}
