//! Language models over the network: OpenAI's Chat Completions in eight dialects, and
//! Anthropic's Messages. Both are streamed; what is written is handed on as it comes.

mod anthropic;
mod call_ids;
mod config;
mod messages;
mod models;
mod openai;
mod output;
mod prompt;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmCommand, LlmEvent, ReplyRequest, ToolUse};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, ToolSpec, Tx, Usage};
use serde_json::Value;

pub use call_ids::CallIdFormat;
pub use config::{LlmConfig, LlmProvider};
pub(crate) use messages::{Message, messages, note, note_of};
pub use models::{ModelFacts, ModelFamily, ModelTable};
pub use prompt::Prompt;

use crate::net::{Http, Secret, identity, join, post_json, sse};
use output::Output;
use writer::Writer;

/// A model, ready to serve calls.
#[derive(Clone, Debug)]
pub struct NetworkLlm(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    name: String,
    config: LlmConfig,
    facts: ModelFacts,
    url: String,
    headers: Vec<(String, String)>,
    prompt: Prompt,
    http: Http,
    /// Signs which call is told of.
    secret: Option<Secret>,
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
        let facts = models.facts(&config);
        if config.tools && facts.tools == Some(false) && !prompt.tools.is_empty() {
            let hint = "choose another model, or set `tools = false`".to_owned();
            return Err(missing("its model takes no tools over this protocol", hint));
        }
        if config.temperature.is_some() && facts.temperature == Some(false) {
            tracing::warn!(stage = %name, model = %config.model, "the model refuses a temperature: it isn't sent");
        }
        let base = config.base_url.as_deref().or(provider.base_url());
        let Some(base) = base else {
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
        let usual = if provider == LlmProvider::Anthropic { "/messages" } else { "/chat/completions" };
        let mut url = join(base, config.path.as_deref().unwrap_or(usual));
        for (parameter, value) in &config.query {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!("{parameter}={value}"));
        }
        let headers = headers(&config, key);
        let http = Http::new(&name, config.deadlines);
        let model = Inner { name, config, facts, url, headers, prompt, http, secret: None };
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

fn headers(config: &LlmConfig, key: Option<&Secret>) -> Vec<(String, String)> {
    let mut headers = vec![("accept".to_owned(), "text/event-stream".to_owned())];
    if config.provider == LlmProvider::Anthropic {
        headers.push(("anthropic-version".to_owned(), config.version.clone()));
    }
    if let Some(key) = key {
        let name = config.key_header.as_deref().unwrap_or(config.provider.key_header()).to_lowercase();
        let bearer = if name == "authorization" { "Bearer " } else { "" };
        headers.push((name, format!("{bearer}{}", key.expose())));
    }
    headers.extend(config.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())));
    headers
}

/// Everything that a request is made of.
struct Ask<'a> {
    config: &'a LlmConfig,
    facts: &'a ModelFacts,
    prompt: &'a Prompt,
    of_call: &'a str,
    conversation: &'a [Message],
    tools: ToolUse,
}

impl Ask<'_> {
    /// The tools that are offered.
    fn offered(&self) -> &[ToolSpec] {
        let takes = self.config.tools && self.facts.tools != Some(false);
        if takes { &self.prompt.tools } else { &[] }
    }

    /// The most tokens of the answer, with thoughts that can't be turned off.
    fn limit(&self) -> u32 {
        self.config.max_tokens.saturating_add(self.facts.thinks.unwrap_or(0))
    }

    fn temperature(&self) -> Option<f64> {
        self.config.temperature.filter(|_| self.facts.temperature != Some(false))
    }
}

impl Inner {
    fn request(&self, body: &Value) -> Result<Request<Full<Bytes>>, StageError> {
        post_json(&self.name, &self.url, &self.headers, body)
    }

    fn body(&self, of_call: &str, request: &ReplyRequest) -> Value {
        let ids = self.facts.call_ids.unwrap_or_default();
        let ask = Ask {
            config: &self.config,
            facts: &self.facts,
            prompt: &self.prompt,
            of_call,
            conversation: &messages(request, ids),
            tools: request.tools,
        };
        let mut body = match self.config.provider {
            LlmProvider::Anthropic => anthropic::body(&ask),
            _ => openai::body(&ask),
        };
        if let Value::Object(fields) = &mut body {
            let known = self.facts.send.iter().flatten();
            fields.extend(known.map(|(name, value)| (name.clone(), value.clone())));
            // A model that has to speak must not be made to call a tool.
            let must_speak = request.tools == ToolUse::None && fields.contains_key("tool_choice");
            let added = self.config.body.iter().filter(|(name, _)| !must_speak || *name != "tool_choice");
            fields.extend(added.map(|(name, value)| (name.clone(), value.clone())));
            fields.retain(|name, _| !self.config.without.contains(name));
        }
        body
    }
}

