//! Providers that are far: every octet to and from them is delayed, 50 to 400 ms there and back, over real sockets. The paid
//! link is still the one that answers, and the second is never asked.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use offhook_audio::{MulawFrame, PcmFrame, SamplePos};
use offhook_chain::{Deadlines, Link, LinkConfig, LlmChain, SttChain, TtsChain};
use offhook_doubles::{Doubles, DoublesConfig, Hum, Rule, Script, Speaker};
use offhook_providers::llm::{LlmConfig, LlmProvider, NetworkLlm, Prompt};
use offhook_providers::net::Secret;
use offhook_providers::stt::SttConfig;
use offhook_providers::tts::TtsConfig;
use offhook_stage_api::id::{ReplyId, SegmentId, UtteranceId};
use offhook_stage_api::{
    Content, Entry, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, SpeakRequest, SttCommand, SttEvent,
    ToolUse, TtsCommand, TtsEvent,
};
use offhook_stages::{CallInfo, Llm, Stt, Tts, WhenFull, bounded};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

const ROUND_TRIPS: [u64; 4] = [50, 150, 300, 400];
const CALLER: &str = "A table for two.";

/// A way to a server that takes so long there and back. A connection takes one round trip before it carries anything, as TCP's does.
async fn far(server: SocketAddr, round_trip: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(async move {
                sleep(round_trip).await;
                let Ok(server) = TcpStream::connect(server).await else { return };
                let (from_near, to_near) = near.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::join!(
                    carry(from_near, to_server, round_trip / 2),
                    carry(from_server, to_near, round_trip / 2)
                );
            });
        }
    });
    address
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin + Send + 'static,
    late: Duration,
) {
    let (queue, mut waiting) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let writer = tokio::spawn(async move {
        while let Some((at, octets)) = waiting.recv().await {
            sleep_until(at).await;
            if to.write_all(&octets).await.is_err() {
                return;
            }
        }
        let _closed = to.shutdown().await;
    });
    let mut buffer = vec![0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if queue.send((Instant::now() + late, buffer[..count].to_vec())).is_err() {
            break;
        }
    }
    drop(queue);
    let _ended = writer.await;
}

async fn doubles() -> Doubles {
    let answer = Rule { say: "At eight, then.".into(), ..Rule::default() };
    let script = Script { answers: vec![answer], caller: vec![CALLER.into()] };
    Doubles::start(DoublesConfig { script, ..DoublesConfig::default() }).await.unwrap()
}

fn address(doubles: &Doubles) -> SocketAddr {
    doubles.http().trim_start_matches("http://").parse().unwrap()
}

fn info() -> CallInfo {
    CallInfo { call: "CA1".into(), language: "en-US".into(), ..CallInfo::default() }
}

fn voice(mut config: Value, at: SocketAddr) -> Arc<dyn Tts> {
    config["base_url"] = match config["provider"].as_str().unwrap() {
        "openai" => json!(format!("http://{at}/v1")),
        _ => json!(format!("http://{at}")),
    };
    serde_json::from_value::<TtsConfig>(config).unwrap().build(Some(Secret::new("key")))
}

