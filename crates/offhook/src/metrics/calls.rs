//! What happens in calls: answers and their times, utterances, interruptions, tools, turns.

use std::time::SystemTime;

use offhook_conversation::{CallEvent, ReplyTiming, ToolStage, Why};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;

use super::Label;

/// Seconds: from an answer that was begun early to one that made the caller ask whether anybody is there.
const BOUNDS: [f64; 15] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0];

fn seconds() -> Histogram {
    Histogram::new(BOUNDS)
}

/// A trace, as an exemplar names it.
type Trace = [(&'static str, String); 1];

fn answers() -> HistogramWithExemplars<Trace> {
    HistogramWithExemplars::new(BOUNDS.into_iter())
}

/// Counters of what happens in calls. Events are a few a turn; none is counted per frame.
#[derive(Debug)]
pub(crate) struct CallMetrics {
    /// Each bucket's latest call that was traced is its exemplar.
    answers: Answers,
    utterances: Family<Label, Counter>,
    dropped: Family<Label, Counter>,
    interruptions: Family<Label, Counter>,
    tools: Family<Label, Counter>,
    tool_time: Histogram,
    turns: Family<Label, Counter>,
    speculations: Family<Label, Counter>,
    late: Family<Label, Counter>,
    ended: Family<Label, Counter>,
    troubles: Counter,
}

type Answers = Family<Label, HistogramWithExemplars<Trace>, fn() -> HistogramWithExemplars<Trace>>;

impl Default for CallMetrics {
    fn default() -> Self {
        Self {
            answers: Family::new_with_constructor(answers),
            utterances: Family::default(),
            dropped: Family::default(),
            interruptions: Family::default(),
            tools: Family::default(),
            tool_time: seconds(),
            turns: Family::default(),
            speculations: Family::default(),
            late: Family::default(),
            ended: Family::default(),
            troubles: Counter::default(),
        }
    }
}

impl CallMetrics {
    /// Names the counters to a registry.
    pub(crate) fn register(&self, all: &mut Registry) {
        self.begin();
        let answers = "From the end of the caller's speech to the first frame of the answer (stage total), and what of it each \
                       stage took";
        all.register_with_unit("answer", answers, Unit::Seconds, self.answers.clone());
        let tools = "From a tool's request to its result or failure";
        all.register_with_unit("tool", tools, Unit::Seconds, self.tool_time.clone());
        all.register("troubles", "Things that went wrong in calls that went on", self.troubles.clone());
        for (name, help, family) in [
            ("utterances", "Utterances begun, by kind: fillers and apologies among them", &self.utterances),
            ("utterances_dropped", "Utterances not said, or not to their end, by cause", &self.dropped),
            ("interruptions", "Speech over the agent, by what came of it", &self.interruptions),
            ("tools", "Tools, by what became of them", &self.tools),
            ("turns", "The caller's turns, by what became of them", &self.turns),
            ("speculations", "Replies begun before the turn was certain", &self.speculations),
            ("waits", "Waits so long that something was said or done about them", &self.late),
            ("conversations_ended", "Conversations that ended, by reason", &self.ended),
        ] {
            all.register(name, help, family.clone());
        }
    }

    /// Has a zero for everything that may be counted: what appears only once it has happened shows no rise.
    fn begin(&self) {
        for stage in ["total", "speech_to_text", "turn", "language_model", "text_to_speech"] {
            drop(self.answers.get_or_create(&[("stage", stage.to_owned())]));
        }
        let all: [(&Family<Label, Counter>, &'static str, &[&str]); 6] = [
            (
                &self.utterances,
                "kind",
                &["greeting", "reply", "filler", "apology", "check_in", "farewell", "announcement", "keys"],
            ),
            (&self.interruptions, "outcome", &["suspected", "ducked", "interrupted", "resumed"]),
            (&self.tools, "outcome", &["asked", "returned", "failed", "cancelled"]),
            (&self.turns, "outcome", &["ended", "reopened", "noise", "backchannel"]),
            (&self.speculations, "outcome", &["begun", "dropped"]),
            (&self.late, "for", &["words", "reply", "tool", "rest", "voice", "caller", "media"]),
        ];
        for (family, label, values) in all {
            for value in values {
                drop(family.get_or_create(&[(label, (*value).to_owned())]));
            }
        }
    }

    /// Counts an event of a call. `trace`: the call's, if it is traced.
    pub(crate) fn on_event(&self, event: &CallEvent, trace: impl FnOnce() -> Option<String>) {
        match event {
            CallEvent::ReplyTimed(timing) => self.answered(timing, trace().as_deref()),
            CallEvent::Speaking { what, .. } => count(&self.utterances, "kind", what),
            CallEvent::Dropped { why, .. } => count(&self.dropped, "cause", why),
            CallEvent::BargeIn { stage, .. } => count(&self.interruptions, "outcome", stage),
            CallEvent::Tool { stage, after_ms, .. } => {
                count(&self.tools, "outcome", stage);
                if matches!(stage, ToolStage::Returned | ToolStage::Failed) {
                    self.tool_time.observe(*after_ms as f64 / 1_000.0);
                }
            }
            CallEvent::TurnEnded(_) => count(&self.turns, "outcome", &"ended"),
            CallEvent::TurnReopened => count(&self.turns, "outcome", &"reopened"),
            CallEvent::TurnDropped { why, .. } => count(&self.turns, "outcome", why),
            CallEvent::Speculated { .. } => count(&self.speculations, "outcome", &"begun"),
            CallEvent::SpeculationDropped { .. } => count(&self.speculations, "outcome", &"dropped"),
            CallEvent::Deadline { why } => {
                if let Some(what) = waited_for(*why) {
                    count(&self.late, "for", &what);
                }
            }
            CallEvent::Ended { why } => count(&self.ended, "reason", why),
            CallEvent::Trouble { .. } => {
                self.troubles.inc();
            }
            _ => {}
        }
    }

    fn answered(&self, timing: &ReplyTiming, trace: Option<&str>) {
        let now = trace.is_some().then(SystemTime::now);
        let took = |stage: &str, ms: Option<u64>| {
            if let Some(ms) = ms {
                let of = trace.map(|trace| [("trace_id", trace.to_owned())]);
                let answers = self.answers.get_or_create(&[("stage", stage.to_owned())]);
                answers.observe(ms as f64 / 1_000.0, of, now);
            }
        };
        let between = |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?));
        took("total", Some(timing.first_frame_ms));
        took("speech_to_text", timing.transcript_ms);
        took("turn", Some(timing.decided_ms));
        took("language_model", between(Some(timing.requested_ms), timing.first_text_ms));
        took("text_to_speech", between(timing.first_text_ms, timing.first_audio_ms));
    }
}

/// The waits that callers may notice; the other deadlines are how every call goes.
const fn waited_for(why: Why) -> Option<&'static str> {
    Some(match why {
        Why::WordsLate => "words",
        Why::ReplyLate => "reply",
        Why::ToolLate => "tool",
        Why::RestLate => "rest",
        Why::VoiceLate => "voice",
        Why::CallerSilent => "caller",
        Why::NoMedia => "media",
        _ => return None,
    })
}

