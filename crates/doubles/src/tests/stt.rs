use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::support::{Came, DEEPGRAM, OPENAI, caller, open, post, start, texts};
use crate::hearing::Encoding;
use crate::{Doubles, DoublesConfig, End, Latencies, Quirk, Script, Utterance};

const NOVA: &str = "/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000&channels=1&interim_results=true\
                    &endpointing=300&utterance_end_ms=1000&vad_events=true&punctuate=true";
const FLUX: &str = "/v2/listen?model=flux-general-en&encoding=mulaw&sample_rate=8000&eager_eot_threshold=0.5";
const ASSEMBLY: &str = "/v3/ws?sample_rate=8000&encoding=pcm_mulaw&speech_model=universal-streaming-english";
const FRAME: Duration = Duration::from_millis(20);
const FIRST: &str = "Hello, can I move my appointment?";

fn sound() -> Vec<u8> {
    Encoding::Mulaw.encode(&caller(FIRST))
}

#[tokio::test(start_paused = true)]
async fn nova_hears_the_script() {
    let doubles = start().await;
    let mut line = open(&doubles, NOVA, &[DEEPGRAM]).await.unwrap();
    line.speak(&sound(), 160, FRAME).await;
    line.say(&json!({"type": "CloseStream"})).await;
    let came = line.rest().await;
    let texts = texts(&came);
    let of = |kind: &str| texts.iter().filter(|text| text["type"] == kind).cloned().collect::<Vec<Value>>();
    assert_eq!(of("SpeechStarted").len(), 1);
    let results = of("Results");
    assert!(results.iter().filter(|result| result["is_final"] == false).count() >= 4);
    let last = results.iter().find(|result| result["speech_final"] == true).unwrap();
    assert_eq!(last["channel"]["alternatives"][0]["transcript"], FIRST);
    insta::assert_json_snapshot!(last);
    assert_eq!(of("UtteranceEnd").len(), 1);
    assert_eq!(of("Metadata").len(), 1);
    assert_eq!(came.last(), Some(&Came::Closed(1000, String::new())));
}

#[tokio::test(start_paused = true)]
async fn nova_finalizes_when_asked_and_only_if_there_is_sound() {
    let doubles = start().await;
    let mut line = open(&doubles, NOVA, &[DEEPGRAM]).await.unwrap();
    let sound = sound();
    let spoken = &sound[..sound.len() - 11_500];
    line.speak(spoken, 160, FRAME).await;
    line.say(&json!({"type": "Finalize"})).await;
    let result = line.until(|text| text["from_finalize"] == true).await;
    assert_eq!(result["channel"]["alternatives"][0]["transcript"], FIRST);
    line.say(&json!({"type": "Finalize"})).await;
    assert!(texts(&line.rest().await).is_empty());
}

#[tokio::test(start_paused = true)]
async fn nova_closes_after_ten_seconds_without_sound() {
    let doubles = start().await;
    let mut line = open(&doubles, NOVA, &[DEEPGRAM]).await.unwrap();
    let begin = tokio::time::Instant::now();
    let Came::Closed(code, reason) = line.next().await else { panic!("not closed") };
    assert!(code == 1011 && reason.contains("NET-0001"));
    assert_eq!(begin.elapsed().as_secs(), 10);
    // KeepAlive holds it open, but only after the first sound.
    let mut line = open(&doubles, NOVA, &[DEEPGRAM]).await.unwrap();
    line.send(Message::binary(vec![0xFF; 160])).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        line.say(&json!({"type": "KeepAlive"})).await;
    }
    line.send(Message::binary(b"{\"type\":\"KeepAlive\"}".to_vec())).await;
    assert!(matches!(line.next().await, Came::Closed(1008, _)));
}

#[tokio::test]
async fn nova_refuses_bad_queries_and_keys() {
    let doubles = start().await;
    for query in [
        "model=nova-3&encoding=mulaw",
        "model=flux-general-en&encoding=mulaw&sample_rate=8000",
        "model=nova-3&encoding=mulaw&sample_rate=8000&utterance_end_ms=1000",
        "model=nova-3&encoding=mp9&sample_rate=8000",
        "encoding=mulaw&sample_rate=8000&keyterm=Offhook",
        "model=nova-2&encoding=mulaw&sample_rate=8000&keyterm=Offhook",
        "model=nova-3&encoding=mulaw&sample_rate=8000&keywords=Offhook:2",
    ] {
        let refusal = open(&doubles, &format!("/v1/listen?{query}"), &[DEEPGRAM]).await.err().unwrap();
        assert_eq!(refusal.status(), 400, "{query}");
        assert!(refusal.headers().contains_key("dg-error"));
    }
    let refusal = open(&doubles, NOVA, &[("authorization", "key")]).await.err().unwrap();
    assert_eq!(refusal.status(), 401);
    assert!(doubles.seen().iter().all(|seen| seen.end == End::Refused));
}

