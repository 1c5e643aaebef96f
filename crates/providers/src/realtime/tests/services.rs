//! Calls with the doubles of all services: greeting, turn, interruption, tool, a lost session, a refused one.

use offhook_doubles::{DoublesConfig, Fault, FaultRule, Moment, Rule, Stage, ToolCall as Scripted};
use tokio::time::{sleep, timeout};

use super::loopback::{ANSWER, Call, SAID, script};
use super::*;
use crate::realtime::config::RealtimeProvider;

const LIVE: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
const VOICE_LIVE: &str = "/voice-live/realtime?api-version=2025-10-01";

fn services() -> Vec<(&'static str, RealtimeConfig)> {
    [
        (RealtimeProvider::Azure, "/openai/v1/realtime", "gpt-realtime", "marin"),
        (RealtimeProvider::AzureVoiceLive, VOICE_LIVE, "gpt-realtime", "en-US-Ava:DragonHDLatestNeural"),
        (RealtimeProvider::Xai, "/v1/realtime", "grok-voice-latest", "ara"),
        (RealtimeProvider::Gemini, LIVE, "gemini-2.5-flash-native-audio-latest", "Kore"),
        (RealtimeProvider::Gemini, LIVE, "gemini-3.1-flash-live-preview", "Kore"),
        (RealtimeProvider::Gemini, LIVE, "gemini-3.8-live", ""),
    ]
    .map(|(provider, path, model, voice)| {
        let (model, voice) = (model.to_owned(), voice.to_owned());
        let transcription_model = "a-scribe".to_owned();
        (path, RealtimeConfig { provider, model, voice, transcription_model, ..RealtimeConfig::default() })
    })
    .to_vec()
}

fn doubles(faults: Vec<FaultRule>) -> DoublesConfig {
    let call = Scripted { name: "find_booking".to_owned(), arguments: json!({"day": "Friday"}) };
    let answers = vec![
        Rule { heard: "move".into(), say: ANSWER.into(), ..Rule::default() },
        Rule { heard: "which day".into(), say: "One moment.".into(), calls: vec![call], ..Rule::default() },
        Rule { tool_result: true, say: "It is on Friday.".into(), ..Rule::default() },
    ];
    DoublesConfig { script: script(answers), faults, ..DoublesConfig::default() }
}

#[tokio::test]
async fn every_service_hears_answers_and_knows_what_was_heard() {
    for (path, config) in services() {
        let (provider, model) = (config.provider, config.model.clone());
        let mut call = Call::with(doubles(Vec::new()), path, config).await;
        call.respond(1, ReplyReason::Greeting, Vec::new());
        let (text, octets) = call.said(1).await.unwrap_or_else(|error| panic!("{model}: {error}"));
        assert!(text.starts_with("I heard: [The caller is on the line."), "{model}: {text}");
        assert!(octets > 8_000, "{model}: {octets}");
        assert_eq!(call.hears().await, SAID, "{model}");
        call.respond(2, caller(SAID), vec![caller_said(SAID)]);
        let (text, octets) = call.said(2).await.unwrap_or_else(|error| panic!("{model}: {error}"));
        assert_eq!(text, ANSWER, "{model}");
        assert!(octets > 8_000, "{model}: {octets}");
        call.llm.offer(LlmCommand::Commit { reply: ReplyId(2) }).unwrap();
        let heard = Duration::from_millis(700);
        call.llm.offer(LlmCommand::Interrupted { reply: ReplyId(2), heard }).unwrap();
        call.llm.offer(LlmCommand::Cancel { reply: ReplyId(2) }).unwrap();
        assert!(call.hears().await.ends_with(SAID), "{model}");
        let history = vec![caller_said(SAID), agent_said("Of course"), caller_said(SAID)];
        call.respond(3, caller(SAID), history);
        let (text, _) = call.said(3).await.unwrap_or_else(|error| panic!("{model}: {error}"));
        // Gemini is told in writing what was heard, and answers that.
        assert!(text == ANSWER || text.contains("heard only this"), "{model}: {text}");
        drop(call.stt);
        timeout(Duration::from_secs(5), call.run).await.unwrap().unwrap().unwrap();
        let seen = call.doubles.seen();
        let sent = seen[0].messages.join("\n");
        let told = if provider == RealtimeProvider::Gemini {
            "heard only this"
        } else {
            "conversation.item.truncate"
        };
        assert!(seen.len() == 1 && sent.contains(told), "{model}: {sent}");
        // The newest of Google's take written turns at the beginning only, or are told how tools run.
        assert_eq!(sent.contains("\"realtimeInput\":{\"text\""), model.starts_with("gemini-3.1"), "{model}");
        assert_eq!(sent.contains("BLOCKING"), model.starts_with("gemini-3.8"), "{model}");
    }
}

