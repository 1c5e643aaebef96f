//! The session against what a server says, without one.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_audio::{FRAME_SAMPLES, MulawFrame, SamplePos};
use offhook_stage_api::id::{ReplyId, SegmentId, UtteranceId};
use offhook_stage_api::{
    AudioChunk, Content, Delivery, Digits, Entry, FailureKind, LlmCommand, LlmEvent, ReplyReason,
    ReplyRequest, SpeakRequest, SttCommand, SttEvent, ToolCall, ToolResult, ToolUse, TtsCommand, TtsEvent,
};
use offhook_stages::{StageError, ToolSpec};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::RealtimeConfig;
use super::session::Session;

mod harness;
mod loopback;
mod services;

use harness::{Harness, config};

fn caller_said(text: &str) -> Entry {
    Entry::at(Content::Caller { text: text.to_owned() }, 0)
}

fn agent_said(text: &str) -> Entry {
    Entry::at(Content::Agent { text: text.to_owned(), delivery: Delivery::Heard }, 0)
}

fn caller(text: &str) -> ReplyReason {
    ReplyReason::Caller { text: text.to_owned(), confidence: None }
}

#[tokio::test(start_paused = true)]
async fn the_settings_as_they_are_sent() {
    let mut harness = Harness::new();
    harness.session.opened(harness.now);
    let settings = std::mem::take(&mut harness.session.say).remove(0);
    insta::assert_json_snapshot!(settings);
}

#[tokio::test(start_paused = true)]
async fn a_turn_and_its_answer() {
    let mut harness = Harness::new();
    harness.frames(100).spoken(12).heard("i1", "A large pizza.");
    harness.ask(1, caller("A large pizza."), vec![caller_said("A large pizza.")]);
    harness.begun("r1", "m1", "Sure.").sounds("r1", "m1", 4_000);
    harness.speak(1, 0, "Sure.", false);
    harness.llm(LlmCommand::Commit { reply: ReplyId(1) });
    harness.server(json!({"type": "response.output_audio_transcript.delta", "response_id": "r1",
        "item_id": "m1", "delta": " Anything else?"}));
    harness.sounds("r1", "m1", 8_000).ended("r1", "completed");
    harness.speak(1, 1, "Anything else?", false);
    insta::assert_snapshot!(harness.take());
    assert_eq!((harness.session.usage.input_tokens, harness.session.usage.cached_tokens), (40, 60));
}

#[tokio::test(start_paused = true)]
async fn transcripts_come_in_any_order_late_or_never() {
    let mut harness = Harness::new();
    let from = SamplePos(0);
    harness.spoken(10);
    harness.session.on_stt(&SttCommand::SpeechStarted { at: SamplePos(harness.at) }, harness.now);
    harness.frames(10);
    let until = SamplePos(harness.at);
    harness.session.on_stt(&SttCommand::SpeechPaused { from, until }, harness.now);
    for item in ["i1", "i2"] {
        harness.server(json!({"type": "input_audio_buffer.committed", "item_id": item}));
    }
    harness.take();
    let words = |item: &str, text: &str| json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": item, "transcript": text});
    harness.server(json!({"type": "conversation.item.input_audio_transcription.delta", "item_id": "i2", "delta": "nine"}));
    harness.server(words("i2", "nine oh two"));
    assert_eq!(harness.take(), "partial nine");
    harness.after(Duration::from_millis(1_200));
    assert_eq!(harness.take(), "final 0..3200 nine oh two");
    harness.server(words("i1", "It is"));
    assert_eq!(harness.take(), "final 0..3200 It is nine oh two");
}