#[tokio::test(start_paused = true)]
async fn nova_quirks() {
    let quirks = vec![Quirk::SplitFinals, Quirk::NoSpeechFinal];
    let doubles = Doubles::start(DoublesConfig { quirks, ..DoublesConfig::default() }).await.unwrap();
    let mut line = open(&doubles, NOVA, &[DEEPGRAM]).await.unwrap();
    line.speak(&sound(), 160, FRAME).await;
    let texts = texts(&line.rest().await);
    let finals: Vec<&Value> = texts.iter().filter(|text| text["is_final"] == true).collect();
    assert_eq!(finals.len(), 3);
    assert!(finals.iter().all(|result| result["speech_final"] == false));
    assert!(texts.iter().any(|text| text["type"] == "UtteranceEnd"));
}

#[tokio::test(start_paused = true)]
async fn flux_takes_turns() {
    let doubles = start().await;
    let mut line = open(&doubles, FLUX, &[DEEPGRAM]).await.unwrap();
    line.speak(&[sound(), sound()].concat(), 640, 4 * FRAME).await;
    line.say(&json!({"type": "ForceEndTurn"})).await;
    line.say(&json!({"type": "CloseStream"})).await;
    let came = line.rest().await;
    let texts = texts(&came);
    assert_eq!(texts[0]["type"], "Connected");
    let mut events: Vec<_> = texts
        .iter()
        .filter_map(|text| Some(format!("{} {}", text["turn_index"], text["event"].as_str()?)))
        .collect();
    events.dedup();
    insta::assert_snapshot!(events.join("\n"));
    let ends: Vec<_> = texts.iter().filter(|text| text["event"] == "EndOfTurn").collect();
    assert_eq!(ends[0]["transcript"], FIRST);
    assert_eq!(ends[0]["trigger"], "model");
    assert_eq!(texts.last().unwrap()["code"], "FORCE_END_TURN_NO_ACTIVE_TURN");
    let refusal = open(&doubles, &format!("{FLUX}&interim_results=true"), &[DEEPGRAM]).await.err().unwrap();
    assert_eq!(refusal.status(), 400);
}

#[tokio::test(start_paused = true)]
async fn assemblyai_enforces_lengths_and_ends_turns() {
    let doubles = start().await;
    let key = [("authorization", "key")];
    let mut line = open(&doubles, ASSEMBLY, &key).await.unwrap();
    line.speak(&sound(), 800, 5 * FRAME).await;
    line.say(&json!({"type": "Terminate"})).await;
    let came = line.rest().await;
    let texts = texts(&came);
    assert_eq!(texts[0]["type"], "Begin");
    let end = texts.iter().find(|text| text["end_of_turn"] == true).unwrap();
    assert_eq!(end["transcript"], "hello can i move my appointment");
    assert_eq!(texts.last().unwrap()["type"], "Termination");
    assert_eq!(came.last(), Some(&Came::Closed(1000, String::new())));

    let mut line = open(&doubles, ASSEMBLY, &key).await.unwrap();
    line.send(Message::binary(vec![0xFF; 160])).await;
    let came = line.rest().await;
    assert!(matches!(came.last(), Some(Came::Closed(3007, _))), "{came:?}");
    for model in ["", "&speech_model=best"] {
        let path = format!("/v3/ws?sample_rate=8000&encoding=pcm_mulaw{model}");
        let mut line = open(&doubles, &path, &key).await.unwrap();
        assert!(matches!(line.rest().await.last(), Some(Came::Closed(3006, _))));
    }
    let mut line = open(&doubles, ASSEMBLY, &[("authorization", "Bearer key")]).await.unwrap();
    assert!(matches!(line.rest().await.last(), Some(Came::Closed(1008, _))));
}

#[tokio::test(start_paused = true)]
async fn vosk_answers_each_message_once_and_knows_eof_to_the_letter() {
    let doubles = start().await;
    let mut line = open(&doubles, "/", &[]).await.unwrap();
    line.say(&json!({"config": {"sample_rate": 8_000, "words": true}})).await;
    let sound = Encoding::Linear16.encode(&caller(FIRST));
    let mut finals = Vec::new();
    for chunk in sound.chunks(1_600) {
        line.send(Message::binary(chunk.to_vec())).await;
        let Came::Text(reply) = line.next().await else { panic!("no reply") };
        finals.extend(reply["text"].as_str().map(str::to_owned));
    }
    assert_eq!(finals, ["hello can i move my appointment"]);
    line.send(Message::text("{\"eof\" : 1}")).await;
    let came = line.rest().await;
    assert_eq!(texts(&came), [json!({"text": ""})]);
    assert_eq!(came.last(), Some(&Came::Closed(1000, String::new())));
    let mut line = open(&doubles, "/", &[]).await.unwrap();
    line.say(&json!({"eof": 1})).await;
    assert!(matches!(line.next().await, Came::Closed(1011, _)));
}

