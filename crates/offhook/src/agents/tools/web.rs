//! A tool on the web: asked over HTTP, with facts of the call that the model can't touch, signed; its answer told to the model.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};
use offhook_providers::net::identity::{context, identify};
use offhook_providers::net::{Deadlines, Http, Secret, post_json, trace};
use offhook_stage_api::{FailureKind, ToolCall};
use offhook_stages::{CallInfo, StageError, ToolSpec};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answer::{ToolAnswer, ToolFailure};
use super::facts::{self, escaped, filled, filled_address, replaced};
use super::schema::Arguments;
use crate::agents::file::{Method, ToolTable};

/// Longest answer read.
const LONGEST_ANSWER: usize = 64 * 1024;
/// The longest time that a tool may have: longer nobody waits on the telephone.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(55);
/// Before the first repetition; each further one waits twice as long.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Requests of one tool at the same time, over all calls, where its table doesn't say.
const USUAL_CONCURRENCY: usize = 64;

/// A tool on the web.
#[derive(Debug)]
pub(super) struct WebTool {
    table: ToolTable,
    headers: Vec<(String, String)>,
    arguments: Arguments,
    secret: Option<Secret>,
    http: Http,
    room: Semaphore,
}

impl WebTool {
    /// Checks a tool, and reads its keys from the environment.
    pub(super) fn new(table: &ToolTable) -> anyhow::Result<Self> {
        let headers = table.headers.iter().map(|(name, value)| {
            facts::check(value)?;
            Ok((name.to_lowercase(), environment(value).with_context(|| format!("its header `{name}`"))?))
        });
        let headers = headers.collect::<anyhow::Result<Vec<_>>>()?;
        let limit = table.timeout;
        ensure!(limit <= LONGEST_TIMEOUT, "its `timeout` is {limit:?}, and {LONGEST_TIMEOUT:?} is the most");
        ensure!(
            table.retries == 0 || table.safe_to_repeat,
            "`retries` is for tools that may be asked twice without harm: say so by `safe_to_repeat = true`"
        );
        for (name, value) in &table.fixed {
            facts::check(value).with_context(|| format!("its fixed argument `{name}`"))?;
        }
        facts::check(&table.url)?;
        if let Some(sound) = &table.sound {
            let https = sound.parse::<hyper::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https"));
            ensure!(https, "its sound `{sound}` is no https address: Twilio fetches it from there");
        }
        let secret = std::env::var(table.secret_env.as_deref().unwrap_or("OFFHOOK_SIGNING_SECRET"));
        let secret = secret.ok().map(|secret| Secret::new(&secret)).filter(|secret| !secret.is_empty());
        if let Some(variable) = &table.secret_env {
            ensure!(secret.is_some(), "the environment variable {variable}, its `secret_env`, is not set");
        }
        let schema = serde_json::to_value(&table.parameters)?;
        let http = Http::new(&table.name, Deadlines { first: limit, gap: limit, ..Deadlines::default() });
        let tool = Self {
            headers,
            arguments: Arguments::new(&schema, &table.fixed)?,
            secret,
            http: if table.safe_to_repeat { http.repeating() } else { http },
            room: Semaphore::new(table.concurrency.unwrap_or(USUAL_CONCURRENCY).max(1)),
            table: table.clone(),
        };
        // What is wrong with the address or a header shows now, not in the first call.
        tool.request(&Value::Null, &CallInfo::default(), "")?;
        Ok(tool)
    }

