//! ConversationRelay calls.

use std::sync::Arc;
use std::time::Duration;

use offhook_media_line::CallConfig;
use offhook_relay_line::RelayLine;
use offhook_session::Setup;
use offhook_session::relay::{RelayEnd, RelayError, RelayReport, serve_relay};
use offhook_session::{Admitted, Detached, Leave};
use offhook_twilio::relay::SetupMessage;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::peer::{Peer, sockets};
use crate::stages::{Mood, Moods};
use crate::watch::Watch;

const SETUP: &str = r#"{"type":"setup","sessionId":"VX11","accountSid":"AC11","callSid":"CA11","from":"+14155550100","to":"+14155550101","direction":"inbound","customParameters":{}}"#;
const PROMPT: &str = r#"{"type":"prompt","voicePrompt":"What are your hours?","lang":"en-US","last":true}"#;

struct Scene {
    peer: Peer,
    leave: oneshot::Sender<Leave>,
    served: JoinHandle<(RelayReport, Option<Detached<RelayLine, Watch>>)>,
}

async fn serve(admitted: Admitted<RelayLine, Watch>) -> Scene {
    let (mut peer, socket) = sockets(64 * 1024).await;
    let (leave, told) = oneshot::channel();
    let mut admitted = Some((admitted, Some(told)));
    let served = tokio::spawn(async move {
        let admit = async |_: &SetupMessage| admitted.take().ok_or_else(|| "twice".to_owned());
        serve_relay(socket, admit).await
    });
    assert!(peer.send(SETUP).await);
    Scene { peer, leave, served }
}

fn new(moods: Moods) -> (Admitted<RelayLine, Watch>, Watch) {
    let watch = Watch::default();
    let setup = Setup::new(Arc::new(CallConfig::default()), moods.stages(), "en-US");
    (Admitted::New(Box::new(setup), watch.clone()), watch)
}

async fn text_within(peer: &mut Peer, ms: u64) -> Option<String> {
    tokio::time::timeout(Duration::from_millis(ms), peer.text()).await.ok().flatten()
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_call_goes_on_over_another_socket() {
    let (admitted, watch) = new(Moods::default());
    let mut scene = serve(admitted).await;
    assert!(text_within(&mut scene.peer, 100).await.unwrap().contains("Hello there."));
    assert!(scene.peer.send(PROMPT).await);
    assert!(text_within(&mut scene.peer, 100).await.unwrap().contains("Hello there."));
    drop(scene.peer);
    let (report, detached) = scene.served.await.unwrap();
    assert!(matches!(report.end, RelayEnd::Lost(_)), "{:?}", report.end);
    assert_eq!((report.prompts, report.sent > 1), (1, true));
    let mut scene = serve(Admitted::Back(detached.unwrap())).await;
    assert!(text_within(&mut scene.peer, 2_000).await.is_some(), "{:#?}", watch.seen());
    assert!(scene.peer.send(PROMPT).await);
    assert!(text_within(&mut scene.peer, 2_000).await.is_some());
    scene.leave.send(Leave::ForAnother).unwrap();
    let (report, detached) = scene.served.await.unwrap();
    assert_eq!(report.end, RelayEnd::Replaced);
    detached.unwrap().give_up();
    let order: Vec<&str> = ["Start", "Lost", "Back", "Lost", "Stop"].to_vec();
    let seen = watch.seen();
    let mut wanted = order.iter().copied().peekable();
    for seen in seen.iter().filter(|seen| seen.went_in) {
        if wanted.peek().is_some_and(|wanted| seen.what == *wanted || seen.what == format!("Line({wanted})"))
        {
            wanted.next();
        }
    }
    assert_eq!(wanted.next(), None, "{seen:#?}");
    assert!(seen.last().unwrap().what.contains("Ended"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_caller_who_hangs_up_ends_the_call() {
    let (admitted, watch) = new(Moods::default());
    let mut scene = serve(admitted).await;
    text_within(&mut scene.peer, 100).await.unwrap();
    scene.peer.0.close(None).await.unwrap();
    let (report, detached) = scene.served.await.unwrap();
    // Without a code it may come back; Twilio closes with 1000.
    assert!(matches!(report.end, RelayEnd::Lost(_)) && detached.is_some(), "{:?}", report.end);
    drop(detached);
    assert!(watch.inputs("Lost").len() == 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn bad_messages_are_dropped_until_there_are_too_many_in_a_row() {
    let (admitted, watch) = new(Moods::default());
    let mut scene = serve(admitted).await;
    for bad in ["{", r#"{"type":"dtmf","digit":4711}"#, r#"{"type":"prompt"}"#, SETUP] {
        assert!(scene.peer.send(bad).await);
    }
    assert!(scene.peer.send(r#"{"type":"whisper"}"#).await);
    assert!(scene.peer.send(PROMPT).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(watch.inputs("Prompt").len(), 1);
    assert_eq!(watch.outputs("notice").len(), 1);
    for _ in 0..50 {
        scene.peer.send("{").await;
    }
    let answering = tokio::spawn(async move { scene.peer.texts().await });
    let (report, detached) = scene.served.await.unwrap();
    answering.abort();
    assert!(matches!(report.end, RelayEnd::Failed(RelayError::TooManyBad(_))), "{:?}", report.end);
    assert!(detached.is_none() && report.unknown == 1);
    assert!(watch.seen().iter().all(|seen| !seen.what.contains("4711")));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_end_of_the_model_reaches_the_call_whatever_it_was() {
    for mood in [Mood::Ends, Mood::Fails, Mood::Panics, Mood::PanicsAtOnce] {
        let (admitted, watch) = new(Moods { llm: mood, ..Moods::default() });
        let scene = serve(admitted).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let told = watch.inputs("LlmEnded");
        assert!(told.len() == 1 && told[0].at_ms < 100, "{mood:?}: {told:?}");
        assert!(!told[0].what.contains("4711"));
        drop(scene);
    }
}
