//! What the engine adds, over a real socket on this machine: from a frame's arrival to the recogniser's queue, from the
//! voice's first octet to the first frame on the wire, and from the decision that the caller interrupts to `clear` on the wire.
//!
//! A session is served as always; its stages are probes that tell when they get something, or when they gave it. Times
//! hold one hop over loopback in each direction, and the wake-ups of both sides, for both run on one thread.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench: what does not work here shall end it, and it is a table"
)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use offhook_benches::probes::{Ears, Mind, Mouth, Nobody, line, quantile, tone};
use offhook_conversation::Control;
use offhook_media_line::CallConfig;
use offhook_session::{Setup, StageSet, control, serve_call, socket_config};
use offhook_stage_api::Interruptible;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config, client_async};

type Times = Arc<Mutex<Vec<Instant>>>;

fn note(times: &Times) {
    times.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
}

fn last(times: &Times) -> Option<Instant> {
    times.lock().unwrap_or_else(PoisonError::into_inner).last().copied()
}

/// Twilio's side, and what the probes noted.
struct Bench {
    twilio: WebSocketStream<TcpStream>,
    heard: Times,
    spoken: Times,
    control: offhook_session::ControlSender,
    frames: u64,
    begun: Instant,
}

impl Bench {
    async fn start(utterance: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (heard, spoken) = (Times::default(), Times::default());
        let (hears, speaks) = (Arc::clone(&heard), Arc::clone(&spoken));
        let stages = StageSet {
            stt: Arc::new(Ears { on_frame: Arc::new(move |_| note(&hears)), words: None }),
            turn: None,
            llm: Arc::new(Mind::default()),
            tts: Arc::new(Mouth { on_sound: Arc::new(move || note(&speaks)), sound: tone(utterance) }),
        };
        let (sender, receiver) = control();
        tokio::task::spawn_local(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            let socket = accept_async_with_config(stream, Some(socket_config())).await.expect("a WebSocket");
            let mut config = CallConfig::default();
            config.conversation_mut().timeouts.caller_silent = Duration::from_secs(3_600);
            let mut setup = Setup::new(Arc::new(config), stages, "en-US");
            setup.control = Some(receiver);
            serve_call(socket, |_| Ok(setup), |_| Nobody).await;
        });
        let stream = TcpStream::connect(address).await.expect("a server");
        stream.set_nodelay(true).expect("no delay");
        let (mut twilio, _) = client_async("ws://localhost/", stream).await.expect("an upgrade");
        for text in [
            r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#.to_owned(),
            format!(
                r#"{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"AC{0:032}","streamSid":"MZ{0:032}","callSid":"CA{0:032}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{}}}},"streamSid":"MZ{0:032}"}}"#,
                0
            ),
        ] {
            twilio.send(Message::text(text)).await.expect("sent");
        }
        Self { twilio, heard, spoken, control: sender, frames: 0, begun: Instant::now() }
    }

    async fn frame(&mut self, octets: &[u8]) -> Instant {
        use base64::Engine;
        self.frames += 1;
        let payload = base64::engine::general_purpose::STANDARD.encode(octets);
        let text = format!(
            r#"{{"event":"media","sequenceNumber":"{0}","media":{{"track":"inbound","chunk":"{0}","timestamp":"{1}","payload":"{payload}"}},"streamSid":"MZ{2:032}"}}"#,
            self.frames + 1,
            self.frames * 20,
            0
        );
        let now = Instant::now();
        self.twilio.send(Message::text(text)).await.expect("sent");
        now
    }

    /// Sends frames at their time until the server says this; answers marks. Gives when it was said, and when the last
    /// frame before had been sent.
    async fn until(
        &mut self,
        event: &str,
        mut sound: impl Iterator<Item = [u8; 160]>,
    ) -> Option<(Instant, Instant)> {
        let wanted = format!("\"event\":\"{event}\"");
        let mut sent = Instant::now();
        for _ in 0..500 {
            let next =
                tokio::time::sleep_until((self.begun + Duration::from_millis(20 * (self.frames + 1))).into());
            tokio::pin!(next);
            loop {
                tokio::select! {
                    biased;
                    message = self.twilio.next() => {
                        let now = Instant::now();
                        let text = message?.ok()?.into_text().ok()?;
                        if text.contains(&wanted) {
                            return Some((now, sent));
                        }
                        if text.contains("\"event\":\"mark\"") {
                            self.twilio.send(Message::Text(text)).await.ok()?;
                        }
                    }
                    () = &mut next => break,
                }
            }
            let octets = sound.next().unwrap_or([0xFF; 160]);
            sent = self.frame(&octets).await;
        }
        None
    }
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| quantile(&times, share).as_secs_f64() * 1e6;
    println!("{what:<64} {:>8.0} {:>8.0} {:>6}", at(0.5), at(0.99), times.len());
}