    /// As the model is told of it.
    pub(super) fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.table.name.clone(),
            description: self.table.description.clone(),
            parameters: self.arguments.shown.clone(),
        }
    }

    /// Asks it.
    ///
    /// # Errors
    /// Why there is no answer, in words for the model.
    pub(super) async fn run(&self, call: &ToolCall, of: &CallInfo) -> Result<ToolAnswer, ToolFailure> {
        let arguments = self.arguments.check(&call.arguments).map_err(ToolFailure::arguments)?;
        let limit = self.table.timeout;
        let until = Instant::now() + limit;
        let late = || StageError::TooSlow { stage: self.table.name.clone(), what: "answer", limit };
        let asked = async {
            let _room = self.room.acquire().await;
            let mut left = self.table.retries;
            let mut wait = AGAIN_AFTER;
            loop {
                // The same request, with the same key: whoever has done it already, doesn't do it twice.
                let error = match self.once(&arguments, of, &call.id).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
                let may_help =
                    matches!(error.kind(), FailureKind::Broken | FailureKind::Busy | FailureKind::TooSlow);
                if left == 0 || !may_help || Instant::now() + wait >= until {
                    return Err(error);
                }
                tracing::info!(call = %of.call, tool = self.table.name, %error, "the tool is asked again");
                left -= 1;
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        };
        let answer = tokio::time::timeout_at(until, asked).await.unwrap_or_else(|_| Err(late()));
        answer.map_err(|error| ToolFailure::from(&error))
    }

    async fn once(&self, arguments: &Value, of: &CallInfo, id: &str) -> Result<ToolAnswer, StageError> {
        let mut answer = self.http.send(self.request(arguments, of, id)?).await?;
        Ok(ToolAnswer::read(&answer.bytes(LONGEST_ANSWER).await?))
    }

    fn request(
        &self,
        arguments: &Value,
        of: &CallInfo,
        id: &str,
    ) -> Result<Request<Full<Bytes>>, StageError> {
        let mut arguments = arguments.as_object().cloned().unwrap_or_default();
        for (name, value) in &self.table.fixed {
            arguments.insert(name.clone(), filled(value, of).into());
        }
        let (url, left) = address(&filled_address(&self.table.url, of), &arguments);
        let name = &self.table.name;
        let headers: Vec<(String, String)> =
            self.headers.iter().map(|(name, value)| (name.clone(), filled(value, of))).collect();
        let mut body = Bytes::new();
        let mut request = if self.table.method == Method::Post {
            let arguments = Value::Object(arguments);
            body = Bytes::from(arguments.to_string());
            post_json(name, &url, &headers, &arguments)?
        } else {
            let sign = if url.contains('?') { '&' } else { '?' };
            let url = if left.is_empty() { url } else { format!("{url}{sign}{}", left.join("&")) };
            let mut request = post_json(name, &url, &headers, &Value::Null)?;
            *request.method_mut() = hyper::Method::GET;
            *request.body_mut() = Full::default();
            request.headers_mut().remove(hyper::header::CONTENT_TYPE);
            request
        };
        if !id.is_empty() {
            let key = format!("{}-{id}", of.call);
            if let Ok(value) = HeaderValue::from_str(&key) {
                request.headers_mut().insert(HeaderName::from_static("idempotency-key"), value);
            }
        }
        trace::add(&mut request, &of.call);
        identify(&mut request, &body, &context(of, &[("tool_call", id)]), self.secret.as_ref());
        Ok(request)
    }
}

/// An address with its arguments in it, and those that it has no place for, as they stand in a query. A place that the model left
/// out is empty.
fn address(template: &str, arguments: &Map<String, Value>) -> (String, Vec<String>) {
    let text: BTreeMap<&str, String> = arguments
        .iter()
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.as_str(), escaped(&text))
        })
        .collect();
    let url = replaced(template, |name| Some(text.get(name).cloned().unwrap_or_default()));
    let left = text.iter().filter(|(name, _)| !template.contains(&format!("{{{name}}}")));
    (url, left.map(|(name, text)| format!("{}={text}", escaped(name))).collect())
}