/// The reader of either protocol.
enum Reader {
    OpenAi(openai::Reader),
    Anthropic(anthropic::Reader),
}

impl Reader {
    fn new(provider: LlmProvider, stage: &str) -> Self {
        match provider {
            LlmProvider::Anthropic => Self::Anthropic(anthropic::Reader::new(stage)),
            _ => Self::OpenAi(openai::Reader::new(stage)),
        }
    }

    fn event(&mut self, event: &sse::Event, out: &mut Vec<Output>) -> Result<(), StageError> {
        match self {
            Self::OpenAi(reader) => reader.event(event, out),
            Self::Anthropic(reader) => reader.event(event, out),
        }
    }

    fn end(&mut self, out: &mut Vec<Output>) -> Result<(), StageError> {
        match self {
            Self::OpenAi(reader) => reader.end(out),
            Self::Anthropic(reader) => reader.end(out),
        }
    }

    const fn is_over(&self) -> bool {
        match self {
            Self::OpenAi(reader) => reader.is_over(),
            Self::Anthropic(reader) => reader.is_over(),
        }
    }

    const fn is_finished(&self) -> bool {
        match self {
            Self::OpenAi(reader) => reader.is_finished(),
            Self::Anthropic(reader) => reader.is_finished(),
        }
    }

    const fn usage(&self) -> Usage {
        match self {
            Self::OpenAi(reader) => reader.usage,
            Self::Anthropic(reader) => reader.usage,
        }
    }
}

impl Llm for NetworkLlm {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn warm(&self) -> BoxFuture<()> {
        let model = Arc::clone(&self.0);
        if model.config.base_url.is_some() {
            // A server of one's own gets no request that nobody made.
            return Box::pin(std::future::ready(()));
        }
        Box::pin(async move {
            if let Ok(url) = model.url.parse() {
                model.http.warm(&url).await;
            }
        })
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let mut model = Arc::clone(&self.0);
        if let Some(prompt) = model.prompt.with_parameters(&call) {
            Arc::make_mut(&mut model).prompt = prompt;
        }
        if let Some(prompt) = model.prompt.with_goal(&call) {
            Arc::make_mut(&mut model).prompt = prompt;
        }
        Box::pin(async move {
            let of_call: Arc<str> = Prompt::of_call(&call).into();
            // The reply that is being written. Dropping it ends the request at the provider.
            let mut writing: Option<(ReplyId, BoxFuture<()>)> = None;
            loop {
                let command = tokio::select! {
                    command = commands.recv() => command,
                    () = written(&mut writing) => {
                        writing = None;
                        continue;
                    }
                };
                match command {
                    None => return Ok(()),
                    Some(LlmCommand::Respond(request)) => {
                        let reply = request.reply;
                        let (model, of_call) = (Arc::clone(&model), Arc::clone(&of_call));
                        let (call, events) = (call.clone(), events.clone());
                        writing = Some((reply, Box::pin(write(model, call, of_call, request, events))));
                    }
                    Some(LlmCommand::Cancel { reply }) => {
                        if writing.as_ref().is_some_and(|(id, _)| *id == reply) {
                            writing = None;
                        }
                    }
                    // What was heard comes with the next request's history, results of tools too.
                    Some(
                        LlmCommand::Commit { .. }
                        | LlmCommand::Interrupted { .. }
                        | LlmCommand::ToolResult(_)
                        | LlmCommand::News(_),
                    ) => {}
                }
            }
        })
    }
}

/// Waits until the reply is written; for ever, if there is none.
async fn written(writing: &mut Option<(ReplyId, BoxFuture<()>)>) {
    match writing {
        Some((_, writing)) => writing.await,
        None => std::future::pending().await,
    }
}

