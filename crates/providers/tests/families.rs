//! Families of models against doubles that refuse what their vendors refuse: a call with a tool, its result, and the caller's next
//! words, all in one session, so that thoughts go back where they are wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use offhook_doubles::{Doubles, DoublesConfig, Rule, Script, ToolCall};
use offhook_providers::llm::{LlmConfig, ModelTable, NetworkLlm, Prompt};
use offhook_providers::net::Secret;
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{
    Content, Delivery, Entry, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, ToolCall as Called,
    ToolResult, ToolUse,
};
use offhook_stages::{CallInfo, Llm, Rx, ToolSpec, Tx, WhenFull, bounded};
use serde_json::{Value, json};
use tokio::time::timeout;

fn script() -> DoublesConfig {
    let call = ToolCall { name: "find_booking".to_owned(), arguments: json!({"day": "Friday"}) };
    let asks = Rule { heard: "move".into(), say: "One moment.".into(), calls: vec![call], ..Rule::default() };
    let tells = Rule { tool_result: true, say: "It is at three.".into(), ..Rule::default() };
    DoublesConfig {
        script: Script { answers: vec![asks, tells], ..Script::default() },
        ..DoublesConfig::default()
    }
}

/// One session with a model.
struct Session {
    commands: Tx<LlmCommand>,
    events: Rx<LlmEvent>,
    history: Vec<Entry>,
    reply: u32,
}

impl Session {
    fn new(config: Value) -> Self {
        Self::with(config, &ModelTable::shipped())
    }

    fn with(config: Value, models: &ModelTable) -> Self {
        let config: LlmConfig = serde_json::from_value(config).unwrap();
        let parameters = json!({"type": "object", "properties": {"day": {"type": "string"}}});
        let tool =
            ToolSpec { name: "find_booking".to_owned(), description: "Finds it.".to_owned(), parameters };
        let prompt =
            Prompt { instructions: "You take bookings.".into(), tools: [tool].into(), ..Prompt::default() };
        let stage = NetworkLlm::with_models(config, Some(&Secret::new("key")), prompt, models).unwrap();
        let (commands, for_stage) = bounded(8, WhenFull::PushBack);
        let (from_stage, events) = bounded(256, WhenFull::PushBack);
        drop(tokio::spawn(stage.run(CallInfo::default(), for_stage, from_stage)));
        Self { commands, events, history: Vec::new(), reply: 0 }
    }

    /// Asks, and keeps what was said and called.
    async fn ask(&mut self, reason: ReplyReason) -> Result<(String, Vec<Called>), String> {
        self.reply += 1;
        let request = ReplyRequest {
            reply: ReplyId(self.reply),
            reason,
            history: self.history.clone(),
            language: None,
            tools: ToolUse::Auto,
            speculative: false,
        };
        self.commands.send(LlmCommand::Respond(Arc::new(request))).await.unwrap();
        let (mut words, mut calls) = (String::new(), Vec::new());
        loop {
            match timeout(Duration::from_secs(5), self.events.recv()).await.expect("it hangs") {
                Some(LlmEvent::Text { delta, .. }) => words.push_str(&delta),
                Some(LlmEvent::Tool { call, .. }) => calls.push(call),
                Some(LlmEvent::Done { .. }) => break,
                Some(LlmEvent::Failed { failure, .. }) => return Err(failure.message),
                other => panic!("{other:?}"),
            }
        }
        let text = words.trim().to_owned();
        self.add(Content::Agent { text: text.clone(), delivery: Delivery::Heard });
        for call in &calls {
            self.add(Content::ToolCall(call.clone()));
        }
        Ok((text, calls))
    }

    async fn say(&mut self, text: &str) -> Result<(String, Vec<Called>), String> {
        self.add(Content::Caller { text: text.to_owned() });
        self.ask(ReplyReason::Caller { text: text.to_owned(), confidence: None }).await
    }