/// Puts environment variables in: `$NAME`, up to the first character that no name has.
pub(super) fn environment(value: &str) -> anyhow::Result<String> {
    let mut parts = value.split('$');
    let mut filled = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        let held =
            std::env::var(name).with_context(|| format!("the environment variable {name} is not set"))?;
        filled.push_str(held.trim());
        filled.push_str(rest);
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offhook_stages::CallFacts;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn tool(more: &str) -> anyhow::Result<WebTool> {
        WebTool::new(&toml::from_str(&format!("name = \"find\"\ndescription = \"\"\n{more}")).unwrap())
    }

    fn call() -> CallInfo {
        let facts = CallFacts { from: "+1415".into(), ..CallFacts::default() };
        CallInfo { call: "CA1".into(), facts: Arc::new(facts), ..CallInfo::default() }
    }

    #[test]
    fn arguments_go_into_the_address_the_query_or_the_body() {
        let arguments = json!({"id": "a/b c", "day": "mon&tue", "n": 2, "a&b": "x"});
        let url = |method: &str, url: &str| {
            let tool = tool(&format!("url = \"{url}\"\nmethod = \"{method}\"")).unwrap();
            tool.request(&arguments, &call(), "").unwrap().uri().to_string()
        };
        assert_eq!(
            url("GET", "https://a.example/x/{id}?v=1"),
            "https://a.example/x/a%2Fb%20c?v=1&a%26b=x&day=mon%26tue&n=2"
        );
        assert_eq!(url("POST", "https://a.example/x/{id}/{gone}"), "https://a.example/x/a%2Fb%20c/");
        assert_eq!(url("POST", "https://a.example/{call.from}"), "https://a.example/%2B1415");
    }

    #[test]
    fn a_request_hangs_below_its_calls_trace() {
        trace::install(|call| Some(format!("of {call}")));
        let tool = tool("url = \"https://a.example/\"").unwrap();
        let request = tool.request(&json!({}), &call(), "").unwrap();
        assert_eq!(request.headers()[trace::TRACEPARENT], "of CA1");
    }

    #[test]
    fn what_would_go_wrong_in_a_call_is_named_before() {
        let error =
            |more: &str| format!("{:#}", tool(&format!("url = \"https://a.example\"\n{more}")).unwrap_err());
        assert!(error("retries = 1").contains("safe_to_repeat"));
        assert!(error("timeout = \"2m\"").contains("55s"));
        assert!(error("[fixed]\ncaller = \"{call.form}\"").contains("call.form"));
        assert!(error("secret_env = \"OFFHOOK_NO_SUCH\"").contains("OFFHOOK_NO_SUCH"));
        assert!(error("[parameters]\ntype = \"nonsense\"").contains("JSON Schema"));
    }

    #[test]
    fn keys_come_from_the_environment() {
        assert_eq!(environment("Bearer x").unwrap(), "Bearer x");
        let path = std::env::var("PATH").unwrap();
        assert_eq!(environment("a $PATH.").unwrap(), format!("a {}.", path.trim()));
        assert!(environment("$OFFHOOK_NO_SUCH").unwrap_err().to_string().contains("OFFHOOK_NO_SUCH"));
    }

    /// Requests that came: head in lower case, and body.
    type Log = Arc<std::sync::Mutex<Vec<(String, String)>>>;

    /// A server that fails so often, and keeps what it was sent.
    async fn server(failures: usize) -> (String, Log) {
        let log = Log::default();
        let seen = Arc::clone(&log);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tables", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = String::new();
                loop {
                    let mut buffer = [0; 4_096];
                    let read = stream.read(&mut buffer).await.unwrap();
                    request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
                    let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
                    let length = head
                        .to_lowercase()
                        .split("content-length: ")
                        .nth(1)
                        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
                    if body.len() >= length {
                        break;
                    }
                }
                let (head, body) = request.split_once("\r\n\r\n").unwrap();
                let count = {
                    let mut seen = seen.lock().unwrap();
                    seen.push((head.to_owned(), body.to_owned()));
                    seen.len()
                };
                let status = if count <= failures { "503 Busy" } else { "200 OK" };
                let answer =
                    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 10\r\n\r\ntwo tables");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (url, log)
    }

    fn header(head: &str, name: &str) -> String {
        let found = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("no {name} in {head}")).1.to_owned()
    }

    #[tokio::test]
    async fn a_tool_gets_facts_that_the_model_cannot_touch_and_is_repeated_only_where_that_is_safe() {
        let call_of = |arguments| ToolCall { id: "call_1".into(), name: "find".into(), arguments };
        let (url, log) = server(1).await;
        let asked = || log.lock().unwrap().len();
        let fixed = "[fixed]\ncaller = \"{call.from}\"\n";
        let schema = "[parameters]\ntype = \"object\"\nproperties.day = { type = \"string\" }\n";
        let safe =
            tool(&format!("url = \"{url}\"\nretries = 2\nsafe_to_repeat = true\n{fixed}{schema}")).unwrap();
        let spoofed = json!({"day": "monday", "caller": "+1999", "call.from": "x"});
        let answer = safe.run(&call_of(spoofed), &call()).await.unwrap();
        assert_eq!((answer.result.as_str(), asked()), ("two tables", 2));
        let seen = log.lock().unwrap().clone();
        let (head, body) = &seen[1];
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({"day": "monday", "caller": "+1415"}));
        assert_eq!(header(head, "idempotency-key"), "CA1-call_1");
        assert_eq!(header(&seen[0].0, "idempotency-key"), "CA1-call_1");
        let context: Value = serde_json::from_str(&header(head, "x-offhook-context")).unwrap();
        assert_eq!((&context["from"], &context["tool_call"]), (&"+1415".into(), &"call_1".into()));
        // What is wrong is told to the model; nothing is sent.
        let wrong = safe.run(&call_of(json!({"day": 5})), &call()).await.unwrap_err();
        assert!(wrong.why.contains("nothing was done") && asked() == 2, "{wrong}");
        assert_eq!(wrong.reason, "arguments");

        let (url, log) = server(1).await;
        let once = tool(&format!("url = \"{url}\"")).unwrap();
        assert_eq!(once.run(&call_of(json!({})), &call()).await.unwrap_err().reason, "busy");
        assert_eq!(log.lock().unwrap().len(), 1);
    }
}
