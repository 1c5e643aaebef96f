//! A call's document, made of what is known of it.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use offhook_script::Transport;
use offhook_store::{Cost, Direction, Document, Latency, Outcome, Problem, State, Usage, VERSION, rfc3339};

use super::live_call::LiveCall;
use super::story::word;

fn unix_ms(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl LiveCall {
    /// The document of the call as it stands. `None` for one that never got a `CallSid`, or of which too little is left to make
    /// one: it was written long ago.
    pub(crate) fn document(&self) -> Option<Document> {
        let usage = self.meter.read();
        let cost = self.cost(&usage);
        let tenant = self.tenant();
        let record = self.record().clone();
        if record.story.gone {
            return None;
        }
        let id = record.sid?;
        let transport = match record.story.transport {
            Transport::MediaStreams => offhook_store::Transport::MediaStreams,
            Transport::ConversationRelay => offhook_store::Transport::ConversationRelay,
        };
        let about = &self.about;
        let legs = record.story.legs.clone();
        let told = record.story.told();
        let mut errors = told.errors;
        // What webhooks report stands beside what the call itself does.
        for message in &record.troubles {
            if !errors.iter().any(|error| error.message == *message) {
                errors.push(Problem {
                    at_ms: errors.last().map_or(0, |last| last.at_ms),
                    message: message.clone(),
                });
            }
        }
        Some(Document {
            version: VERSION,
            id,
            rev: self.rev.fetch_add(1, Ordering::Relaxed) + 1,
            state: if record.over { State::Over } else { State::InProgress },
            agent: about.agent.clone(),
            tenant,
            direction: if about.direction == "outbound" { Direction::Outbound } else { Direction::Inbound },
            transport,
            from: about.from.clone(),
            to: about.to.clone(),
            started_at: rfc3339(unix_ms(about.since)),
            started_at_ms: unix_ms(about.since),
            answered_at_ms: record
                .first_stream
                .and_then(|first| SystemTime::now().checked_sub(first.elapsed()).map(unix_ms)),
            ended_at_ms: record.ended_at.map(unix_ms),
            duration_ms: legs.last().and_then(|leg| leg.until_ms),
            status: word(&record.status),
            answered_by: record.answered_by.as_ref().map(word),
            sip_code: record.sip_code,
            ended: record.ended.as_ref().map(word),
            language: record.language,
            goal: about.goal.as_deref().map(str::to_owned),
            outcome: record.outcome.map(|outcome| Outcome {
                verdict: word(&outcome.verdict),
                fields: outcome.fields,
                evidence: outcome.evidence,
                reported: outcome.reported,
            }),
            parameters: (*about.parameters).clone(),
            transferred_to: record.transferred_to,
            legs,
            latency: Latency::of(&told.turns),
            turns: told.turns,
            tools: told.tools,
            errors,
            usage: usage.into_iter().map(|(name, used)| (name, usage_of(used))).collect(),
            cost: cost.map(|cost| Cost {
                total: cost.total,
                by_provider: cost.by_provider,
                unpriced: cost.unpriced,
            }),
            traceparent: self.traceparent(),
            events: told.events,
            events_left_out: told.left_out,
            ..Document::default()
        })
    }
}

const fn usage_of(used: offhook_stages::Usage) -> Usage {
    Usage {
        requests: used.requests,
        failures: used.failures,
        audio_ms: used.audio_ms,
        input_tokens: used.input_tokens,
        cached_tokens: used.cached_tokens,
        output_tokens: used.output_tokens,
        characters: used.characters,
    }
}
