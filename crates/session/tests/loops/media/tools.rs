//! The end of a call, and its tools.

use super::*;

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_call_that_is_dropped_gives_up_its_tools_and_its_stages() {
    let tools = Endless::default();
    let given = tools.clone();
    let moods = Moods { tool: Some("look"), ..Moods::default() };
    let mut scene = scene_with(moods, 64 * 1024, |setup| setup.tools = Some(Arc::new(given))).await;
    scene.listen(2_000).await;
    assert_eq!((tools.begun.load(Ordering::Relaxed), tools.dropped.load(Ordering::Relaxed)), (1, 0));
    scene.served.abort();
    assert!(scene.served.await.unwrap_err().is_cancelled());
    assert_eq!(tools.dropped.load(Ordering::Relaxed), 1);
    assert!(scene.control.is_over());
}

struct Faulty;

impl Tools for Faulty {
    fn run(&self, _call: &ToolCall) -> BoxFuture<Result<String, String>> {
        panic!("a tool's own fault")
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_tool_that_panics_ends_no_call() {
    let moods = Moods { tool: Some("look"), ..Moods::default() };
    let mut scene = scene_with(moods, 64 * 1024, |setup| setup.tools = Some(Arc::new(Faulty))).await;
    scene.listen(2_000).await;
    assert!(scene.peer.send(r#"{"event":"stop"}"#).await);
    let watch = scene.watch.clone();
    assert_eq!(scene.report().await.end, SessionEnd::Stopped);
    assert_eq!(watch.inputs("`look` failed by a fault").len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_tool_without_anybody_to_run_it_has_failed_before_anything_else_happens() {
    let moods = Moods { tool: Some("look"), ..Moods::default() };
    let mut scene = scene(moods).await;
    scene.listen(500).await;
    let seen = scene.watch.seen();
    let wanted = seen.iter().position(|seen| seen.what.starts_with("Tool(ToolCall")).unwrap();
    let next = seen[wanted + 1..].iter().find(|seen| seen.went_in).unwrap();
    assert!(next.what.contains("there is no tool `look` here"), "{next:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_stream_that_does_not_begin_is_refused() {
    let (mut peer, socket) = sockets(64 * 1024).await;
    let setup = |_: &offhook_twilio::stream::StartMessage| Err::<Setup, String>("not known".into());
    let watch = |_: &offhook_twilio::stream::StartMessage| Watch::default();
    let served = tokio::task::spawn_local(serve_call(socket, setup, watch));
    let answering = tokio::spawn(async move {
        peer.texts().await;
        peer
    });
    // Nothing is said for ten seconds.
    let report = served.await.unwrap();
    assert_eq!(report.end, SessionEnd::Failed(SessionError::NoStart));
    answering.abort();
}
