//! A call's document as spans.
//!
//! Names and attributes are those of OpenTelemetry's GenAI conventions, with the flat keys of Pipecat (`turn.*`, `metrics.ttfb`) and
//! those that Langfuse and Phoenix read (`session.id`, `langfuse.*`, `openinference.span.kind`) beside them. Numbers of callers are in
//! none; what was said only if that is asked for.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offhook_store::{Answer, Document, Event as CallEvent, Speaker, State, Turn, Usage};
use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::ids::{self, Parent};

/// Whether spans tell what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// They don't.
    #[default]
    Off,
    /// They do.
    On,
}

/// Events of the call that are events of its span, and their names there.
const EVENTS: [(&str, &str); 6] = [
    ("speech_started", "vad.start"),
    ("speech_paused", "vad.end"),
    ("turn_ended", "eot"),
    ("speaking", "first_audio_sent"),
    ("barge_in", "barge_in"),
    ("deadline", "deadline"),
];

/// What makes one call's spans.
struct Maker<'a> {
    call: &'a Document,
    content: Content,
    /// The zero of the document's times.
    zero: SystemTime,
    spans: Vec<SpanData>,
}

/// The spans of a call that is over, the call's own first.
#[must_use]
pub fn spans(call: &Document, content: Content) -> Vec<SpanData> {
    let zero_ms = call.answered_at_ms.unwrap_or(call.started_at_ms);
    let zero = UNIX_EPOCH + Duration::from_millis(u64::try_from(zero_ms).unwrap_or(0));
    let mut maker = Maker { call, content, zero, spans: Vec::new() };
    maker.conversation();
    for (number, turns) in exchanges(&call.turns).into_iter().enumerate() {
        maker.turn(number + 1, turns);
    }
    maker.spans
}

