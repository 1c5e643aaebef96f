//! Agents whose application answers calls by TwiML: its webhook is asked, and the `<ConversationRelay>` that it returns is served by
//! this agent's stages.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use offhook_chain::{Link, LinkConfig, LlmChain};
use offhook_providers::net::{Deadlines, Http, Secret, trace};
use offhook_providers::relay_app::{RelayApp, RelayAppConfig};
use offhook_stage_api::tools::{END_CALL, HANDOFF};
use offhook_stage_api::{LlmCommand, LlmEvent, ToolCall};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Tx};
use offhook_twilio::relay::engine::MayInterrupt;
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::twiml::{RelayAsked, value};
use offhook_twilio::webhook::WebhookForm;

use super::build::APPLICATION;
use super::{Agent, Follows};

/// Longest document taken, as with Twilio.
const LONGEST: usize = 64 * 1024;
/// Argument of the end of a call that its application did not bring to an end: Twilio's error code.
pub(crate) const FAILED: &str = "failed";
/// What the caller's silence is left to: the application.
const NO_CHECK_INS: Duration = Duration::from_secs(24 * 3_600);
/// What an application's `<ConversationRelay>` asks of voices and recognisers, which are the agent's own here.
const NOT_FOLLOWED: [&str; 6] =
    ["ttsprovider", "voice", "transcriptionprovider", "speechmodel", "hints", "interruptsensitivity"];

/// An application's webhook.
pub(crate) struct Webhook {
    pub(crate) url: String,
    key: Option<Secret>,
    http: Http,
    /// Who takes over when the application fails.
    fallbacks: Vec<Link<dyn Llm>>,
    /// There is nobody but the last words: an application that said what to ask then is asked.
    only_last_words: bool,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Webhook").field(&self.url).finish()
    }
}

impl Webhook {
    /// `key`: what the application knows as its Twilio auth token. `fallbacks` end with the last words.
    pub(super) fn new(
        url: &str,
        timeout: Duration,
        key: Option<Secret>,
        fallbacks: Vec<Link<dyn Llm>>,
    ) -> anyhow::Result<Self> {
        let uri: hyper::Uri = url.parse().with_context(|| format!("`webhook` is no address: {url}"))?;
        anyhow::ensure!(
            matches!(uri.scheme_str(), Some("https" | "http")),
            "`webhook` must begin with https:// (or http:// for tests), not {url}"
        );
        let deadlines = Deadlines { first: timeout, gap: timeout, ..Deadlines::default() };
        let only_last_words = fallbacks.len() == 1;
        Ok(Self {
            url: url.to_owned(),
            key,
            http: Http::new("webhook", deadlines),
            fallbacks,
            only_last_words,
        })
    }

    /// Asks the application what to do with a call, as Twilio would: a signed form, answered with a document.
    ///
    /// # Errors
    /// It can't be reached, refused, or its answer is too long.
    pub(crate) async fn ask(&self, url: &str, form: &WebhookForm) -> Result<String, StageError> {
        let mut request = Request::post(url)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("user-agent", "TwilioProxy/1.1")
            .header("accept", "*/*");
        if let Some(key) = &self.key {
            request =
                request.header("x-twilio-signature", sign(&AuthToken::new(key.expose()), url, form.params()));
        }
        let unusable = |error: hyper::http::Error| StageError::Unavailable {
            stage: "webhook".to_owned(),
            what: format!("`{url}` can't be asked: {error}"),
            hint: "correct the address".to_owned(),
        };
        let mut request = request.body(Full::new(Bytes::from(form.encode()))).map_err(unusable)?;
        trace::add(&mut request, form.get("CallSid").unwrap_or_default());
        let octets = self.http.send(request).await?.bytes(LONGEST).await?;
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }

