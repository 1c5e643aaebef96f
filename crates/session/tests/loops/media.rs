//! Media Streams calls.

mod tools;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use offhook_conversation::Control;
use offhook_media_line::{CallConfig, MediaLine};
use offhook_session::{
    Admitted, ControlSender, Detached, Leave, SessionEnd, SessionError, SessionReport, Setup, Tools, control,
    open_call, serve_call,
};
use offhook_stage_api::ToolCall;
use offhook_stages::BoxFuture;
use offhook_twilio::stream::StartMessage;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::peer::{Peer, sockets};
use crate::stages::{Mood, Moods};
use crate::watch::Watch;

struct Scene {
    peer: Peer,
    watch: Watch,
    control: ControlSender,
    served: JoinHandle<SessionReport>,
}

/// A call with these stages, on a socket with so much room.
async fn scene_with(moods: Moods, room: usize, change: impl FnOnce(&mut Setup)) -> Scene {
    let (mut peer, socket) = sockets(room).await;
    let (control, receiver) = control();
    let mut setup = Setup::new(Arc::new(CallConfig::default()), moods.stages(), "en-US");
    setup.control = Some(receiver);
    change(&mut setup);
    let watch = Watch::default();
    let watching = watch.clone();
    let served = tokio::task::spawn_local(serve_call(socket, |_| Ok(setup), |_| watching));
    assert!(peer.send(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#).await);
    assert!(peer.send(r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"ACaa","streamSid":"MZbb","callSid":"CAcc","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},"streamSid":"MZbb"}"#).await);
    Scene { peer, watch, control, served }
}

async fn scene(moods: Moods) -> Scene {
    scene_with(moods, 64 * 1024, |_| {}).await
}

fn media(number: u64) -> String {
    let payload = "/".repeat(214) + "8=";
    let payload = &payload[..216];
    let at = number * 20;
    format!(
        r#"{{"event":"media","sequenceNumber":"{number}","media":{{"track":"inbound","chunk":"{number}","timestamp":"{at}","payload":"{payload}"}},"streamSid":"MZbb"}}"#
    )
}

impl Scene {
    /// Sends silence for so long, in real pace, and takes what comes.
    async fn listen(&mut self, ms: u64) -> Vec<String> {
        let mut texts = Vec::new();
        for number in 0..ms / 20 {
            if !self.peer.send(media(number)).await {
                break;
            }
            let until = tokio::time::sleep(Duration::from_millis(20));
            tokio::pin!(until);
            loop {
                tokio::select! {
                    () = &mut until => break,
                    text = self.peer.text() => match text {
                        Some(text) => texts.push(text),
                        None => return texts,
                    },
                }
            }
        }
        texts
    }

    async fn report(self) -> SessionReport {
        let Self { mut peer, served, .. } = self;
        // A closing is answered by whoever reads on.
        let answering = tokio::spawn(async move { peer.texts().await });
        let report = served.await.unwrap();
        answering.abort();
        report
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_is_said_goes_out_in_order_and_the_end_is_the_last_thing() {
    let mut scene = scene(Moods::default()).await;
    let texts = scene.listen(1_500).await;
    assert!(scene.peer.send(r#"{"event":"stop","sequenceNumber":"9","stop":{}}"#).await);
    let kinds: Vec<&str> = texts.iter().map(|text| text.split('"').nth(3).unwrap()).collect();
    let marks = kinds.iter().filter(|kind| **kind == "mark").count();
    assert!(kinds.len() > 4 && kinds[0] == "media" && marks > 0, "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"mark"), "the mark stands behind the sound: {kinds:?}");
    let watch = scene.watch.clone();
    let report = scene.report().await;
    assert_eq!(report.end, SessionEnd::Stopped);
    assert_eq!(report.bad_messages + report.unknown_events, 0);
    assert!(report.totals.inbound.frames >= 70 && report.totals.playout.frames >= 25, "{:?}", report.totals);
    let seen = watch.seen();
    assert!(seen.first().unwrap().what.starts_with("Start"));
    assert!(seen.last().unwrap().what.contains("Ended"), "{:?}", seen.last());
    // Every output stands behind its input, with its time; the observer looked at that.
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_clock_alone_moves_a_call_that_gets_nothing() {
    let scene = scene(Moods::default()).await;
    let watch = scene.watch.clone();
    let report = scene.report().await;
    assert_eq!(report.end, SessionEnd::HungUp);
    let timeouts = watch.inputs("Timeout");
    let last = timeouts.last().unwrap().at_ms;
    assert!(timeouts.len() > 2 && (15_000..15_010).contains(&last), "{last}: {timeouts:?}");
    assert_eq!(watch.outputs("NoMedia").iter().filter(|seen| seen.what.contains("Ended")).count(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_peer_that_is_gone_without_a_word_is_lost() {
    let mut scene = scene(Moods::default()).await;
    scene.listen(100).await;
    let Scene { peer, served, watch, .. } = scene;
    drop(peer);
    assert_eq!(served.await.unwrap().end, SessionEnd::Lost(BROKEN.into()));
    assert!(watch.outputs("Ended").len() == 1);
}

const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"ACaa","streamSid":"MZdd","callSid":"CAcc","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},"streamSid":"MZdd"}"#;

type Served = JoinHandle<(SessionReport, Option<Detached<MediaLine, Watch>>)>;

async fn stream(admitted: Admitted<MediaLine, Watch>) -> (Peer, oneshot::Sender<Leave>, Served) {
    let (mut peer, socket) = sockets(64 * 1024).await;
    let (leave, leaves) = oneshot::channel();
    let served = tokio::task::spawn_local(async move {
        let admit = async |_: &StartMessage| Ok((admitted, Some(leaves)));
        open_call(socket, admit).await.unwrap().serve().await
    });
    assert!(peer.send(START).await);
    (peer, leave, served)
}

async fn texts_within(peer: &mut Peer, ms: u64) -> Vec<String> {
    let (mut texts, until) = (Vec::new(), tokio::time::Instant::now() + Duration::from_millis(ms));
    while let Ok(Some(text)) = tokio::time::timeout_at(until, peer.text()).await {
        texts.push(text);
    }
    texts
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_call_goes_on_over_another_stream() {
    let watch = Watch::default();
    let setup = Setup::new(Arc::new(CallConfig::default()), Moods::default().stages(), "en-US");
    let (mut peer, _leave, served) = stream(Admitted::New(Box::new(setup), watch.clone())).await;
    assert!(texts_within(&mut peer, 200).await.len() > 4, "it greets");
    drop(peer);
    let (report, lost) = served.await.unwrap();
    assert!(matches!(report.end, SessionEnd::Lost(_)), "{:?}", report.end);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (mut peer, leave, served) = stream(Admitted::Back(lost.unwrap())).await;
    let texts = texts_within(&mut peer, 3_000).await;
    assert!(texts.iter().all(|text| text.contains("MZdd")), "{texts:?}");
    let sorry = watch.outputs("Speaking").iter().any(|seen| seen.what.contains("Apology"));
    assert!(sorry && texts.len() > 4, "it says that it is back: {} {:#?}", texts.len(), watch.seen());
    leave.send(Leave::ForAnother).unwrap();
    drop(peer);
    let (report, lost) = served.await.unwrap();
    assert_eq!(report.end, SessionEnd::Replaced);
    lost.unwrap().give_up();
    let seen = watch.seen();
    for what in ["Start", "Line(Lost)", "Line(Back)", "Line(Lost)", "Stop"] {
        assert!(seen.iter().any(|seen| seen.went_in && seen.what == what), "no {what}: {seen:#?}");
    }
    assert!(seen.last().unwrap().what.contains("Ended"));
}

const BROKEN: &str = "WebSocket protocol error: Connection reset without closing handshake";

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_command_of_the_application_ends_the_call_behind_what_is_said() {
    let mut scene = scene(Moods::default()).await;
    scene.listen(200).await;
    scene.control.send(Control::HangUp).unwrap();
    scene.listen(5_000).await;
    let report = scene.report().await;
    assert_eq!(report.end, SessionEnd::HungUp);
    assert!(report.totals.playout.frames >= 25);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn messages_that_cannot_be_read_are_dropped_and_counted() {
    let mut scene = scene(Moods::default()).await;
    for bad in [
        "{",
        "not JSON",
        "[]",
        r#"{"event":"media"}"#,
        r#"{"event":"media","media":{"payload":"?!?!"}}"#,
        r#"{"event":"dtmf","dtmf":{"digit":4711}}"#,
        r#"{"event":"dtmf","dtmf":{"digit":"x"}}"#,
        r#"{"event":"start","start":{"accountSid":"AC1","callSid":"CA1"},"streamSid":"MZ1"}"#,
    ] {
        assert!(scene.peer.send(bad).await);
    }
    assert!(scene.peer.send(r#"{"event":"whisper","loudness":3}"#).await);
    let escaped = media(0).replace("////", r"\/\u002F/\u002f");
    assert!(scene.peer.send(escaped).await);
    scene.listen(400).await;
    assert!(scene.peer.send(r#"{"event":"stop"}"#).await);
    let watch = scene.watch.clone();
    let report = scene.report().await;
    assert_eq!((report.end, report.bad_messages, report.unknown_events), (SessionEnd::Stopped, 8, 1));
    let notices = watch.outputs("notice");
    assert_eq!(notices.len(), 1, "it is reported once: {notices:?}");
    assert!(watch.seen().iter().all(|seen| !seen.what.contains("4711")));
    assert!(watch.inputs("Media").len() >= 20, "the escaped message is sound like any other");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn too_many_bad_messages_in_a_row_end_the_call() {
    let mut scene = scene(Moods::default()).await;
    for round in 0..60 {
        assert!(scene.peer.send("{").await);
        if round % 10 == 9 {
            scene.listen(20).await;
        }
    }
    let mut ended = false;
    for _ in 0..60 {
        ended |= !scene.peer.send("{").await;
    }
    let watch = scene.watch.clone();
    let report = scene.report().await;
    assert!(
        matches!(report.end, SessionEnd::Failed(SessionError::TooManyBad(_))),
        "{:?} {ended}",
        report.end
    );
    assert_eq!(report.bad_messages, 60 + 50, "the good ones between began the count anew");
    assert_eq!(watch.outputs("Ended").len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_peer_that_takes_nothing_holds_up_nobody_and_is_given_up() {
    // Room for little more than the handshake of a message: the greeting doesn't fit.
    let scene = scene_with(Moods::default(), 2_000, |_| {}).await;
    let Scene { mut peer, served, watch, control } = scene;
    let began = tokio::time::Instant::now();
    // It sends, and reads nothing.
    let sending = tokio::spawn(async move {
        for number in 0..1_000 {
            if !peer.send(media(number)).await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        peer
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    control.send(Control::Say { text: "Are you there?".into(), interruptible: Default::default() }).unwrap();
    let report = served.await.unwrap();
    sending.abort();
    let SessionEnd::Lost(why) = report.end else { panic!("{:?}", report.end) };
    assert!(why.contains("takes no data"), "{why}");
    let took = began.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(8)).contains(&took), "{took:?}");
    // Meanwhile the call went on: its sound came in, its commands and deadlines were served.
    assert!(watch.inputs("Media").len() > 200, "{}", watch.inputs("Media").len());
    let said = watch.inputs("Are you there?");
    assert!(said.iter().all(|seen| (3_000..3_100).contains(&seen.at_ms)) && said.len() == 1, "{said:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_end_of_each_stage_reaches_the_call_whatever_it_was() {
    for mood in [Mood::Ends, Mood::Fails, Mood::Panics, Mood::PanicsAtOnce] {
        for (name, moods) in [
            ("Failed(", Moods { stt: mood, ..Moods::default() }),
            ("LlmEnded", Moods { llm: mood, ..Moods::default() }),
            ("TtsEnded", Moods { tts: mood, ..Moods::default() }),
        ] {
            let mut scene = scene(moods).await;
            scene.listen(3_000).await;
            assert!(scene.peer.send(r#"{"event":"stop"}"#).await || scene.served.is_finished());
            let watch = scene.watch.clone();
            scene.report().await;
            let told = watch.inputs(name);
            assert_eq!(told.len(), 1, "{mood:?} {name}: {told:?}");
            assert!(told[0].at_ms < 100 && !told[0].what.contains("4711"), "{told:?}");
            if name == "LlmEnded" && mood != Mood::PanicsAtOnce {
                let seen = watch.seen();
                let place = |what| seen.iter().position(|seen| seen.went_in && seen.what.contains(what));
                assert!(place("I was about to").unwrap() < place("LlmEnded").unwrap(), "{mood:?}");
            }
        }
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_stage_that_takes_nothing_refuses_in_order() {
    // The voice is stuck at its first sentence: the queue fills with the others, and what has no room has failed.
    let mut scene = scene(Moods { tts: Mood::Stuck, ..Moods::default() }).await;
    for number in 0..300 {
        let text = format!("This is sentence number {number}.");
        while scene
            .control
            .send(Control::Say { text: text.clone(), interruptible: Default::default() })
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::task::yield_now().await;
    }
    scene.listen(200).await;
    assert!(scene.peer.send(r#"{"event":"stop"}"#).await || scene.served.is_finished());
    let watch = scene.watch.clone();
    let report = scene.report().await;
    let failed = watch.inputs("stopped taking requests");
    assert!(failed.len() as u64 <= report.refused_commands && !failed.is_empty(), "{}", failed.len());
    let number = |seen: &crate::watch::Seen| {
        let rest = seen.what.split("UtteranceId(").nth(1).unwrap();
        rest.split(')').next().unwrap().parse::<u32>().unwrap()
    };
    assert!(failed.windows(2).all(|pair| number(&pair[0]) <= number(&pair[1])), "{failed:?}");
}

/// A tool that never returns, and tells when it is dropped.
#[derive(Clone, Default)]
struct Endless {
    begun: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Tools for Endless {
    fn run(&self, _call: &ToolCall) -> BoxFuture<Result<String, String>> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let dropped = Dropped(Arc::clone(&self.dropped));
        Box::pin(async move {
            let _dropped = dropped;
            std::future::pending().await
        })
    }
}