#[tokio::test]
async fn every_service_calls_tools() {
    for (path, config) in services() {
        let model = config.model.clone();
        let call = Call::with(doubles(Vec::new()), path, config).await;
        let asked = caller_said("Which day is it?");
        call.respond(1, caller("Which day is it?"), vec![asked.clone()]);
        let called = timeout(Duration::from_secs(5), async {
            let mut called = None;
            loop {
                match call.written.recv().await.unwrap() {
                    LlmEvent::Tool { call, .. } => called = Some(call),
                    LlmEvent::Done { .. } => return called,
                    LlmEvent::Failed { failure, .. } => panic!("{model}: {}", failure.message),
                    _ => {}
                }
            }
        });
        let called = called.await.unwrap().unwrap_or_else(|| panic!("{model} calls nothing"));
        assert_eq!((called.name.as_str(), &called.arguments), ("find_booking", &json!({"day": "Friday"})));
        let (id, name) = (called.id.clone(), called.name.clone());
        let result = ToolResult { id, name, outcome: Ok("Friday".to_owned()) };
        call.llm.offer(LlmCommand::ToolResult(result.clone())).unwrap();
        sleep(Duration::from_millis(20)).await;
        let history = [Content::ToolCall(called), Content::ToolResult(result)];
        let history = history.into_iter().map(|content| Entry::at(content, 1));
        call.respond(2, ReplyReason::Tool, std::iter::once(asked).chain(history).collect());
        let (text, _) = call.said(2).await.unwrap_or_else(|error| panic!("{model}: {error}"));
        assert_eq!(text, "It is on Friday.", "{model}");
    }
}

#[tokio::test]
async fn a_lost_session_is_opened_again_and_a_refused_one_is_the_chains_affair() {
    for (path, config) in services() {
        let model = config.model.clone();
        let close = Fault::Close { code: 1011, reason: "Deadline expired".to_owned() };
        let mut rule = FaultRule::always(Stage::Realtime, close).at(Moment::After(1));
        rule.nth = Some(1);
        let call = Call::with(doubles(vec![rule]), path, config.clone()).await;
        call.respond(1, ReplyReason::Greeting, Vec::new());
        let (text, _) = call.said(1).await.unwrap_or_else(|error| panic!("{model}: {error}"));
        assert!(text.contains("Greet them"), "{model}: {text}");
        assert_eq!(call.doubles.seen().len(), 2, "{model}");

        let refused = FaultRule::always(Stage::Realtime, Fault::Unauthorized);
        let call = Call::with(doubles(vec![refused]), path, config).await;
        call.respond(1, ReplyReason::Greeting, Vec::new());
        assert!(call.said(1).await.is_err(), "{model}");
        let error = timeout(Duration::from_secs(5), call.run).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), FailureKind::Refused, "{model}");
    }
}

#[tokio::test]
async fn a_model_that_speaks_unasked_is_refused_with_a_hint() {
    let model = "gemini-3.8-live-extended-thinking".to_owned();
    let config = RealtimeConfig { provider: RealtimeProvider::Gemini, model, ..RealtimeConfig::default() };
    let call = Call::with(doubles(Vec::new()), LIVE, config).await;
    let error = timeout(Duration::from_secs(5), call.run).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("several times to one turn"), "{error}");
}