/// The caller's words with what the agent says to them, each a turn. The greeting is one without the caller's words.
fn exchanges(turns: &[Turn]) -> Vec<&[Turn]> {
    let mut all = Vec::new();
    let mut rest = turns;
    while !rest.is_empty() {
        let callers = rest.iter().take_while(|turn| turn.who == Speaker::Caller).count();
        let agents = rest[callers..].iter().take_while(|turn| turn.who == Speaker::Agent).count();
        let (first, more) = rest.split_at(callers + agents);
        all.push(first);
        rest = more;
    }
    all
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

/// The provider of a kind, if the call used exactly one of it.
fn only(call: &Document, is: impl Fn(&Usage) -> bool) -> Option<&str> {
    let mut found = call.usage.iter().filter(|(_, used)| is(used)).map(|(name, _)| name.as_str());
    found.next().filter(|_| found.next().is_none())
}

const fn is_model(used: &Usage) -> bool {
    used.input_tokens + used.cached_tokens + used.output_tokens > 0
}

impl Maker<'_> {
    fn at(&self, ms: u64) -> SystemTime {
        self.zero + Duration::from_millis(ms)
    }

    fn add(
        &mut self,
        (name, kind): (impl Into<Cow<'static, str>>, SpanKind),
        (own, parent): (&str, Option<&str>),
        (from, until): (u64, u64),
        mut attributes: Vec<KeyValue>,
    ) -> &mut SpanData {
        let id = &self.call.id;
        attributes.push(KeyValue::new("gen_ai.conversation.id", id.clone()));
        attributes.push(KeyValue::new("session.id", id.clone()));
        let span = SpanData {
            span_context: SpanContext::new(
                ids::trace(id),
                ids::span(id, own),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: parent.map_or(SpanId::INVALID, |parent| ids::span(id, parent)),
            parent_span_is_remote: false,
            span_kind: kind,
            name: name.into(),
            start_time: self.at(from),
            end_time: self.at(until.max(from)),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("offhook")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        };
        let place = self.spans.len();
        self.spans.push(span);
        &mut self.spans[place]
    }

    fn conversation(&mut self) {
        let call = self.call;
        let until = call
            .duration_ms
            .into_iter()
            .chain(call.turns.last().map(|turn| turn.until_ms))
            .max()
            .unwrap_or(0);
        let mut attributes = vec![
            KeyValue::new("conversation.id", call.id.clone()),
            KeyValue::new("conversation.type", "voice"),
            KeyValue::new("gen_ai.agent.name", call.agent.clone()),
            KeyValue::new("openinference.span.kind", "CHAIN"),
            KeyValue::new("langfuse.trace.name", format!("call {}", call.agent)),
            KeyValue::new("offhook.call.status", call.status.clone()),
            KeyValue::new("offhook.call.direction", word(&call.direction)),
            KeyValue::new("offhook.call.transport", word(&call.transport)),
        ];
        let mut text = |key: &'static str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                attributes.push(KeyValue::new(key, value.to_owned()));
            }
        };
        text("offhook.call.end_reason", call.ended.as_deref());
        text("offhook.call.language", call.language.as_deref());
        text("offhook.call.verdict", call.outcome.as_ref().map(|outcome| outcome.verdict.as_str()));
        text("offhook.tenant", Some(&call.tenant));
        text("offhook.route", Some(&call.route));
        if let Some(cost) = &call.cost {
            attributes.push(KeyValue::new("offhook.call.cost", cost.total));
        }
        let mut used = Usage::default();
        for usage in call.usage.values() {
            used.input_tokens += usage.input_tokens + usage.cached_tokens;
            used.output_tokens += usage.output_tokens;
        }
        attributes.push(KeyValue::new("gen_ai.usage.input_tokens", int(used.input_tokens)));
        attributes.push(KeyValue::new("gen_ai.usage.output_tokens", int(used.output_tokens)));
        let events = call.events.iter().filter_map(|event| self.event(event)).collect();
        let errors = call.errors.len();
        let lost = call.state == State::Lost;
        let broke = lost || matches!(call.ended.as_deref(), Some("voice_failed" | "no_media"));
        let ended = call.ended.clone();
        // A link, not a parent: a call lasts longer than the request that it came with.
        let link = call.traceparent.as_deref().and_then(Parent::parse).map(|parent| {
            let flags = if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
            Link::with_context(SpanContext::new(
                parent.trace,
                parent.span,
                flags,
                true,
                TraceState::default(),
            ))
        });
        let span = self.add(("conversation", SpanKind::Server), ("", None), (0, until), attributes);
        span.events.events = events;
        span.links.links.extend(link);
        if errors > 0 {
            span.attributes.push(KeyValue::new("offhook.call.errors", int(errors as u64)));
        }
        if broke {
            let kind = if lost { "server_lost".to_owned() } else { ended.unwrap_or_default() };
            span.attributes.push(KeyValue::new("error.type", kind));
            span.status = Status::error("the call broke off");
        }
    }

    fn event(&self, event: &CallEvent) -> Option<Event> {
        let (_, name) = EVENTS.iter().find(|(ours, _)| *ours == event.event)?;
        // Words, not texts: what is said stands in none of these.
        let word = |key: &'static str| Some(KeyValue::new(key, event.more.get(key)?.as_str()?.to_owned()));
        let attributes = ["stage", "what", "why", "evidence"].into_iter().filter_map(word).collect();
        Some(Event::new(*name, self.at(event.at_ms), attributes, 0))
    }

    fn turn(&mut self, number: usize, turns: &[Turn]) {
        let (Some(first), Some(last)) = (turns.first(), turns.last()) else { return };
        let callers: Vec<&Turn> = turns.iter().filter(|turn| turn.who == Speaker::Caller).collect();
        let agents: Vec<&Turn> = turns.iter().filter(|turn| turn.who == Speaker::Agent).collect();
        let is_interrupted = agents.iter().any(|turn| turn.interrupted);
        let own = format!("turn {number}");
        let until = turns.iter().map(|turn| turn.until_ms).max().unwrap_or(last.until_ms);
        let reason = if is_interrupted { "interrupted" } else { "completed" };
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "invoke_agent"),
            KeyValue::new("gen_ai.agent.name", self.call.agent.clone()),
            KeyValue::new("gen_ai.agent.invocation.end_reason", reason),
            KeyValue::new("turn.number", int(number as u64)),
            KeyValue::new("turn.type", "conversation"),
            KeyValue::new("turn.duration_seconds", seconds(until.saturating_sub(first.at_ms))),
            KeyValue::new("turn.was_interrupted", is_interrupted),
            KeyValue::new("openinference.span.kind", "AGENT"),
            KeyValue::new("langfuse.observation.type", "agent"),
        ];
        let answer = agents.iter().find_map(|turn| turn.answer.map(|answer| (*turn, answer)));
        if let Some((_, answer)) = answer {
            attributes.push(KeyValue::new("turn.user_bot_latency_seconds", seconds(answer.first_frame_ms)));
        }
        if self.content == Content::On {
            attributes.push(KeyValue::new("input.value", texts(&callers)));
            attributes.push(KeyValue::new("output.value", texts(&agents)));
        }
        let name = format!("invoke_agent {}", self.call.agent);
        self.add((name, SpanKind::Internal), (&own, Some("")), (first.at_ms, until), attributes);
        let speech_end = callers.last().map(|turn| turn.until_ms);
        if let Some(speech_end) = speech_end {
            self.heard(&own, &callers, speech_end, answer.map(|(_, answer)| answer));
        }
        if let (Some((turn, answer)), Some(speech_end)) = (answer, speech_end) {
            self.answered(&own, turn, answer, speech_end, &texts(&callers));
        }
        // Until the next turn, tools are this one's.
        let next = until.max(last.until_ms);
        let call = self.call;
        for (place, tool) in call.tools.iter().enumerate() {
            if !(first.at_ms..=next).contains(&tool.at_ms) {
                continue;
            }
            let attributes = vec![
                KeyValue::new("gen_ai.operation.name", "execute_tool"),
                KeyValue::new("gen_ai.tool.name", tool.name.clone()),
                KeyValue::new("gen_ai.tool.type", "function"),
                KeyValue::new("openinference.span.kind", "TOOL"),
                KeyValue::new("langfuse.observation.type", "tool"),
            ];
            let span = self.add(
                (format!("execute_tool {}", tool.name), SpanKind::Internal),
                (&format!("tool {place}"), Some(&own)),
                (tool.at_ms, tool.at_ms + tool.took_ms.unwrap_or(0)),
                attributes,
            );
            if tool.result != "returned" {
                span.attributes.push(KeyValue::new("error.type", tool.result.clone()));
                span.status = Status::error(tool.result.clone());
            }
        }
    }

    fn heard(&mut self, turn: &str, callers: &[&Turn], speech_end: u64, answer: Option<Answer>) {
        let from = callers.first().map_or(speech_end, |turn| turn.at_ms);
        let provider = only(self.call, |used| used.audio_ms > 0 && used.characters == 0 && !is_model(used))
            .map(str::to_owned);
        let after = answer.and_then(|answer| answer.transcript_ms);
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "speech_to_text"),
            KeyValue::new("is_final", true),
            KeyValue::new("metrics.audio_seconds", seconds(speech_end.saturating_sub(from))),
            KeyValue::new("openinference.span.kind", "CHAIN"),
        ];
        if let Some(language) = &self.call.language {
            attributes.push(KeyValue::new("language", language.clone()));
            attributes.push(KeyValue::new("gen_ai.speech.input.language", language.clone()));
        }
        if let Some(after) = after {
            attributes.push(KeyValue::new("metrics.ttfb", seconds(after)));
        }
        if self.content == Content::On {
            attributes.push(KeyValue::new("transcript", texts(callers)));
        }
        let name = named("speech_to_text", provider, &mut attributes);
        let own = format!("{turn} stt");
        self.add(
            (name, SpanKind::Client),
            (&own, Some(turn)),
            (from, speech_end + after.unwrap_or(0)),
            attributes,
        );
    }

    fn answered(&mut self, turn: &str, agent: &Turn, answer: Answer, speech_end: u64, asked: &str) {
        let model = only(self.call, is_model).map(str::to_owned);
        let voice = only(self.call, |used| used.characters > 0).map(str::to_owned);
        let first_text = answer.first_text_ms.unwrap_or(answer.first_frame_ms);
        let first_audio = answer.first_audio_ms.unwrap_or(answer.first_frame_ms);
        let waited = first_text.saturating_sub(answer.requested_ms);
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "chat"),
            KeyValue::new("gen_ai.output.type", "text"),
            KeyValue::new("gen_ai.response.time_to_first_chunk", seconds(waited)),
            KeyValue::new("metrics.ttfb", seconds(waited)),
            KeyValue::new("stream", true),
            KeyValue::new("openinference.span.kind", "LLM"),
            KeyValue::new("langfuse.observation.type", "generation"),
        ];
        if self.content == Content::On {
            let message = |role: &str, text: &str| {
                serde_json::json!([{"role": role, "parts": [{"type": "text", "content": text}]}]).to_string()
            };
            attributes.push(KeyValue::new("gen_ai.input.messages", message("user", asked)));
            let said = agent.planned.as_deref().unwrap_or(&agent.text);
            attributes.push(KeyValue::new("gen_ai.output.messages", message("assistant", said)));
        }
        let name = named("chat", model, &mut attributes);
        let own = format!("{turn} llm");
        let times = (speech_end + answer.requested_ms, speech_end + first_text);
        self.add((name, SpanKind::Client), (&own, Some(turn)), times, attributes);

        let waited = first_audio.saturating_sub(first_text);
        let characters = agent.planned.as_deref().unwrap_or(&agent.text).chars().count() as u64;
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "tts"),
            KeyValue::new("gen_ai.output.type", "speech"),
            KeyValue::new("metrics.ttfb", seconds(waited)),
            KeyValue::new("metrics.character_count", int(characters)),
            KeyValue::new("tts.interrupted", agent.interrupted),
            KeyValue::new("openinference.span.kind", "CHAIN"),
        ];
        if self.content == Content::On {
            attributes.push(KeyValue::new("text", agent.text.clone()));
        }
        let name = named("text_to_speech", voice, &mut attributes);
        let own = format!("{turn} tts");
        self.add(
            (name, SpanKind::Client),
            (&own, Some(turn)),
            (speech_end + first_text, agent.until_ms),
            attributes,
        );
    }
}

