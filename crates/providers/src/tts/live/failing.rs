//! What becomes of utterances when something fails.

use std::time::Duration;

use offhook_stage_api::id::UtteranceId;
use offhook_stage_api::{FailureKind, SpeakRequest, TtsEvent};
use offhook_stages::StageError;
use tokio::time::Instant;

use super::dialect::Dialect;
use super::{ACKNOWLEDGED, End, Flying, Link, Live, SHORT_LIVED};

impl<D: Dialect> Live<D> {
    pub(super) async fn too_late(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.blocked.is_some_and(|since| now >= since + ACKNOWLEDGED) {
            self.blocked = None;
            self.open();
        }
        let Some(front) = self.flying.front() else { return Ok(()) };
        let limit = self.limit(front);
        if now < front.since + limit {
            return Ok(());
        }
        let what = if front.heard { "further sound" } else { "sound" };
        let error = StageError::TooSlow { stage: self.manner.name.clone(), what, limit };
        let utterance = front.segment.request.utterance;
        // What comes late must not be taken for something else.
        self.open();
        self.fail(utterance, &error).await
    }

    pub(super) async fn stop_and_fail(
        &mut self,
        utterance: UtteranceId,
        error: &StageError,
    ) -> Result<(), End> {
        let same = |flying: &&Flying| flying.segment.request.utterance == utterance && !flying.done;
        let contexts: Vec<u32> = self.flying.iter().filter(same).map(|flying| flying.context).collect();
        self.fail(utterance, error).await?;
        self.send_cancel(&contexts).await
    }

    /// What of an utterance isn't spoken yet won't be.
    pub(super) async fn fail(&mut self, utterance: UtteranceId, error: &StageError) -> Result<(), End> {
        self.call.meter.add(&self.manner.name, |usage| usage.failures += 1);
        let mut failed = Vec::new();
        for flying in std::mem::take(&mut self.flying) {
            if flying.segment.request.utterance == utterance {
                self.note(&flying.segment);
                failed.push(flying.segment.request);
            } else {
                self.flying.push_back(flying);
            }
        }
        for (request, retried) in std::mem::take(&mut self.queue) {
            if request.utterance == utterance {
                failed.push(request);
            } else {
                self.queue.push_back((request, retried));
            }
        }
        for SpeakRequest { utterance, segment, .. } in failed {
            self.events.send(TtsEvent::Failed { utterance, segment, failure: error.to_failure() }).await?;
        }
        Ok(())
    }

    pub(super) async fn not_opened(&mut self, error: StageError) -> Result<(), End> {
        self.link = Link::Down;
        let for_good =
            matches!(error.kind(), FailureKind::Refused | FailureKind::Declined | FailureKind::Unavailable);
        tracing::warn!(call = %self.call.call, %error, "the voice can't be reached");
        while let Some(utterance) = self.queue.front().map(|(request, _)| request.utterance) {
            self.fail(utterance, &error).await?;
            if !for_good {
                break;
            }
        }
        if for_good { Err(End::Failed(error)) } else { Ok(()) }
    }

    /// The connection is lost. What was sent over it and gave no sound yet is sent once more.
    pub(super) async fn lost(&mut self, error: StageError) -> Result<(), End> {
        let lived = match &self.link {
            Link::Up { since, .. } => since.elapsed(),
            _ => Duration::ZERO,
        };
        self.link = Link::Down;
        let Some(front) = self.flying.front() else {
            tracing::debug!(call = %self.call.call, %error, "a voice's idle connection ended");
            if lived >= SHORT_LIVED {
                self.open();
            }
            return Ok(());
        };
        let again = !front.segment.sounded && !front.retried && error.kind() == FailureKind::Broken;
        let utterance = front.segment.request.utterance;
        tracing::warn!(call = %self.call.call, %error, again, "a voice's connection was lost");
        if again {
            self.speaking = None;
            for flying in std::mem::take(&mut self.flying).into_iter().rev() {
                self.queue.push_front((flying.segment.request, true));
            }
            return Ok(());
        }
        self.fail(utterance, &error).await
    }
}