fn voices() -> [(&'static str, Value); 5] {
    [
        ("elevenlabs", json!({"provider": "elevenlabs", "model": "m", "voice": "v"})),
        ("elevenlabs_http", json!({"provider": "elevenlabs_http", "model": "m", "voice": "v"})),
        ("openai", json!({"provider": "openai", "model": "m", "voice": "v"})),
        ("deepgram", json!({"provider": "deepgram", "voice": "aura-2-thalia-en"})),
        ("cartesia", json!({"provider": "cartesia", "model": "m", "voice": "v"})),
    ]
}

/// Two sentences by a far voice that has a near one behind it: how soon each is heard, and how often the near one was asked.
async fn speaks(config: Value, round_trip: Duration) -> ([Duration; 2], usize) {
    let (paid, spare) = (doubles().await, doubles().await);
    let first = voice(config, far(address(&paid), round_trip).await);
    let second = voice(json!({"provider": "openai", "model": "m", "voice": "v"}), address(&spare));
    // As at the webhook, a second before the call is there.
    first.warm(&info()).await;
    let link = |voice| Link::new(voice, Deadlines::TTS, &LinkConfig::default());
    let chain = TtsChain::new(vec![link(first), link(second)]).unwrap();
    let (to, commands) = bounded(64, WhenFull::PushBack);
    let (events, from) = bounded(256, WhenFull::PushBack);
    let run = tokio::spawn(chain.run(info(), commands, events));
    sleep(Duration::from_millis(600)).await;
    let mut soon = [Duration::MAX; 2];
    for (segment, soon) in (0..).zip(&mut soon) {
        let text = "Your table is booked for eight.".to_owned();
        let (utterance, segment) = (UtteranceId(1), SegmentId(segment));
        let request =
            SpeakRequest { utterance, segment, text, last: segment.0 == 1, language: None, recording: None };
        let asked = Instant::now();
        to.offer(TtsCommand::Speak(request)).unwrap();
        loop {
            match timeout(Duration::from_secs(20), from.recv()).await.unwrap().unwrap() {
                TtsEvent::Audio { .. } => *soon = asked.elapsed().min(*soon),
                TtsEvent::Done { .. } => break,
                TtsEvent::Failed { failure, .. } => panic!("{failure}"),
                TtsEvent::Words { .. } => {}
            }
        }
    }
    run.abort();
    (soon, spare.seen().len())
}

#[tokio::test]
async fn the_paid_voice_is_heard_however_far_it_is() {
    let all =
        voices().into_iter().flat_map(|(name, config)| ROUND_TRIPS.map(|ms| (name, config.clone(), ms)));
    let heard = join_all(all.map(|(name, config, ms)| async move {
        (name, ms, speaks(config, Duration::from_millis(ms)).await)
    }))
    .await;
    for (name, ms, (soon, spare)) in heard {
        eprintln!("{name} at {ms} ms: {soon:?}");
        assert_eq!(spare, 0, "{name} at {ms} ms: the spare voice was asked");
        // Its own time, some round trips, and a busy machine.
        assert!(
            soon.iter().all(|soon| soon.as_millis() < u128::from(700 + 4 * ms)),
            "{name} at {ms} ms: {soon:?}"
        );
    }
}

/// How soon a far model's first words come, and how often the near one was asked.
async fn answers(provider: LlmProvider, round_trip: Duration) -> (Duration, usize) {
    let (paid, spare) = (doubles().await, doubles().await);
    let model = |at: SocketAddr, provider| {
        let base_url = Some(format!("http://{at}/v1"));
        let config = LlmConfig { provider, model: "any".into(), base_url, ..LlmConfig::default() };
        Arc::new(NetworkLlm::new(config, Some(&Secret::new("key")), Prompt::default()).unwrap())
    };
    let first = model(far(address(&paid), round_trip).await, provider);
    let second = model(address(&spare), LlmProvider::Openai);
    // As at the webhook, a while before the call is there.
    first.warm(&info()).await;
    sleep(Duration::from_millis(600)).await;
    let link = |model| Link::<dyn Llm>::new(model, Deadlines::LLM, &LinkConfig::default());
    let chain = LlmChain::new(vec![link(first), link(second)]).unwrap();
    let (to, commands) = bounded(64, WhenFull::PushBack);
    let (events, from) = bounded(64, WhenFull::PushBack);
    let run = tokio::spawn(chain.run(info(), commands, events));
    let text = "Book a table, please.".to_owned();
    let history = vec![Entry::at(Content::Caller { text: text.clone() }, 9)];
    let request = ReplyRequest {
        reply: ReplyId(1),
        reason: ReplyReason::Caller { text, confidence: None },
        history,
        language: None,
        tools: ToolUse::Auto,
        speculative: false,
    };
    let asked = Instant::now();
    to.offer(LlmCommand::Respond(Arc::new(request))).unwrap();
    let mut soon = Duration::MAX;
    loop {
        match timeout(Duration::from_secs(20), from.recv()).await.unwrap().unwrap() {
            LlmEvent::Text { .. } => soon = soon.min(asked.elapsed()),
            LlmEvent::Done { .. } => break,
            LlmEvent::Failed { failure, .. } => panic!("{failure}"),
            _ => {}
        }
    }
    run.abort();
    (soon, spare.seen().len())
}

#[tokio::test]
async fn the_paid_model_answers_however_far_it_is() {
    let providers = [LlmProvider::Openai, LlmProvider::Anthropic];
    let all = providers.into_iter().flat_map(|provider| ROUND_TRIPS.map(|ms| (provider, ms)));
    let heard = join_all(all.map(|(provider, ms)| async move {
        (provider, ms, answers(provider, Duration::from_millis(ms)).await)
    }))
    .await;
    for (provider, ms, (soon, spare)) in heard {
        eprintln!("{provider:?} at {ms} ms: {soon:?}");
        assert_eq!(spare, 0, "{provider:?} at {ms} ms: the spare model was asked");
        // The connection is open already: one round trip, and a busy machine.
        assert!(soon.as_millis() < u128::from(250 + ms + ms / 4), "{provider:?} at {ms} ms: {soon:?}");
    }
}

fn recogniser(provider: &str, at: SocketAddr) -> Arc<dyn Stt> {
    let config = match provider {
        "deepgram" => json!({"url": format!("ws://{at}/v1/listen"), "model": "nova-3"}),
        "deepgram_flux" => json!({"url": format!("ws://{at}/v2/listen"), "model": "flux-general-en"}),
        "assemblyai" => json!({"url": format!("ws://{at}/v3/ws")}),
        "vosk" => json!({"url": format!("ws://{at}/")}),
        _ => json!({"base_url": format!("http://{at}/v1"), "model": "whisper-1"}),
    };
    let mut config = config;
    config["provider"] = json!(provider);
    serde_json::from_value::<SttConfig>(config).unwrap().build(Some(Secret::new("key")))
}

/// A caller's sound, frame by frame: silence, speech, a second of silence; and where the speech is, in samples.
fn caller() -> (Vec<MulawFrame>, u64, u64) {
    let mut samples = vec![0_i16; 1_600];
    let mut speech = Hum.speak(CALLER, 8_000).samples;
    speech.truncate(speech.iter().rposition(|sample| *sample != 0).map_or(0, |last| last + 1));
    samples.extend(speech);
    let until = samples.len() as u64;
    samples.resize(samples.len() + 12_000, 0);
    let frame = |chunk: &[i16]| {
        let mut pcm = PcmFrame::SILENCE;
        pcm.0[..chunk.len()].copy_from_slice(chunk);
        pcm.encode()
    };
    (samples.chunks(160).map(frame).collect(), 1_600, until)
}

/// One turn that a far recogniser hears, with a near one behind it: its words, how long after the pause they came, and how often
/// the near one was asked.
async fn hears(provider: &str, round_trip: Duration) -> (String, Duration, usize) {
    let (paid, spare) = (doubles().await, doubles().await);
    let first = recogniser(provider, far(address(&paid), round_trip).await);
    let second = recogniser("deepgram", address(&spare));
    first.warm(&info()).await;
    let link = |stage| Link::<dyn Stt>::new(stage, Deadlines::STT, &LinkConfig::default());
    let chain = SttChain::new(vec![link(first), link(second)]).unwrap();
    let (to, commands) = bounded(512, WhenFull::DropOldest);
    let (events, from) = bounded(64, WhenFull::PushBack);
    let run = tokio::spawn(chain.run(info(), commands, events));
    let (frames, spoken, until) = caller();
    let (mut words, mut soon, mut paused) = (String::new(), Duration::MAX, None);
    let start = Instant::now();
    for (nth, frame) in (0_u64..).zip(frames) {
        let due = start + Duration::from_millis(20 * (nth + 1));
        loop {
            tokio::select! {
                Some(event) = from.recv() => if let (SttEvent::Final(told), Some(at)) = (event, paused) {
                    let after = Instant::now().duration_since(at);
                    (words, soon) = (told.text, soon.min(after));
                },
                () = sleep_until(due) => break,
            }
        }
        let _gone = to.offer_by_policy(SttCommand::Audio { at: SamplePos(nth * 160), frame });
        let passes = |place: u64| (place..place + 160).contains(&((nth + 1) * 160));
        if passes(spoken + 480) {
            to.offer(SttCommand::SpeechStarted { at: SamplePos(spoken) }).unwrap();
        }
        if passes(until + 960) {
            paused = Some(Instant::now());
            to.offer(SttCommand::SpeechPaused { from: SamplePos(spoken), until: SamplePos(until) }).unwrap();
        }
    }
    run.abort();
    (words, soon, spare.seen().len())
}

#[tokio::test]
async fn the_paid_recogniser_is_the_one_that_hears_however_far_it_is() {
    let providers = ["deepgram", "deepgram_flux", "assemblyai", "vosk", "whisper"];
    let all = providers.into_iter().flat_map(|provider| ROUND_TRIPS.map(|ms| (provider, ms)));
    let heard = join_all(all.map(|(provider, ms)| async move {
        (provider, ms, hears(provider, Duration::from_millis(ms)).await)
    }))
    .await;
    for (provider, ms, (words, soon, spare)) in heard {
        eprintln!("{provider} at {ms} ms: {words:?} after {soon:?}");
        assert_eq!(spare, 0, "{provider} at {ms} ms: the spare recogniser was asked");
        assert!(words.to_lowercase().starts_with("a table for two"), "{provider} at {ms} ms: {words:?}");
        assert!(soon.as_millis() < u128::from(700 + 2 * ms), "{provider} at {ms} ms: {soon:?}");
    }
}