async fn media_to_stt() {
    let mut bench = Bench::start(Duration::from_millis(100)).await;
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let count = bench.heard.lock().unwrap_or_else(PoisonError::into_inner).len();
        let sent = bench.frame(&[0xFF; 160]).await;
        while bench.heard.lock().unwrap_or_else(PoisonError::into_inner).len() == count {
            tokio::task::yield_now().await;
        }
        times.extend(last(&bench.heard).map(|heard| heard - sent));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tell("media sent by Twilio → frame taken by the recogniser", times);
}

async fn voice_to_wire() {
    let mut bench = Bench::start(Duration::from_millis(100)).await;
    let mut times = Vec::new();
    for _ in 0..100 {
        let say = Control::Say { text: "Hello.".into(), interruptible: Interruptible::No };
        if bench.control.send(say).is_err() {
            break;
        }
        let Some((came, _)) = bench.until("media", std::iter::empty()).await else { break };
        times.extend(last(&bench.spoken).map(|spoken| came - spoken));
        if bench.until("mark", std::iter::empty()).await.is_none() {
            break;
        }
        // What was said is over before the next is said.
        let until = Instant::now() + Duration::from_millis(200);
        while Instant::now() < until {
            if tokio::time::timeout(Duration::from_millis(20), bench.twilio.next()).await.is_err() {
                bench.frame(&[0xFF; 160]).await;
            }
        }
    }
    tell("the voice's first octet → first frame received by Twilio", times);
}

async fn barge_in_to_clear() {
    let (mut deciding, mut whole) = (Vec::new(), Vec::new());
    let line = line("pizza-2");
    let loud =
        |frame: &[u8; 160]| frame.iter().any(|octet| offhook_mulaw::decode(*octet).unsigned_abs() > 300);
    let silence = line.iter().position(loud).expect("speech") as u64;
    for _ in 0..30 {
        let mut bench = Bench::start(Duration::from_secs(4)).await;
        let say = Control::Say { text: "Hello there.".into(), interruptible: Interruptible::Yes };
        if bench.control.send(say).is_err() || bench.until("media", std::iter::empty()).await.is_none() {
            break;
        }
        let before = bench.frames;
        let quiet = std::iter::repeat_n([0xFF; 160], 30);
        let Some((came, sent)) = bench.until("clear", quiet.chain(line.iter().copied())).await else {
            continue;
        };
        deciding.push(came - sent);
        let onset = bench.begun + Duration::from_millis(20 * (before + 30 + silence));
        whole.push(came.saturating_duration_since(onset));
    }
    tell("the frame that makes it certain → clear received by Twilio", deciding);
    tell("onset of speech over the agent → clear (160 ms are by design)", whole);
}

fn main() {
    // `cargo bench -- --test` and listings only want to know that it runs.
    let listing = std::env::args().any(|argument| argument == "--list" || argument == "--test");
    if listing {
        return;
    }
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let runtime = runtime.expect("a runtime");
    println!("{:<64} {:>8} {:>8} {:>6}", "latency, µs", "p50", "p99", "n");
    runtime.block_on(async {
        media_to_stt().await;
        voice_to_wire().await;
        barge_in_to_clear().await;
    });
}
