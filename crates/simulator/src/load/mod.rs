//! Many calls at once from one thread, each as Twilio would stream it; measures what their callers would notice.
//!
//! It must cost less than the server under test, or it measures itself: sound is encoded once for all calls, frames are
//! written by hand, messages are looked at no closer than a measurement needs. It tells its own lateness, so that one
//! knows who was slow.

mod figures;
mod process;
mod stream;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_twilio::signature::AuthToken;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

pub use process::resident;

pub use figures::{Figures, Limits, LoadReport, ServerCost};

/// What calls to place.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// The webhook's URL, or a stream's (`ws://`, `wss://`), which is opened without asking a webhook.
    pub url: String,
    /// The account's token, to sign with.
    pub auth_token: Option<AuthToken>,
    /// How many at once.
    pub calls: usize,
    /// The time within which they all begin.
    pub ramp: Duration,
    /// How long is measured, from the last one's begin.
    pub window: Duration,
    /// What callers say, again and again: frames of μ-law, speech first, silence after.
    pub sound: Vec<[u8; 160]>,
    /// How many of these frames are speech.
    pub speech: usize,
    /// The server returns each frame: measure the way there and back.
    pub echo: bool,
    /// The server's process on this machine, to measure what it costs.
    pub server: Option<u32>,
}

/// What every call says: base64 of each frame.
pub(crate) struct Said {
    frames: Vec<String>,
    speech: usize,
}

/// When measuring begins and ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Window {
    fn contains(self, at: Instant) -> bool {
        (self.from..self.until).contains(&at)
    }
}

/// Places the calls, and reports when all are over. Runs on the caller's thread.
pub async fn load(plan: LoadPlan) -> LoadReport {
    let said = Arc::new(Said {
        frames: plan.sound.iter().map(|frame| STANDARD.encode(frame)).collect(),
        speech: plan.speech,
    });
    let began = Instant::now();
    // A second to settle after the last call's begin.
    let from = began + plan.ramp + Duration::from_secs(1);
    let window = Window { from, until: from + plan.window };
    let plan = Arc::new(plan);
    let calls = async {
        let mut running = JoinSet::new();
        for index in 0..plan.calls {
            let share = index as f64 / plan.calls.max(1) as f64;
            let begin = began + plan.ramp.mul_f64(share);
            let (plan, said) = (Arc::clone(&plan), Arc::clone(&said));
            running.spawn_local(async move {
                tokio::time::sleep_until(begin).await;
                stream::run(&plan, &said, index, window).await
            });
        }
        let mut report = LoadReport::new(&plan);
        while let Some(call) = running.join_next().await {
            match call {
                Ok(Ok(figures)) => report.add(figures),
                Ok(Err(why)) => report.fail(why),
                Err(error) => report.fail(format!("the simulated call broke: {error}")),
            }
        }
        report
    };
    let cost = process::watch(plan.server, window);
    let local = LocalSet::new();
    let (mut report, cost) = local.run_until(async { tokio::join!(calls, cost) }).await;
    report.server = cost;
    report.conclude();
    report
}
