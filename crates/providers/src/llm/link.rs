//! A model behind a network: its settings checked, its address and headers ready.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use offhook_stage_api::{LlmCommand, LlmEvent, ReplyRequest};
use offhook_stages::{BoxFuture, CallInfo, Distance, Llm, Rx, StageError, Tx};
use serde_json::Value;

use super::config::LlmConfig;
use super::memory::Memory;
use super::models::{ModelFacts, ModelTable};
use super::prompt::Prompt;
use super::protocol::LlmProtocol;
use super::provider::LlmProvider;
use super::{ask, run};
use crate::net::{Http, Secret, identity, join, post_json, trace};

/// A model, ready to serve calls.
#[derive(Clone, Debug)]
pub struct NetworkLlm(pub(super) Arc<Inner>);

#[derive(Clone, Debug)]
pub(super) struct Inner {
    pub(super) name: String,
    pub(super) protocol: LlmProtocol,
    config: LlmConfig,
    facts: ModelFacts,
    url: String,
    headers: Vec<(String, String)>,
    pub(super) prompt: Prompt,
    pub(super) http: Http,
    /// Whether the model's text begins inside of a thought; learnt from its replies.
    pub(super) unopened: Arc<AtomicBool>,
    /// Signs which call is told of.
    pub(super) secret: Option<Secret>,
}

impl NetworkLlm {
    /// Checks the configuration, and makes the model. `key` is what `key_file` or `key_env` hold; reading them is the
    /// application's affair.
    ///
    /// # Errors
    /// [`StageError::Unavailable`] when the model's id, the address or a needed key is missing.
    pub fn new(config: LlmConfig, key: Option<&Secret>, prompt: Prompt) -> Result<Self, StageError> {
        Self::with_models(config, key, prompt, &ModelTable::shipped())
    }

    /// The same, with a table of models of the application's own.
    ///
    /// # Errors
    /// As for [`NetworkLlm::new`].
    pub fn with_models(
        config: LlmConfig,
        key: Option<&Secret>,
        prompt: Prompt,
        models: &ModelTable,
    ) -> Result<Self, StageError> {
        let provider = config.provider;
        let name = config.name.clone().unwrap_or_else(|| provider.name().to_owned());
        let missing = |what: &str, hint: String| StageError::Unavailable {
            stage: name.clone(),
            what: what.to_owned(),
            hint,
        };
        if config.model.trim().is_empty() {
            return Err(missing("it has no model", "set `model` to the id of one".to_owned()));
        }
        let (protocol, facts) = models.of(&config);
        if !facts.writes_text() {
            let hint = "set it in `[realtime]`, or choose a model that writes text".to_owned();
            return Err(missing("its model speaks itself, and writes no text", hint));
        }
        if config.tools && facts.tools == Some(false) && !prompt.tools.is_empty() {
            let hint = "choose another model or `protocol`, or set `tools = false`".to_owned();
            return Err(missing("its model takes no tools over this protocol", hint));
        }
        if config.temperature.is_some() && facts.temperature == Some(false) {
            tracing::warn!(stage = %name, model = %config.model, "the model refuses a temperature: it isn't sent");
        }
        let Some(base) = config.base_url.clone().or_else(|| usual_address(&config, protocol)) else {
            let hint = "set `base_url`, e.g. https://RESOURCE.openai.azure.com/openai/v1".to_owned();
            return Err(missing("it has no address", hint));
        };
        let key = key.filter(|key| !key.is_empty());
        let own_server = config.base_url.is_some();
        if let Some(env) = config.key_env.as_deref().or(provider.key_env())
            && key.is_none()
            && !own_server
        {
            let hint = format!("set the environment variable {env}, or `key_file`");
            return Err(missing("it has no key", hint));
        }
        let usual = protocol.path(&config.model);
        let mut url = join(&base, config.path.as_deref().unwrap_or(&usual));
        for (parameter, value) in &config.query {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!("{parameter}={value}"));
        }
        let headers = headers(&config, protocol, key);
        let http = Http::new(&name, config.deadlines).repeating();
        let unopened = Arc::new(AtomicBool::new(facts.opens_thinking == Some(true)));
        let model =
            Inner { name, protocol, config, facts, url, headers, prompt, http, unopened, secret: None };
        // What is wrong with the address or a header shows now, not in the first call.
        model.request(&Value::Null)?;
        Ok(Self(Arc::new(model)))
    }

    /// Signs which call a server of one's own is told of (`tell_call`).
    #[must_use]
    pub fn signed_with(mut self, secret: Option<Secret>) -> Self {
        Arc::make_mut(&mut self.0).secret = secret;
        self
    }
}

