//! Hundreds of attacks on a running server, over all layers, with five good calls beside each.
//!
//! `attacks PATH-OF-OFFHOOK [--only WORD]`. The server has a core of its own where there are two; attackers and good calls share
//! another, the attackers at a lower priority. An attack is survived if the process lives, no good call waits over 60 ms for its
//! own voice to come back, memory stays bounded, and nothing is granted that mustn't be. `make attacks` runs it.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a program that measures")]

mod api;
mod ask;
mod good;
mod http;
mod messages;
mod providers;
mod relay;
mod server;
mod stream;
mod target;
mod tcp;
mod vendors;
mod ws;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;

use good::Good;
use server::Server;
use target::Target;

/// Good callers may wait no longer for their voice.
const LONGEST_WAIT: Duration = Duration::from_millis(60);
/// More memory than this isn't for calls' sound.
const MOST_GROWTH_KB: u64 = 96 * 1024;
/// What may be left when all is over: allocators give back late.
const MOST_LEFT_KB: u64 = 48 * 1024;
/// An attack lasts no longer.
const LONGEST: Duration = Duration::from_secs(8);
/// What an attack does to the calls may show a moment later.
const AFTERMATH: Duration = Duration::from_millis(60);
/// Somebody else's work on the same machine isn't the server's fault: who fails is tried again, and has to fail each time.
const TRIES: usize = 3;

type Run = Box<dyn Fn(Rc<Target>) -> LocalBoxFuture<'static, Result<(), String>>>;

/// One attack.
pub(crate) struct Attack {
    layer: &'static str,
    name: String,
    run: Run,
}

/// An attack of a layer. Its error tells what was granted that mustn't be.
pub(crate) fn attack<F>(
    layer: &'static str,
    name: impl Into<String>,
    run: impl Fn(Rc<Target>) -> F + 'static,
) -> Attack
where
    F: Future<Output = Result<(), String>> + 'static,
{
    Attack { layer, name: name.into(), run: Box::new(move |target| Box::pin(run(target))) }
}

#[derive(Default)]
struct Layer {
    attacks: usize,
    again: usize,
    failed: usize,
    worst: Duration,
    growth: u64,
}

/// What came of one try.
struct Outcome {
    wait: Duration,
    growth: u64,
    wrong: Option<String>,
}

async fn try_once(attack: &Attack, target: &Rc<Target>, server: &Server, good: &Good) -> Outcome {
    let before = server.resident();
    let begun = Instant::now();
    let mut most = before;
    let run = tokio::time::timeout(LONGEST, (attack.run)(Rc::clone(target)));
    tokio::pin!(run);
    let granted = loop {
        tokio::select! {
            outcome = &mut run => break outcome.unwrap_or_else(|_| Err("the attack did not end".to_owned())).err(),
            () = tokio::time::sleep(Duration::from_millis(20)) => most = most.max(server.resident()),
        }
    };
    tokio::time::sleep(AFTERMATH).await;
    most = most.max(server.resident());
    let (wait, growth) = (good.worst_since(begun), most.saturating_sub(before));
    let wrong = if !server.is_alive() {
        Some("the server has died".to_owned())
    } else if let Some(why) = good.broken() {
        Some(format!("a good call broke: {why}"))
    } else if wait > LONGEST_WAIT {
        Some(format!("a good call waited {} ms", wait.as_millis()))
    } else if growth > MOST_GROWTH_KB {
        Some(format!("memory grew by {growth} kB"))
    } else {
        granted
    };
    Outcome { wait, growth, wrong }
}

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let program = args.first().expect("the path of `offhook` is missing");
    let only = args.iter().position(|arg| arg == "--only").and_then(|at| args.get(at + 1)).cloned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    runtime.block_on(local.run_until(run(program, only.as_deref())))
}

async fn run(program: &str, only: Option<&str>) -> std::process::ExitCode {
    let vendors = vendors::Vendors::start().await;
    let server = Server::start(program, &vendors);
    let good = Good::start(server.address());
    target::give_way();
    let target = Rc::new(Target::new(server.address(), server.process(), vendors));
    let attacks: Vec<Attack> = [
        tcp::all(),
        http::all(),
        ask::all(),
        ws::all(),
        messages::all(),
        stream::all(),
        relay::all(),
        api::all(),
        providers::all(),
    ]
    .into_iter()
    .flatten()
    .filter(|attack| only.is_none_or(|word| attack.layer.contains(word) || attack.name.contains(word)))
    .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (begun, first) = (Instant::now(), server.resident());
    let mut layers: BTreeMap<&'static str, Layer> = BTreeMap::new();
    let mut failures = Vec::new();
    let mut slowest = Vec::new();
    for attack in &attacks {
        let layer = layers.entry(attack.layer).or_default();
        layer.attacks += 1;
        let began = Instant::now();
        let mut outcome = try_once(attack, &target, &server, &good).await;
        for _ in 1..TRIES {
            if outcome.wrong.is_none() || !server.is_alive() || good.broken().is_some() {
                break;
            }
            layer.again += 1;
            tokio::time::sleep(Duration::from_millis(500)).await;
            outcome = try_once(attack, &target, &server, &good).await;
        }
        slowest.push((
            outcome.wait,
            format!("{}: {} ({} ms)", attack.layer, attack.name, began.elapsed().as_millis()),
        ));
        layer.worst = layer.worst.max(outcome.wait);
        layer.growth = layer.growth.max(outcome.growth);
        if let Some(wrong) = outcome.wrong {
            layer.failed += 1;
            println!("{}: {}: {wrong}", attack.layer, attack.name);
            failures.push(format!("{}: {}", attack.layer, attack.name));
        }
        if !server.is_alive() || good.broken().is_some() {
            break;
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let left = server.resident().saturating_sub(first);
    println!("layer        attacks  again  failed  longest wait  memory");
    for (name, layer) in &layers {
        println!(
            "{name:<12} {:>7} {:>6} {:>7} {:>10} ms {:>5} MB",
            layer.attacks,
            layer.again,
            layer.failed,
            layer.worst.as_millis(),
            layer.growth / 1024
        );
    }
    slowest.sort_unstable();
    println!("which cost the good calls most:");
    for (wait, name) in slowest.iter().rev().take(5) {
        println!("  {:>3} ms  {name}", wait.as_millis());
    }
    println!(
        "{} attacks in {} s; five good calls, {} frames; memory {} MB before, {} MB more after",
        layers.values().map(|layer| layer.attacks).sum::<usize>(),
        begun.elapsed().as_secs(),
        good.frames(),
        first / 1024,
        left / 1024
    );
    if left > MOST_LEFT_KB {
        failures.push(format!("{left} kB were left"));
    }
    if failures.is_empty() {
        return std::process::ExitCode::SUCCESS;
    }
    println!("not survived:\n  {}", failures.join("\n  "));
    std::process::ExitCode::FAILURE
}