/// Counts one, under the name that records have for it.
fn count(family: &Family<Label, Counter>, label: &'static str, value: &impl Serialize) {
    // Names of variants can't fail to be written.
    let name = serde_json::to_value(value).ok().and_then(|name| name.as_str().map(str::to_owned));
    family.get_or_create(&[(label, name.unwrap_or_default())]).inc();
}

#[cfg(test)]
mod tests {
    use offhook_conversation::{DropCause, UtteranceKind};
    use offhook_stage_api::UtteranceId;
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn events_are_counted_by_the_names_that_records_have() {
        let (metrics, mut registry) = (CallMetrics::default(), Registry::default());
        metrics.register(&mut registry);
        let untraced = || None;
        let filler = UtteranceKind::Filler;
        metrics.on_event(
            &CallEvent::Speaking { utterance: UtteranceId(1), what: filler, text: String::new() },
            untraced,
        );
        let dropped =
            CallEvent::Dropped { utterance: UtteranceId(1), what: filler, why: DropCause::CallerBegan };
        metrics.on_event(&dropped, untraced);
        metrics.on_event(&CallEvent::Deadline { why: Why::Pace }, untraced);
        metrics.on_event(&CallEvent::Deadline { why: Why::ReplyLate }, untraced);
        metrics.on_event(
            &CallEvent::ReplyTimed(ReplyTiming {
                decided_ms: 300,
                requested_ms: 250,
                first_text_ms: Some(450),
                first_audio_ms: Some(550),
                first_frame_ms: 560,
                ..ReplyTiming::default()
            }),
            untraced,
        );
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        for line in [
            "utterances_total{kind=\"filler\"} 1",
            "utterances_dropped_total{cause=\"caller_began\"} 1",
            "waits_total{for=\"reply\"} 1",
            "answer_seconds_bucket{le=\"0.5\",stage=\"total\"} 0",
            "answer_seconds_bucket{le=\"0.6\",stage=\"total\"} 1",
            "answer_seconds_bucket{le=\"0.2\",stage=\"language_model\"} 1",
            "answer_seconds_sum{stage=\"text_to_speech\"} 0.1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        let unmeasured = "answer_seconds_count{stage=\"speech_to_text\"} 0";
        assert!(page.lines().any(|found| found == unmeasured), "{page}");
    }

    #[test]
    fn an_answer_that_is_traced_is_an_exemplar() {
        let (metrics, mut registry) = (CallMetrics::default(), Registry::default());
        metrics.register(&mut registry);
        let timing = ReplyTiming { first_frame_ms: 560, ..ReplyTiming::default() };
        metrics.on_event(&CallEvent::ReplyTimed(timing), || Some("abc".to_owned()));
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        let begins = "answer_seconds_bucket{le=\"0.6\",stage=\"total\"} 1 # {trace_id=\"abc\"} 0.56";
        assert!(page.lines().any(|line| line.starts_with(begins)), "{page}");
    }
}