    /// The agent of one session: this agent's stages, with the application's words, greeting and manners.
    ///
    /// # Errors
    /// What the application asks for can't be.
    pub(crate) fn agent_for(
        &self,
        agent: &Agent,
        asked: &RelayAsked,
        session: &str,
    ) -> anyhow::Result<Agent> {
        let ignored: Vec<&str> = NOT_FOLLOWED.into_iter().filter(|name| asked.get(name).is_some()).collect();
        if !ignored.is_empty() {
            tracing::info!(
                session,
                "the application asks for {}: voices and recognisers are those of the agent `{}`",
                ignored.join(", "),
                agent.name
            );
        }
        let app = RelayApp::new(settings(asked), self.key.as_ref())?.in_session(session);
        let follows = Follows {
            interruptible: app.interrupted_by(),
            speculates: false,
            words: app.follows_words(),
            greeting: asked
                .get("welcomegreetinginterruptible")
                .and_then(MayInterrupt::parse)
                .map(offhook_providers::relay_app::interruptible),
            caller_silent: Some(NO_CHECK_INS),
            speech_timeout: asked
                .get("speechtimeout")
                .and_then(|ms| ms.trim().parse().ok())
                .map(|ms: u64| Duration::from_millis(ms.clamp(600, 5_000))),
        };
        let mut links: Vec<Link<dyn Llm>> =
            vec![Link::new(Arc::new(app), APPLICATION, &LinkConfig::default())];
        if self.only_last_words && asked.action.is_some() {
            links.push(Link::new(Arc::new(Ended), APPLICATION, &LinkConfig::default()));
        } else {
            links.extend(self.fallbacks.iter().cloned());
        }
        let mut agent = agent.clone();
        agent.stages.llm = Arc::new(LlmChain::new(links)?);
        agent.follows = Some(follows);
        agent.greeting =
            asked.get("welcomegreeting").map(str::to_owned).filter(|text| !text.trim().is_empty());
        if let Some(tag) = asked.get("transcriptionlanguage").or_else(|| asked.get("language")) {
            tag.clone_into(&mut agent.language);
        }
        for language in &asked.languages {
            if let Some(code) = value(language, "code") {
                agent.languages.entry(code.to_owned()).or_default();
            }
        }
        Ok(agent)
    }
}

/// A `<ConversationRelay>`'s attributes in the words of an agent's file, with Twilio's defaults.
fn settings(asked: &RelayAsked) -> RelayAppConfig {
    let text = |name: &str, usual: &str| {
        asked.get(name).filter(|text| MayInterrupt::parse(text).is_some()).unwrap_or(usual).to_owned()
    };
    let events = ["events", "debug"].into_iter().filter_map(|name| asked.get(name));
    RelayAppConfig {
        url: asked.url.clone(),
        parameters: asked.parameters.iter().cloned().collect(),
        partial_prompts: asked.is("partialprompts").unwrap_or(false),
        dtmf_detection: asked.is("dtmfdetection").unwrap_or(false),
        events: events.flat_map(|names| names.split([' ', ','])).map(str::to_owned).collect(),
        interruptible: text("interruptible", "any"),
        report_input_during_agent_speech: text("reportinputduringagentspeech", "none"),
        preemptible: asked.is("preemptible").unwrap_or(false),
        application_reconnect: asked.is("applicationreconnect").unwrap_or(false),
        tts_language: asked.get("ttslanguage").map(str::to_owned),
        ..RelayAppConfig::default()
    }
}

/// The end of a session whose application failed: its action is asked what is next, as Twilio would ask.
struct Ended;

impl Llm for Ended {
    fn name(&self) -> &str {
        "session-failed"
    }

    fn run(
        &self,
        _call: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let LlmCommand::Respond(request) = command else { continue };
                let reply = request.reply;
                let arguments = serde_json::json!({ HANDOFF: null, FAILED: 64_105 });
                let call = ToolCall { id: String::new(), name: END_CALL.to_owned(), arguments };
                for event in
                    [LlmEvent::Tool { reply, call }, LlmEvent::Silent { reply }, LlmEvent::Done { reply }]
                {
                    if events.send(event).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }
}