/// What a server of one's own is told of a call, as Chat Completions' `metadata`: text of 512 characters at most.
fn metadata(call: &CallInfo) -> Value {
    let facts = &call.facts;
    let parameters = serde_json::to_string(&*call.parameters).unwrap_or_default();
    let all = [
        ("call", &*call.call),
        ("from", facts.from.as_str()),
        ("to", facts.to.as_str()),
        ("direction", facts.direction.as_str()),
        ("agent", facts.agent.as_str()),
        ("tenant", facts.tenant.as_str()),
        ("language", &*call.language),
        ("parameters", if parameters == "{}" { "" } else { parameters.as_str() }),
    ];
    let told = all.into_iter().filter(|(_, text)| !text.is_empty() && text.chars().count() <= 512);
    Value::Object(told.map(|(name, text)| (name.to_owned(), text.into())).collect())
}

fn usual_address(config: &LlmConfig, protocol: LlmProtocol) -> Option<String> {
    let base = config.provider.base_url()?;
    // Gemini's dialect of OpenAI's protocols has an address of its own.
    let own = matches!(protocol, LlmProtocol::GenerateContent | LlmProtocol::Interactions);
    let openai = config.provider == LlmProvider::Gemini && !own;
    Some(if openai { join(base, "openai") } else { base.to_owned() })
}

fn headers(config: &LlmConfig, protocol: LlmProtocol, key: Option<&Secret>) -> Vec<(String, String)> {
    let mut headers = vec![("accept".to_owned(), "text/event-stream".to_owned())];
    if protocol == LlmProtocol::Messages {
        headers.push(("anthropic-version".to_owned(), config.version.clone()));
    }
    if protocol == LlmProtocol::Interactions {
        headers.push(("api-revision".to_owned(), "2026-05-20".to_owned()));
    }
    if let Some(key) = key {
        let name =
            config.key_header.as_deref().unwrap_or(config.provider.key_header(protocol)).to_lowercase();
        let bearer = if name == "authorization" { "Bearer " } else { "" };
        headers.push((name, format!("{bearer}{}", key.expose())));
    }
    headers.extend(config.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())));
    headers
}

impl Inner {
    pub(super) fn request(&self, body: &Value) -> Result<Request<Full<Bytes>>, StageError> {
        post_json(&self.name, &self.url, &self.headers, body)
    }

    /// The request for a reply.
    pub(super) fn ask(&self, call: &CallInfo, mut body: Value) -> Result<Request<Full<Bytes>>, StageError> {
        if !self.config.tell_call {
            return self.request(&body);
        }
        if let Value::Object(fields) = &mut body {
            fields.insert("metadata".to_owned(), metadata(call));
        }
        let mut asked = self.request(&body)?;
        let context = identity::context(call, &[]);
        trace::add(&mut asked, &call.call);
        identity::identify(&mut asked, body.to_string().as_bytes(), &context, self.secret.as_ref());
        Ok(asked)
    }

    pub(super) fn body(&self, of_call: &str, request: &ReplyRequest, memory: &Memory) -> Value {
        ask::body(self.protocol, &self.config, &self.facts, &self.prompt, of_call, request, memory)
    }
}

impl Llm for NetworkLlm {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn distance(&self) -> Distance {
        self.0.http.distance()
    }

    fn warm(&self, _call: &CallInfo) -> BoxFuture<()> {
        let model = Arc::clone(&self.0);
        Box::pin(async move {
            if let Ok(url) = model.url.parse() {
                model.http.open_ahead(&url).await;
            }
        })
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        Box::pin(run::serve(Arc::clone(&self.0), call, commands, events))
    }
}