/// Has one reply written, and tells how it ended.
async fn write(
    model: Arc<Inner>,
    call: CallInfo,
    of_call: Arc<str>,
    request: Arc<ReplyRequest>,
    events: Tx<LlmEvent>,
) {
    let reply = request.reply;
    let mut bill = Bill { call, name: model.name.clone(), usage: Usage { requests: 1, ..Usage::default() } };
    let of_call = Prompt::in_language(&of_call, &request);
    let asked = ask(&model, &bill.call, &of_call, &request);
    let last = match stream(&model, asked, &request, &events, &mut bill.usage).await {
        Ok(()) => LlmEvent::Done { reply },
        Err(error) => {
            bill.usage.failures += 1;
            LlmEvent::Failed { reply, failure: error.to_failure() }
        }
    };
    // A call that is gone needs no answer.
    let _gone = events.send(last).await;
}

/// Writes down what a request used when it is over, also when it was given up.
struct Bill {
    call: CallInfo,
    name: String,
    usage: Usage,
}

impl Drop for Bill {
    fn drop(&mut self) {
        self.call.meter.add(&self.name, |total| {
            total.requests += self.usage.requests;
            total.failures += self.usage.failures;
            total.input_tokens += self.usage.input_tokens;
            total.cached_tokens += self.usage.cached_tokens;
            total.output_tokens += self.usage.output_tokens;
        });
    }
}

/// What may come behind a whole answer, its usage for one, comes so soon or is done without.
const END_WITHIN: Duration = Duration::from_millis(300);
/// Longest answer of a server that doesn't stream.
const LONGEST_WHOLE: usize = 1024 * 1024;

/// The request for a reply.
fn ask(
    model: &Inner,
    call: &CallInfo,
    of_call: &str,
    request: &ReplyRequest,
) -> Result<Request<Full<Bytes>>, StageError> {
    let mut body = model.body(of_call, request);
    if !model.config.tell_call {
        return model.request(&body);
    }
    if let Value::Object(fields) = &mut body {
        fields.insert("metadata".to_owned(), metadata(call));
    }
    let mut asked = model.request(&body)?;
    let context = identity::context(call, &[]);
    identity::identify(&mut asked, body.to_string().as_bytes(), &context, model.secret.as_ref());
    Ok(asked)
}

async fn stream(
    model: &Inner,
    asked: Result<Request<Full<Bytes>>, StageError>,
    request: &ReplyRequest,
    events: &Tx<LlmEvent>,
    usage: &mut Usage,
) -> Result<(), StageError> {
    let mut answer = model.http.send(asked?).await?;
    if answer.header("content-type").is_some_and(|kind| kind.contains("text/html")) {
        let what = "a web page in place of an answer; is `base_url` right?".to_owned();
        return Err(StageError::Garbage { stage: model.name.clone(), what });
    }
    let mut sse = sse::Sse::default();
    let reader = Reader::new(model.config.provider, &model.name);
    let mut writer = Writer::new(request, reader, &model.name);
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        // An error in spite of the status; or a server that can't stream.
        let data = String::from_utf8_lossy(&answer.bytes(LONGEST_WHOLE).await?).into_owned();
        let read = writer.read(&sse::Event { data, ..sse::Event::default() }, events).await;
        *usage = Usage { requests: 1, ..writer.reader.usage() };
        read?;
        return writer.end(events).await;
    }
    let mut all = Ok(());
    while all.is_ok() && !writer.reader.is_over() {
        let octets = if writer.reader.is_finished() {
            // The last sentence waits for this.
            match tokio::time::timeout(END_WITHIN, answer.chunk()).await {
                Ok(Ok(octets)) => octets,
                Ok(Err(_)) | Err(_) => None,
            }
        } else {
            answer.chunk().await?
        };
        let Some(octets) = octets else { break };
        sse.push(&octets);
        while let Some(event) = sse.next_event().filter(|_| all.is_ok()) {
            all = writer.read(&event, events).await;
        }
        *usage = Usage { requests: 1, ..writer.reader.usage() };
    }
    if let Some(event) = sse.finish().filter(|_| all.is_ok()) {
        all = writer.read(&event, events).await;
    }
    *usage = Usage { requests: 1, ..writer.reader.usage() };
    all?;
    writer.end(events).await?;
    // The last octets behind the end are read, so that the connection can be used again.
    if let Ok(rest) = tokio::time::timeout(Duration::from_millis(200), answer.bytes(64 * 1024)).await {
        let _nothing_of_interest = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