    fn add(&mut self, content: Content) {
        let at = self.history.len() as u64;
        self.history.push(Entry::at(content, at));
    }
}

/// A tool that another model called, in a call that has failed over.
fn foreign(session: &mut Session) {
    session.add(Content::Caller { text: "Is there a table?".to_owned() });
    let (id, name) = ("toolu_01AbCdEfGhIjKlMnOpQrStUv~2".to_owned(), "find_booking".to_owned());
    session.add(Content::ToolCall(Called {
        id: id.clone(),
        name: name.clone(),
        arguments: json!({"day": "Monday"}),
    }));
    session.add(Content::ToolResult(ToolResult { id, name, outcome: Ok("none".to_owned()) }));
}

#[tokio::test]
async fn every_family_calls_a_tool_and_goes_on() {
    let doubles = Doubles::start(script()).await.unwrap();
    for (provider, model) in [
        ("openai", "gpt-6-luna"),
        ("openai", "gpt-6-astra"),
        ("openai", "gpt-6.1-sol"),
        ("openai", "gpt-5.6-terra"),
        ("openai", "gpt-5-mini"),
        ("openai", "o4-mini"),
        ("openai", "gpt-4.1"),
        ("azure", "gpt-6-luna"),
        ("anthropic", "claude-haiku-4-5"),
        ("anthropic", "claude-sonnet-5-5"),
        ("anthropic", "claude-opus-5-5"),
        ("mistral", "mistral-small-latest"),
        ("gemini", "gemini-2.5-flash"),
        ("gemini", "gemini-2.5-pro"),
        ("gemini", "gemini-3.8-flash"),
        ("gemini", "gemini-3.1-pro-preview"),
        ("gemini/interactions", "gemini-3.8-flash"),
        ("gemini/interactions", "gemini-3.1-pro-preview"),
        ("gemini/chat_completions", "gemini-2.5-flash"),
        ("cohere", "command-a-03-2025"),
        ("deepseek", "deepseek-v4-flash"),
        ("deepseek", "deepseek-reasoner"),
        ("openrouter", "anthropic/claude-haiku-4.5"),
        ("openrouter", "openai/gpt-oss-120b"),
        ("xai", "grok-4-1-fast-non-reasoning"),
        ("xai", "grok-4"),
        ("xai", "grok-3-mini"),
        ("groq", "openai/gpt-oss-120b"),
        ("groq", "qwen/qwen3.8-27b"),
        ("groq", "llama-3.1-8b-instant"),
        ("cerebras", "gpt-oss-120b"),
        ("ollama", "qwen3:8b"),
        ("ollama", "llama3.2"),
        ("llamacpp", "qwen3-8b"),
        ("lmstudio", "qwen3-8b"),
        ("vllm", "Qwen/Qwen3-8B"),
        ("vllm", "mistralai/Mistral-Small-3.2-24B-Instruct-2506"),
    ] {
        // The address tells the double whose service it plays.
        let (provider, protocol) = match provider.split_once('/') {
            Some((provider, protocol)) => (provider, Some(protocol)),
            None => (provider, None),
        };
        let base = format!("{}/{provider}/v1", doubles.http());
        for fails_over in [false, true] {
            let mut session = Session::new(
                json!({"provider": provider, "protocol": protocol, "model": model, "base_url": base, "temperature": 0.3}),
            );
            if fails_over {
                foreign(&mut session);
            }
            let (text, calls) =
                session.say("Can I move it?").await.unwrap_or_else(|error| panic!("{model}: {error}"));
            assert_eq!((text.as_str(), calls.len()), ("One moment.", 1), "{model}");
            let outcome = Ok("three o'clock".to_owned());
            let (id, name) = (calls[0].id.clone(), calls[0].name.clone());
            session.add(Content::ToolResult(ToolResult { id, name, outcome }));
            let (text, _) = session
                .ask(ReplyReason::Tool)
                .await
                .unwrap_or_else(|error| panic!("{model}, the result: {error}"));
            assert_eq!(text, "It is at three.", "{model}");
            let (text, _) =
                session.say("Thanks.").await.unwrap_or_else(|error| panic!("{model}, after it: {error}"));
            assert_eq!(text, "I heard: Thanks.", "{model}");
        }
    }
}