fn form(file: &str, sound: &[i16], fields: &[(&str, &str)]) -> Vec<u8> {
    let mut wav = crate::fault::wav_header(8_000);
    wav.extend(Encoding::Linear16.encode(sound));
    let mut body = format!("--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\nContent-Type: audio/wav\r\n\r\n")
        .into_bytes();
    body.extend(wav);
    for (name, value) in fields {
        body.extend(
            format!("\r\n--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}").bytes(),
        );
    }
    body.extend(b"\r\n--X--\r\n");
    body
}

#[tokio::test]
async fn uploads_are_heard_refused_or_hallucinated() {
    let doubles = start().await;
    let headers = [OPENAI, ("content-type", "multipart/form-data; boundary=X")];
    let path = "/v1/audio/transcriptions";
    let model = ("model", "whisper-1");
    let got = post(&doubles, path, &headers, form("a.wav", &caller(FIRST), &[model])).await.unwrap();
    assert_eq!(got.json()["text"], FIRST);
    let verbose = [model, ("response_format", "verbose_json")];
    let got = post(&doubles, path, &headers, form("a.wav", &[0; 8_000], &verbose)).await.unwrap();
    assert!(got.json()["segments"][0]["no_speech_prob"].as_f64().unwrap() > 0.8);
    let short = post(&doubles, path, &headers, form("a.wav", &[0; 400], &[model])).await.unwrap();
    assert_eq!((short.status, short.json()["error"]["code"].as_str()), (400, Some("audio_too_short")));
    let nameless = post(&doubles, path, &headers, form("audio", &caller(FIRST), &[model])).await.unwrap();
    assert_eq!(nameless.status, 400);
    let verbose = [("model", "gpt-transcribe"), ("response_format", "verbose_json")];
    assert_eq!(
        post(&doubles, path, &headers, form("a.wav", &caller(FIRST), &verbose)).await.unwrap().status,
        400
    );
    let stream = [("model", "gpt-transcribe"), ("stream", "true")];
    let got = post(&doubles, path, &headers, form("a.wav", &caller(FIRST), &stream)).await.unwrap();
    assert_eq!(got.events().last().unwrap()["type"], "transcript.text.done");
    let local =
        post(&doubles, "/inference", &headers[1..], form("a.wav", &caller(FIRST), &[])).await.unwrap();
    assert!(local.json()["text"].as_str().unwrap().ends_with('\n'));
}

/// Speech of three syllables each, with a pause between: `I need a` … `to the air-port`.
fn paused() -> Vec<u8> {
    let mut sound = caller("I need a taxi");
    sound.truncate(sound.len() - 4_000); // a second of silence stays
    sound.extend(caller("to the airport").split_off(4_000));
    Encoding::Mulaw.encode(&sound)
}

#[tokio::test(start_paused = true)]
async fn a_text_with_a_pause_in_it_is_handed_out_as_it_is_spoken() {
    let timed = Utterance {
        text: "I need a taxi to the airport".to_owned(),
        // Hum's words: 70 ms a character, 70 ms between.
        ends_ms: vec![70, 420, 560, 980, 2_120, 2_400, 2_960],
    };
    for said in [Utterance::from("I need a taxi to the airport"), timed] {
        for (quirks, pieces) in [
            (vec![], ["I need a taxi", "to the airport"]),
            (vec![Quirk::FullStops], ["I need a taxi.", "To the airport."]),
        ] {
            let script = Script { caller: vec![said.clone(), "Goodbye.".into()], ..Script::default() };
            let latency = Latencies::MEDIAN;
            let doubles =
                Doubles::start(DoublesConfig { quirks, script, latency, ..DoublesConfig::default() });
            let mut line = open(&doubles.await.unwrap(), NOVA, &[DEEPGRAM]).await.unwrap();
            line.speak(&paused(), 160, FRAME).await;
            line.say(&json!({"type": "CloseStream"})).await;
            let texts = texts(&line.rest().await);
            let finals = texts.iter().filter(|text| text["is_final"] == true);
            let finals: Vec<_> = finals
                .map(|text| text["channel"]["alternatives"][0]["transcript"].as_str().unwrap())
                .collect();
            assert_eq!(finals, pieces, "{said:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_comes_so_long_after_it_was_asked_for() {
    let latency = Latencies::MEDIAN;
    let doubles = Doubles::start(DoublesConfig { latency, ..DoublesConfig::default() }).await.unwrap();
    let mut line = open(&doubles, NOVA, &[DEEPGRAM]).await.unwrap();
    let sound = sound();
    line.speak(&sound[..sound.len() - 10_400], 160, FRAME).await; // 200 ms of silence
    let asked = tokio::time::Instant::now();
    line.say(&json!({"type": "Finalize"})).await;
    let result = line.until(|text| text["from_finalize"] == true).await;
    assert_eq!(result["channel"]["alternatives"][0]["transcript"], FIRST);
    assert_eq!(asked.elapsed().as_millis(), 250);
}