fn texts(turns: &[&Turn]) -> String {
    turns.iter().map(|turn| turn.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// A span's name: the operation, and whose it is if that is known.
fn named(operation: &'static str, provider: Option<String>, attributes: &mut Vec<KeyValue>) -> String {
    match provider {
        Some(provider) => {
            let name = format!("{operation} {provider}");
            attributes.push(KeyValue::new("gen_ai.provider.name", provider));
            name
        }
        None => operation.to_owned(),
    }
}

fn word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn int(value: u64) -> Value {
    Value::I64(i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
pub(crate) mod tests {
    use offhook_store::ToolUse;

    use super::*;

    pub(crate) fn call() -> Document {
        let turn = |who, at_ms, until_ms, text: &str| Turn {
            who,
            at_ms,
            until_ms,
            text: text.into(),
            ..Turn::default()
        };
        let answer = Answer {
            transcript_ms: Some(150),
            decided_ms: 300,
            requested_ms: 180,
            first_text_ms: Some(580),
            first_audio_ms: Some(700),
            first_frame_ms: 720,
        };
        let used = |audio_ms, tokens, characters| Usage {
            audio_ms,
            input_tokens: tokens,
            output_tokens: tokens / 10,
            characters,
            ..Usage::default()
        };
        Document {
            id: "CA0123456789abcdef0123456789abcdef".into(),
            state: State::Over,
            agent: "pizza".into(),
            from: "+14155550100".into(),
            to: "+14155550199".into(),
            started_at_ms: 1_796_045_760_000,
            answered_at_ms: Some(1_796_045_766_000),
            duration_ms: Some(9_000),
            language: Some("en-US".into()),
            turns: vec![
                turn(Speaker::Agent, 100, 1_500, "Hello"),
                turn(Speaker::Caller, 2_000, 3_000, "Two secretive pizzas"),
                Turn {
                    answer: Some(answer),
                    interrupted: true,
                    ..turn(Speaker::Agent, 3_720, 5_000, "Sure")
                },
                turn(Speaker::Caller, 4_900, 6_000, "Wait"),
            ],
            tools: vec![ToolUse {
                name: "menu".into(),
                at_ms: 3_300,
                took_ms: Some(200),
                result: "failed".into(),
            }],
            usage: [("ears", used(9_000, 0, 0)), ("brain", used(0, 500, 0)), ("mouth", used(3_000, 0, 80))]
                .map(|(name, used)| (name.to_owned(), used))
                .into(),
            events: vec![CallEvent { at_ms: 2_000, event: "speech_started".into(), ..CallEvent::default() }],
            ..Document::default()
        }
    }

    /// The tree, with times in milliseconds of the call.
    fn tree(spans: &[SpanData]) -> String {
        let ms = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap().as_millis() - 1_796_045_766_000;
        let mut text = String::new();
        for span in spans {
            let mut depth = 0;
            let mut parent = span.parent_span_id;
            while let Some(above) = spans.iter().find(|above| above.span_context.span_id() == parent) {
                depth += 1;
                parent = above.parent_span_id;
            }
            let line = format!(
                "{}{} {}–{}\n",
                "  ".repeat(depth),
                span.name,
                ms(span.start_time),
                ms(span.end_time)
            );
            text.push_str(&line);
        }
        text
    }

    #[test]
    fn a_call_is_a_tree_of_spans() {
        let spans = spans(&call(), Content::Off);
        let expected = "conversation 0–9000
  invoke_agent pizza 100–1500
  invoke_agent pizza 2000–5000
    speech_to_text ears 2000–3150
    chat brain 3180–3580
    text_to_speech mouth 3580–5000
    execute_tool menu 3300–3500
  invoke_agent pizza 4900–6000
    speech_to_text ears 4900–6000
";
        assert_eq!(tree(&spans), expected);
        let has = |name: &str, key: &str| {
            let span = spans
                .iter()
                .filter(|span| span.name.starts_with(name))
                .find_map(|span| span.attributes.iter().find(|attribute| attribute.key.as_str() == key));
            span.map(|attribute| attribute.value.to_string())
        };
        assert_eq!(has("chat", "gen_ai.response.time_to_first_chunk").as_deref(), Some("0.4"));
        assert_eq!(has("invoke_agent", "turn.user_bot_latency_seconds").as_deref(), Some("0.72"));
        assert_eq!(has("execute_tool", "error.type").as_deref(), Some("failed"));
        assert!(spans.iter().all(|span| span.attributes.iter().any(|a| a.key.as_str() == "session.id")));
        assert_eq!(spans[0].span_context.trace_id().to_string(), crate::trace_id(&call().id));
    }

    #[test]
    fn what_was_said_and_who_called_is_in_no_span_unless_asked_for() {
        let told = |content| format!("{:?}", spans(&call(), content));
        let off = told(Content::Off);
        for secret in ["secretive", "Sure", "4155550100", "4155550199"] {
            assert!(!off.contains(secret), "{secret}");
        }
        let on = told(Content::On);
        assert!(on.contains("secretive") && !on.contains("4155550100"));
    }
}