/// The models of README's example, as they stand there.
#[tokio::test]
async fn the_readmes_own_models_answer_and_call_tools() {
    let doubles = Doubles::start(script()).await.unwrap();
    let readme = include_str!("../../../README.md");
    let mut blocks = readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let example = blocks.find(|block| block.contains("[[llm]]")).expect("README has an example");
    let example: toml::Table = toml::from_str(example).unwrap();
    let models = example["llm"].as_array().unwrap();
    assert!(models.len() > 1, "one stands behind another");
    for model in models {
        let mut config: Value = serde_json::to_value(model).unwrap();
        config["base_url"] = format!("{}/v1", doubles.http()).into();
        let mut session = Session::new(config.clone());
        let (text, calls) =
            session.say("Can I move it?").await.unwrap_or_else(|error| panic!("{config}: {error}"));
        assert_eq!((text.as_str(), calls.len()), ("One moment.", 1), "{config}");
    }
}

/// A family that the agent's file adds, for a server that refuses what is sent to it without.
#[tokio::test]
async fn users_extend_the_table() {
    let doubles = Doubles::start(script()).await.unwrap();
    let base = format!("{}/mistral/v1", doubles.http());
    let config = json!({"provider": "vllm", "model": "our-own", "base_url": base});
    let refused = Session::new(config.clone()).say("Can I move it?").await.unwrap_err();
    assert!(refused.contains("stream_options"), "{refused}");
    let family = "[[family]]\nmodels = ['our-*']\nwithout = ['stream_options']\nlimit = 'max_tokens'";
    let table = ModelTable::shipped().with(ModelTable::from_toml(family).unwrap());
    let (text, _) = Session::with(config, &table).say("Can I move it?").await.unwrap();
    assert_eq!(text, "One moment.");
}

/// What an adapter without its facts would send is refused, so that the test above shows something.
#[tokio::test]
async fn the_doubles_refuse_what_the_vendors_refuse() {
    let doubles = Doubles::start(script()).await.unwrap();
    let base = format!("{}/v1", doubles.http());
    for (config, words) in [
        (
            json!({"provider": "openai", "model": "gpt-6-luna", "without": ["reasoning_effort"]}),
            "Function tools",
        ),
        (json!({"provider": "openai", "model": "gpt-5-mini", "body": {"temperature": 0.3}}), "temperature"),
        (
            json!({"provider": "openai", "model": "gpt-6-luna", "takes": {"limit": "max_tokens"}}),
            "max_completion_tokens",
        ),
        (
            json!({"provider": "openai", "model": "gpt-6-astra", "body": {"reasoning": {"effort": "none"}}}),
            "not supported with the",
        ),
        (
            json!({"provider": "gemini", "model": "gemini-2.5-pro",
                   "body": {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}}),
            "only works in thinking mode",
        ),
        (
            json!({"provider": "gemini", "model": "gemini-2.5-flash", "body": {"stream": true}}),
            "Unknown name",
        ),
    ] {
        let mut config = config;
        config["base_url"] = base.clone().into();
        let refused = Session::new(config.clone()).say("Can I move it?").await.unwrap_err();
        assert!(refused.contains(words), "{config}: {refused}");
    }
    let takes = json!({"foreign_signature": "nonsense"});
    let mut session = Session::new(
        json!({"provider": "gemini", "model": "gemini-3.8-flash", "base_url": base, "takes": takes}),
    );
    foreign(&mut session);
    assert!(session.ask(ReplyReason::Tool).await.unwrap_err().contains("Corrupted thought signature"));
}
