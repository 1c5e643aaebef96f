//! Five good calls to the echo, which last as long as everything. Each says how long its voice takes to come back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::target::{Opened, Target, on_core};
use crate::vendors::Vendors;

const CALLS: usize = 5;
const FRAME: Duration = Duration::from_millis(20);
/// So far back goes what a voice usually takes.
const BEFORE: Duration = Duration::from_millis(600);

#[derive(Default)]
struct Seen {
    /// When a voice came back, and how long it had taken.
    waits: Mutex<[VecDeque<(Instant, Duration)>; CALLS]>,
    /// Since when each call waits for a voice that isn't back yet.
    open: Mutex<[Option<Instant>; CALLS]>,
    broken: Mutex<Option<String>>,
    frames: AtomicU64,
}

/// The calls.
pub(crate) struct Good(Arc<Seen>);

impl Good {
    /// Places them, on a thread of their own.
    pub(crate) fn start(address: &str) -> Self {
        let seen = Arc::new(Seen::default());
        let (theirs, address) = (Arc::clone(&seen), address.to_owned());
        std::thread::Builder::new()
            .name("good calls".to_owned())
            .spawn(move || {
                on_core(1);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let local = tokio::task::LocalSet::new();
                runtime.block_on(local.run_until(async {
                    let target = Target::new(&address, 0, Vendors::none());
                    let calls = (0..CALLS).map(|number| call(&target, number, &theirs));
                    futures_util::future::join_all(calls).await;
                }));
            })
            .unwrap();
        Self(seen)
    }

    /// The longest wait that ended since then, or goes on: beyond what each call's voice took before. An echo that was late once stays
    /// so, for its sound is played in real time.
    pub(crate) fn worst_since(&self, begun: Instant) -> Duration {
        let mut worst = Duration::ZERO;
        let mut waits = self.0.waits.lock().unwrap();
        let open = self.0.open.lock().unwrap();
        for (waits, open) in waits.iter_mut().zip(open.iter()) {
            let before = waits.iter().filter(|(at, _)| *at < begun).map(|(_, wait)| *wait).min();
            let since = waits.iter().filter(|(at, _)| *at >= begun).map(|(_, wait)| *wait).max();
            let longest = since.max(open.map(|since| since.elapsed())).unwrap_or_default();
            worst = worst.max(longest.saturating_sub(before.unwrap_or_default()));
            // What is longer ago has no part in the next attack.
            while waits.front().is_some_and(|(at, _)| at.elapsed() > BEFORE) {
                waits.pop_front();
            }
        }
        worst
    }

    /// Why a call has ended.
    pub(crate) fn broken(&self) -> Option<String> {
        self.0.broken.lock().unwrap().clone()
    }

    pub(crate) fn frames(&self) -> u64 {
        self.0.frames.load(Ordering::Relaxed)
    }
}

async fn call(target: &Target, number: usize, seen: &Seen) {
    let why = match target.open("+14155550101", &format!("CA{:032x}", 0xF000 + number)).await {
        Ok(opened) => talk(opened, number, seen).await,
        Err(why) => why,
    };
    *seen.broken.lock().unwrap() = Some(why);
}

async fn talk(mut opened: Opened, number: usize, seen: &Seen) -> String {
    let mut sent: VecDeque<Instant> = VecDeque::new();
    let begun = tokio::time::Instant::now() + FRAME.mul_f64(number as f64 / CALLS as f64);
    let mut ticks = tokio::time::interval_at(begun, FRAME);
    let (mut frames, mut returned) = (0_u64, 0);
    // How late we were ourselves, of late.
    let mut late: VecDeque<(Instant, Duration)> = VecDeque::new();
    loop {
        tokio::select! {
            biased;
            due = ticks.tick() => {
                let now = Instant::now();
                late.push_back((now, due.elapsed()));
                while late.front().is_some_and(|(at, _)| now - *at > Duration::from_secs(1)) {
                    late.pop_front();
                }
                sent.push_back(now);
                frames += 1;
                if let Err(why) = opened.media(frames, &("ICAg".repeat(53) + "IA==")).await {
                    return why;
                }
            }
            read = opened.read() => match read {
                Ok(octets) => {
                    returned += octets;
                    let now = Instant::now();
                    while returned >= 160 {
                        returned -= 160;
                        let Some(left) = sent.pop_front() else { break };
                        let ours = late.iter().filter(|(at, _)| *at >= left).map(|(_, late)| *late).max();
                        let wait = now.duration_since(left).saturating_sub(ours.unwrap_or_default());
                        seen.waits.lock().unwrap()[number].push_back((now, wait));
                        seen.frames.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Err(why) => return why,
            }
        }
        seen.open.lock().unwrap()[number] = sent.front().copied();
    }
}