#[tokio::test(start_paused = true)]
async fn other_words_for_the_same_sound_need_no_other_answer() {
    let mut harness = Harness::new();
    harness.spoken(20);
    harness.server(json!({"type": "input_audio_buffer.committed", "item_id": "i1"}));
    harness.ask(1, caller("a pizza"), vec![]).begun("r1", "m1", "Which one?").sounds("r1", "m1", 4_000);
    harness.speak(1, 0, "Which one?", false);
    harness.take();
    // The call drops the reply and asks anew in the same breath.
    harness.session.on_tts(TtsCommand::Cancel { utterance: UtteranceId(1) }, harness.now);
    harness.session.on_llm(LlmCommand::Cancel { reply: ReplyId(1) }, harness.now);
    harness.ask(2, caller("A pizza, please."), vec![]);
    harness.speak(2, 0, "Which one?", false);
    harness.ended("r1", "completed");
    assert_eq!(harness.take(), "text r2 \"Which one? \"\nsound u2/s0 4000 octets\ndone r2\nspoken u2/s0");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_never_happened_leaves_nothing() {
    let mut harness = Harness::new();
    harness.spoken(20).heard("i1", "a pizza").ask(1, caller("a pizza"), vec![]);
    harness.begun("r1", "m1", "Which one?");
    harness.take();
    harness.llm(LlmCommand::Cancel { reply: ReplyId(1) });
    // The caller goes on; the next answer waits for the end of the first.
    harness.spoken(20).heard("i2", "and a drink").ask(2, caller("a pizza and a drink"), vec![]);
    harness.sounds("r1", "m1", 4_000);
    harness.ended("r1", "cancelled");
    insta::assert_snapshot!(harness.take());
}

#[tokio::test(start_paused = true)]
async fn an_interruption_tells_what_was_heard() {
    let mut harness = Harness::new();
    harness.ask(1, ReplyReason::Greeting, vec![]).begun("r1", "m1", "One moment.").sounds("r1", "m1", 8_000);
    harness.server(json!({"type": "response.output_item.added", "response_id": "r1", "item": {"id": "m2", "type": "message"}}));
    harness.server(
        json!({"type": "response.output_audio_transcript.delta", "response_id": "r1", "item_id": "m2",
        "delta": " It is on its way."}),
    );
    harness.sounds("r1", "m2", 16_000).speak(1, 0, "One moment.", false);
    harness.llm(LlmCommand::Commit { reply: ReplyId(1) });
    harness.take();
    harness.session.on_llm(
        LlmCommand::Interrupted { reply: ReplyId(1), heard: Duration::from_millis(1_750) },
        harness.now,
    );
    harness.llm(LlmCommand::Cancel { reply: ReplyId(1) });
    harness.sounds("r1", "m2", 8_000);
    harness.server(json!({"type": "response.done", "response": {"id": "r1", "status": "cancelled", "output": [
        {"id": "m1", "type": "message"}, {"id": "m2", "type": "message"}, {"id": "m3", "type": "message"}]}}));
    insta::assert_snapshot!(harness.take());
}

#[tokio::test(start_paused = true)]
async fn what_was_heard_to_its_end_is_never_cut() {
    for (heard, told) in [(999, true), (1_000, false), (5_000, false)] {
        let mut harness = Harness::new();
        harness.ask(1, ReplyReason::Greeting, vec![]).begun("r1", "m1", "Hello.").sounds("r1", "m1", 8_000);
        harness
            .speak(1, 0, "Hello.", false)
            .llm(LlmCommand::Commit { reply: ReplyId(1) })
            .ended("r1", "completed");
        harness.take();
        harness.llm(LlmCommand::Interrupted { reply: ReplyId(1), heard: Duration::from_millis(heard) });
        assert_eq!(harness.take().contains("truncate"), told, "{heard}");
    }
}

#[tokio::test(start_paused = true)]
async fn tools_are_called_and_answered() {
    let mut harness = Harness::new();
    harness.spoken(20).heard("i1", "where is it").ask(1, caller("where is it"), vec![]);
    harness.server(json!({"type": "response.created", "response": {"id": "r1"}}));
    let item = json!({"id": "f1", "type": "function_call", "call_id": "call_8", "name": "look_up", "arguments": "{\"n\":1}"});
    harness.server(json!({"type": "response.output_item.done", "response_id": "r1", "item": item}));
    harness.server(
        json!({"type": "response.done", "response": {"id": "r1", "status": "completed", "output": [item]}}),
    );
    harness.llm(LlmCommand::Commit { reply: ReplyId(1) });
    let result = |id: &str, outcome| ToolResult { id: id.into(), name: "look_up".into(), outcome };
    harness.llm(LlmCommand::ToolResult(result("call_8", Ok("on its way".into()))));
    harness.llm(LlmCommand::ToolResult(result("call_9", Err("no such order".into()))));
    harness.ask(2, ReplyReason::Tool, vec![]);
    insta::assert_snapshot!(harness.take());
}

#[tokio::test(start_paused = true)]
async fn parallel_calls_of_one_tool_get_their_own_results() {
    let mut harness = Harness::new();
    harness.spoken(20).heard("i1", "rome or oslo").ask(1, caller("rome or oslo"), vec![]);
    let item = |n: u32| json!({"id": format!("f{n}"), "type": "function_call", "call_id": format!("call_{n}"), "name": "look_up", "arguments": ""});
    harness.server(json!({"type": "response.done", "response": {"id": "r1", "status": "completed", "output": [item(1), item(2)]}}));
    harness.llm(LlmCommand::Commit { reply: ReplyId(1) }).take();
    let result =
        |id: &str, text: &str| ToolResult { id: id.into(), name: "look_up".into(), outcome: Ok(text.into()) };
    harness.llm(LlmCommand::ToolResult(result("call_2", "snow")));
    // This one comes with the request only.
    let history = vec![
        Entry::at(Content::ToolResult(result("call_2", "snow")), 0),
        Entry::at(Content::ToolResult(result("call_1", "sun")), 0),
    ];
    let request = ReplyRequest {
        reply: ReplyId(2),
        reason: ReplyReason::Tool,
        history,
        language: None,
        tools: ToolUse::None,
        speculative: false,
    };
    harness.llm(LlmCommand::Respond(Arc::new(request)));
    insta::assert_snapshot!(harness.take());
}

#[tokio::test(start_paused = true)]
async fn what_the_model_cannot_hear_is_told_it_once() {
    let told = |lines: String, text: &str| lines.matches(text).count();
    let digits = Content::Digits { digits: Digits::new("12") };
    let history = vec![Entry::at(digits, 1), caller_said("that is it")];
    let mut harness = Harness::new();
    harness.spoken(20).heard("i1", "that is it").take();
    harness.ask(1, ReplyReason::Digits(Digits::new("12")), history.clone());
    assert_eq!(told(harness.take(), "[The caller pressed: 12]"), 1);
    // The reply never happens: what was written for it goes, and is written for the next.
    harness.llm(LlmCommand::Cancel { reply: ReplyId(1) });
    harness.ended("r1", "cancelled").take();
    harness.ask(2, ReplyReason::Digits(Digits::new("12")), history.clone());
    assert_eq!(told(harness.take(), "[The caller pressed: 12]"), 1);
    harness.begun("r2", "m2", "Thank you.").llm(LlmCommand::Commit { reply: ReplyId(2) });
    harness.ended("r2", "completed").take();
    let note = Content::Note { text: "The transfer failed: busy".into() };
    let history = [history, vec![agent_said("Thank you."), Entry::at(note, 9)]].concat();
    harness.ask(3, ReplyReason::Tool, history);
    let lines = harness.take();
    assert_eq!(told(lines.clone(), "pressed"), 0, "{lines}");
    assert_eq!(told(lines, "[The transfer failed: busy]"), 1);
}

#[tokio::test(start_paused = true)]
async fn tools_that_were_given_up_are_answered_so() {
    let mut harness = Harness::new();
    harness.spoken(20).heard("i1", "where is it").ask(1, caller("where is it"), vec![]);
    let item =
        json!({"id": "f1", "type": "function_call", "call_id": "call_8", "name": "look_up", "arguments": ""});
    harness.server(
        json!({"type": "response.done", "response": {"id": "r1", "status": "completed", "output": [item]}}),
    );
    harness.llm(LlmCommand::Commit { reply: ReplyId(1) });
    harness.spoken(20).heard("i2", "never mind");
    harness.take();
    let history = vec![
        Entry::at(
            Content::ToolCall(ToolCall { id: "call_8".into(), name: "look_up".into(), arguments: json!({}) }),
            0,
        ),
        Entry::at(
            Content::ToolResult(ToolResult {
                id: "call_8".into(),
                name: "look_up".into(),
                outcome: Err("given up".into()),
            }),
            0,
        ),
        caller_said("never mind"),
    ];
    harness.ask(2, caller("never mind"), history);
    insta::assert_snapshot!(harness.take());
}

#[tokio::test(start_paused = true)]
async fn the_engines_own_words_are_spoken_by_the_other_voice() {
    let mut harness = Harness::new();
    harness.speak(1, 0, "Welcome to Luigi's.", true);
    harness.spoken(20).heard("i1", "hi");
    let history = vec![agent_said("Welcome to Luigi's."), caller_said("hi")];
    harness.ask(1, caller("hi"), history).begun("r1", "m1", "One moment, please.");
    // The same words, but the engine's: they close their utterance.
    harness.speak(2, 0, "One moment, please.", true).speak(3, 0, "One moment, please.", false);
    harness.session.on_tts(TtsCommand::Cancel { utterance: UtteranceId(2) }, harness.now);
    harness.settle();
    insta::assert_snapshot!(harness.take());
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_is_told_the_conversation_anew() {
    let mut harness = Harness::new();
    harness.spoken(20).heard("i1", "a pizza").ask(1, caller("a pizza"), vec![]);
    harness.begun("r1", "m1", "Which one?").sounds("r1", "m1", 4_000).speak(1, 0, "Which one?", false);
    harness.llm(LlmCommand::Commit { reply: ReplyId(1) });
    harness.session.on_stt(&SttCommand::TurnEnded { until: SamplePos(3_200) }, harness.now);
    harness.session.on_stt(&SttCommand::SpeechStarted { at: SamplePos(3_200) }, harness.now);
    harness.frames(20).take();
    let error = StageError::Broken { stage: "x".into(), what: "gone".into() };
    harness.session.lost(&error, harness.now);
    harness.after(Duration::from_millis(600));
    harness.session.opened(harness.now);
    harness.settle();
    assert!(harness.lines.iter().any(|line| line.starts_with("> session.update")));
    harness.lines.retain(|line| !line.starts_with("> session.update"));
    let (from, until) = (SamplePos(3_200), SamplePos(6_400));
    harness.session.on_stt(&SttCommand::SpeechPaused { from, until }, harness.now);
    harness.heard("i9", "a large one");
    let history = vec![caller_said("a pizza"), agent_said("Which one?"), caller_said("a large one")];
    harness.ask(2, caller("a large one"), history);
    insta::assert_snapshot!(harness.take());
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_another_takes_the_place_of_says_what_it_was_asked_to() {
    let mut harness = Harness::new();
    harness
        .ask(1, ReplyReason::Greeting, vec![])
        .begun("r1", "m1", "Hello you. And so on")
        .sounds("r1", "m1", 9_120);
    harness.speak(1, 0, "Hello you.", false).llm(LlmCommand::Commit { reply: ReplyId(1) });
    harness.take();
    harness.llm(LlmCommand::Cancel { reply: ReplyId(1) });
    harness.ask(2, ReplyReason::Digits(offhook_stage_api::Digits::new("12")), vec![]);
    harness.sounds("r1", "m1", 8_000).ended("r1", "cancelled");
    insta::assert_snapshot!(harness.take());
}

#[tokio::test(start_paused = true)]
async fn a_loss_leaves_nothing_to_wait_for() {
    let mut harness = Harness::new();
    harness.ask(1, ReplyReason::Greeting, vec![]).begun("r1", "m1", "Hello.").sounds("r1", "m1", 100);
    harness.speak(1, 0, "Hello.", false);
    let error = StageError::Broken { stage: "x".into(), what: "gone".into() };
    harness.session.lost(&error, harness.now);
    harness.after(Duration::from_secs(1));
    assert_eq!(harness.lines.split_off(harness.lines.len() - 2), ["failed r1 Broken", "spoken u1/s0"]);
    harness.session.opened(harness.now);
    harness.server(json!({"type": "session.updated", "session": {}}));
    assert_eq!(harness.session.due(), None);
}

#[tokio::test(start_paused = true)]
async fn noise_is_not_remembered() {
    let mut harness = Harness::new();
    harness.spoken(20).heard("i1", "").take();
    harness.session.on_stt(&SttCommand::TurnEnded { until: SamplePos(3_200) }, harness.now);
    harness.settle();
    assert_eq!(harness.take(), "> conversation.item.delete {\"item_id\":\"i1\"}");
}

#[tokio::test(start_paused = true)]
async fn refusals_that_matter_end_the_session_and_others_do_not() {
    let error = |code: &str, cause: &str| {
        json!({"type": "error", "error": {"type": "invalid_request_error", "code": code, "message": "m", "event_id": cause}})
            .to_string()
    };
    let mut harness = Harness::new();
    for code in ["response_cancel_not_active", "invalid_value", "item_truncate_invalid_item_id"] {
        harness.session.on_text(&error(code, ""), harness.now).unwrap();
    }
    harness.session.on_text("{\"type\":\"rate_limits.updated\"}", harness.now).unwrap();
    harness.session.on_text("no JSON", harness.now).unwrap();
    let kind =
        |text: &str, harness: &mut Harness| harness.session.on_text(text, harness.now).unwrap_err().kind();
    assert_eq!(kind(&error("session_expired", ""), &mut harness), FailureKind::Broken);
    assert_eq!(kind(&error("invalid_value", "settings"), &mut harness), FailureKind::Refused);
    assert_eq!(kind(&error("insufficient_quota", ""), &mut harness), FailureKind::Refused);
    let linear = json!({"type": "session.updated", "session": {"audio": {"output": {"format": {"type": "audio/pcm"}}}}});
    assert_eq!(kind(&linear.to_string(), &mut harness), FailureKind::Garbage);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_asked_again_when_it_is_free() {
    let mut harness = Harness::new();
    harness.ask(1, ReplyReason::Greeting, vec![]).take();
    harness.server(json!({"type": "error", "error": {"type": "invalid_request_error", "event_id": "reply_1",
        "code": "conversation_already_has_active_response", "message": "m"}}));
    assert_eq!(harness.take(), "");
    harness.ended("r0", "completed");
    assert!(harness.take().contains("response.create"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_fails_the_reply() {
    let mut harness = Harness::new();
    harness.ask(1, ReplyReason::Greeting, vec![]).take();
    harness.after(Duration::from_secs(8));
    assert_eq!(harness.take(), "> response.cancel {}\nfailed r1 TooSlow");
    harness.ask(2, ReplyReason::Greeting, vec![]).after(Duration::from_secs(2));
    assert!(harness.take().contains("reply_2"));
}

proptest::proptest! {
    /// Whatever a server says, however it is cut: no panic, and no end but by what means one.
    #[test]
    fn nonsense_is_passed_over(at in 0_usize..400, kind in 0_usize..14, junk in "\\PC{0,12}") {
        let kinds = [
            "session.created", "session.updated", "input_audio_buffer.committed",
            "conversation.item.input_audio_transcription.delta",
            "conversation.item.input_audio_transcription.completed", "response.created",
            "response.output_item.added", "response.output_item.done", "response.output_audio_transcript.delta",
            "response.output_audio.delta", "response.output_text.delta", "response.done", "error", "unknown",
        ];
        let text = json!({"type": kinds[kind], "response_id": "r1", "item_id": "m1", "delta": junk, "transcript": junk,
            "content_index": 0.0, "usage": {"type": "duration", "seconds": 1.5}, "item": {"id": "m1", "arguments": junk},
            "response": {"id": "r1", "status": junk, "output": [{"id": junk, "type": "function_call"}]},
            "error": {"code": null, "message": junk}, "session": {"audio": junk}}).to_string();
        let cut: String = text.chars().take(at).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut harness = Harness::new();
        harness.ask(1, ReplyReason::Greeting, vec![]);
        for text in [cut, text, junk] {
            harness.session.on_text(&text, harness.now).unwrap();
            harness.settle();
        }
    }
}
