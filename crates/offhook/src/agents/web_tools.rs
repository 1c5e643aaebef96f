//! Tools that are somewhere on the web: asked over HTTP, their answer told to the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use form_urlencoded::byte_serialize;
use http_body_util::Full;
use hyper::Request;
use offhook_providers::net::{Deadlines, Http, post_json};
use offhook_session::Tools;
use offhook_stage_api::ToolCall;
use offhook_stages::{BoxFuture, StageError};
use serde_json::Value;

use super::file::{Method, ToolTable};

/// Longer answers are no use to a model on the telephone.
const LONGEST_ANSWER: usize = 16 * 1024;

/// The web tools of an agent.
pub(crate) struct WebTools {
    tools: BTreeMap<String, Arc<WebTool>>,
}

#[derive(Debug)]
struct WebTool {
    table: ToolTable,
    headers: Vec<(String, String)>,
    http: Http,
}

impl std::fmt::Debug for WebTools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.tools.keys()).finish()
    }
}

impl WebTools {
    /// Checks the tools, and reads their keys from the environment.
    pub(crate) fn new(tables: &[ToolTable]) -> anyhow::Result<Self> {
        let tools = tables.iter().map(|table| {
            let tool = WebTool::new(table).with_context(|| format!("the tool `{}`", table.name))?;
            Ok((table.name.clone(), Arc::new(tool)))
        });
        Ok(Self { tools: tools.collect::<anyhow::Result<_>>()? })
    }
}

impl Tools for WebTools {
    fn run(&self, call: &ToolCall) -> BoxFuture<Result<String, String>> {
        let Some(tool) = self.tools.get(&call.name).cloned() else {
            let why = format!("there is no tool `{}` here", call.name);
            return Box::pin(std::future::ready(Err(why)));
        };
        let arguments = call.arguments.clone();
        Box::pin(async move { tool.ask(&arguments).await.map_err(|error| error.to_string()) })
    }
}

impl WebTool {
    fn new(table: &ToolTable) -> anyhow::Result<Self> {
        let headers = table.headers.iter().map(|(name, value)| {
            Ok((name.to_lowercase(), filled(value).with_context(|| format!("its header `{name}`"))?))
        });
        let headers = headers.collect::<anyhow::Result<Vec<_>>>()?;
        let limit = table.timeout;
        let deadlines = Deadlines { first: limit, gap: limit, ..Deadlines::default() };
        let tool = Self { table: table.clone(), headers, http: Http::new(&table.name, deadlines) };
        if let Some(sound) = &table.sound {
            let https = sound.parse::<hyper::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https"));
            anyhow::ensure!(https, "its sound `{sound}` is no https address: Twilio fetches it from there");
        }
        // What is wrong with the address or a header shows now, not in the first call.
        tool.request(&Value::Null)?;
        Ok(tool)
    }

    fn request(&self, arguments: &Value) -> Result<Request<Full<Bytes>>, StageError> {
        let mut url = self.table.url.clone();
        let mut left = Vec::new();
        for (name, value) in arguments.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let escaped: String = byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
            let place = format!("{{{name}}}");
            if url.contains(&place) {
                url = url.replace(&place, &escaped);
            } else {
                left.push(format!("{name}={escaped}"));
            }
        }
        // An argument that the model left out.
        while let Some((start, end)) = url.find('{').zip(url.find('}')).filter(|(start, end)| start < end) {
            url.replace_range(start..=end, "");
        }
        if self.table.method == Method::Post {
            return post_json(&self.table.name, &url, &self.headers, arguments);
        }
        if !left.is_empty() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&left.join("&"));
        }
        let mut request = post_json(&self.table.name, &url, &self.headers, &Value::Null)?;
        *request.method_mut() = hyper::Method::GET;
        *request.body_mut() = Full::default();
        request.headers_mut().remove(hyper::header::CONTENT_TYPE);
        Ok(request)
    }

    async fn ask(&self, arguments: &Value) -> Result<String, StageError> {
        let limit = self.table.timeout;
        let answer = async {
            let mut answer = self.http.send(self.request(arguments)?).await?;
            answer.bytes(LONGEST_ANSWER).await
        };
        let octets = tokio::time::timeout(limit, answer).await.map_err(|_| StageError::TooSlow {
            stage: self.table.name.clone(),
            what: "answer",
            limit,
        })??;
        let text = String::from_utf8_lossy(&octets).trim().to_owned();
        Ok(if text.is_empty() { "done".to_owned() } else { text })
    }
}

/// Puts environment variables in: `$NAME`, up to the first character that no name has.
fn filled(value: &str) -> anyhow::Result<String> {
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
    use serde_json::json;

    use super::*;

    fn tool(method: &str, url: &str) -> WebTool {
        let text = format!("name = \"find\"\ndescription = \"\"\nurl = \"{url}\"\nmethod = \"{method}\"");
        WebTool::new(&toml::from_str(&text).unwrap()).unwrap()
    }

    #[test]
    fn arguments_go_into_the_address_the_query_or_the_body() {
        let arguments = json!({"id": "a/b c", "day": "mon&tue", "n": 2});
        let get = tool("GET", "https://a.example/x/{id}?v=1").request(&arguments).unwrap();
        assert_eq!(get.uri().to_string(), "https://a.example/x/a%2Fb%20c?v=1&day=mon%26tue&n=2");
        let post = tool("POST", "https://a.example/x/{id}/{gone}").request(&arguments).unwrap();
        assert_eq!((post.method().as_str(), post.uri().path()), ("POST", "/x/a%2Fb%20c/"));
    }

    #[test]
    fn keys_come_from_the_environment() {
        assert_eq!(filled("Bearer x").unwrap(), "Bearer x");
        let path = std::env::var("PATH").unwrap();
        assert_eq!(filled("a $PATH.").unwrap(), format!("a {}.", path.trim()));
        assert!(filled("$OFFHOOK_NO_SUCH").unwrap_err().to_string().contains("OFFHOOK_NO_SUCH"));
    }
}
