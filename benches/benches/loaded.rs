//! What the engine adds when its core has much to do: more and more calls, then as many as make 70 % of a core.
//!
//! A worker as the server has it on one core, Twilio's side of all calls on another. Each frame bears the time at which it
//! was sent, so that what is measured holds the kernel's part, and the wait for a worker that is busy with other calls.
//! Columns: the worker's share of its core in percent, and for how much of the time others had it; to the recogniser's queue;
//! to a recogniser on the same worker; how late sound left the call; from there into the socket; the load's own lateness.
//!
//! `STEPS=100,500 WINDOW=20 cargo bench --package offhook-benches --bench loaded`: calls at once, seconds measured.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench: what does not work here shall end it, and it is a table"
)]

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use offhook_benches::probes::{Ears, Mind, Mouth, line, quantile, tone};

use offhook_conversation::{Deadline, Input, Output};
use offhook_media_line::{CallConfig, Histogram, MediaInput, MediaLine, MediaWire};
use offhook_session::{Observer, SessionEnd, Setup, StageSet, serve_call, socket_config};
use offhook_simulator::load::{LoadPlan, LoadReport, load, sent_us};
use offhook_stage_api::{CallTime, SttCommand};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::Instant;
use tokio_tungstenite::accept_async_with_config;

/// The server's core and the load's.
const CORES: [usize; 2] = [0, 1];
/// What is judged: so much of a core.
const FULL: f64 = 0.7;
/// A caller speaks so often; within the same time all calls begin, so that they don't speak all at once.
const EVERY: Duration = Duration::from_secs(8);
const ANSWER: Duration = Duration::from_secs(2);

/// Microseconds from the sending of each frame in the window.
#[derive(Default)]
struct Times(Mutex<Vec<u32>>);

impl Times {
    fn sorted(&self) -> Vec<u32> {
        let mut times = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        times.sort_unstable();
        times
    }
}

/// What the probes note, and when.
struct Probes {
    zero: Instant,
    from: Instant,
    until: Instant,
    queued: Times,
    taken: Times,
}

impl Probes {
    fn note(&self, times: &Times, frame: &[u8; 160]) {
        let now = Instant::now();
        if let Some(us) = sent_us(frame)
            && (self.from..self.until).contains(&now)
        {
            let since = (now - self.zero).as_micros() as u64 - us;
            times.0.lock().unwrap_or_else(PoisonError::into_inner).push(since as u32);
        }
    }
}

/// What a worker has to tell.
#[derive(Default)]
struct Served {
    calls: usize,
    failed: Vec<String>,
    pacing: Histogram,
    /// From the call's giving sound to the socket's having it.
    writing: Histogram,
    dropped: u64,
    busy: f64,
    robbed: f64,
}

/// Looks over a call's shoulder.
struct Shoulder {
    probes: Arc<Probes>,
    given: Rc<Cell<Option<Instant>>>,
}

impl Observer<MediaLine> for Shoulder {
    fn input(&mut self, _: CallTime, _: &Input<MediaInput<'_>>, _: Option<Deadline>) {}

    fn output(&mut self, _: CallTime, output: &Output<MediaWire>) {
        match output {
            Output::Stt(SttCommand::Audio { frame, .. }) => self.probes.note(&self.probes.queued, &frame.0),
            Output::Wire(MediaWire::Media(_)) => {
                self.given.set(self.given.get().or_else(|| Some(Instant::now())))
            }
            _ => {}
        }
    }
}

/// A socket that tells when it took the sound that was given.
struct Noting {
    stream: TcpStream,
    given: Rc<Cell<Option<Instant>>>,
    served: Rc<RefCell<Served>>,
}

impl AsyncRead for Noting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Noting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        if written.is_ready()
            && let Some(given) = self.given.take()
        {
            self.served.borrow_mut().writing.add(given.elapsed());
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

async fn serve(stream: TcpStream, stages: StageSet, probes: Arc<Probes>, served: Rc<RefCell<Served>>) {
    let given = Rc::new(Cell::new(None));
    let stream = Noting { stream, given: Rc::clone(&given), served: Rc::clone(&served) };
    let socket = accept_async_with_config(stream, Some(socket_config())).await.expect("a WebSocket");
    let until = probes.until;
    let setup = Setup::new(Arc::new(CallConfig::default()), stages, "en-US");
    let report = serve_call(socket, |_| Ok(setup), |_| Shoulder { probes, given }).await;
    let mut served = served.borrow_mut();
    served.calls += 1;
    served.pacing.merge(&report.totals.pacing);
    served.dropped += report.dropped_audio;
    // At the window's end the load goes without waiting for an answer.
    if let SessionEnd::Failed(why) = report.end
        && Instant::now() < until
    {
        served.failed.push(why.to_string());
    }
}

fn stages(probes: &Arc<Probes>) -> StageSet {
    let noting = Arc::clone(probes);
    StageSet {
        stt: Arc::new(Ears {
            on_frame: Arc::new(move |frame| noting.note(&noting.taken, frame)),
            words: Some("two large pepperoni pizzas please"),
        }),
        turn: None,
        llm: Arc::new(Mind { answer: Some("Two large pepperoni pizzas. Anything else?") }),
        // Two sentences, each half of it.
        tts: Arc::new(Mouth { on_sound: Arc::new(|| {}), sound: tone(ANSWER / 2) }),
    }
}

fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set).expect("a core");
}

/// This thread's time on its core.
fn busy() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How long this thread waited for a core that others had: by the scheduler, and by the machine that this one runs on.
fn robbed(core: usize) -> Duration {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let waited = number(read("/proc/thread-self/schedstat").split_whitespace().nth(1));
    let (stat, name) = (read("/proc/stat"), format!("cpu{core} "));
    let stolen = stat.lines().find(|line| line.starts_with(&name));
    let stolen = number(stolen.and_then(|line| line.split_whitespace().nth(8)));
    Duration::from_nanos(waited) + Duration::from_millis(stolen * 10)
}

/// A worker on its core, until all calls that came are over.
fn work(probes: &Arc<Probes>, address: &mpsc::Sender<SocketAddr>) -> Served {
    pin(CORES[0]);
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let runtime = runtime.expect("a runtime");
    let served = Rc::new(RefCell::new(Served::default()));
    let (in_all, stages) = (Rc::new(Cell::new(0)), stages(probes));
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        address.send(listener.local_addr().expect("an address")).expect("the load waits for it");
        let (probes, reports, begun) = (Arc::clone(probes), Rc::clone(&served), Rc::clone(&in_all));
        let (from, until) = (probes.from, probes.until);
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("no delay");
                begun.set(begun.get() + 1);
                tokio::task::spawn_local(serve(
                    stream,
                    stages.clone(),
                    Arc::clone(&probes),
                    Rc::clone(&reports),
                ));
            }
        });
        tokio::time::sleep_until(from).await;
        let (before, lost, since) = (busy(), robbed(CORES[0]), Instant::now());
        tokio::time::sleep_until(until).await;
        let share =
            |now: Duration, then: Duration| (now - then).as_secs_f64() / since.elapsed().as_secs_f64();
        let shares = (share(busy(), before), share(robbed(CORES[0]), lost));
        while served.borrow().calls < in_all.get() && until.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut served = served.borrow_mut();
        (served.busy, served.robbed) = shares;
    });
    served.take()
}

/// So many calls at once: prints a row, gives the worker's and others' shares of its core, and what is judged.
fn step(calls: usize, window: Duration) -> ([f64; 2], [Duration; 2]) {
    let mut sound = line("pizza-1");
    let speech = sound.len();
    assert!(speech > 0, "a caller's line is missing");
    sound.resize((EVERY.as_millis() / 20) as usize, [0xFF; 160]);
    let zero = Instant::now();
    let mut plan = LoadPlan {
        url: String::new(),
        auth_token: None,
        calls,
        ramp: EVERY,
        window,
        sound,
        speech,
        echo: false,
        server: None,
        punctual: true,
        stamps: Some(zero),
    };
    let from = zero + plan.until_window();
    let (queued, taken) = (Times::default(), Times::default());
    let probes = Arc::new(Probes { zero, from, until: from + window, queued, taken });
    let (sender, address) = mpsc::channel();
    let watched = Arc::clone(&probes);
    let worker = std::thread::Builder::new().name("worker-0".into());
    let worker = worker.spawn(move || work(&watched, &sender)).expect("a thread");
    plan.url = format!("ws://{}/", address.recv().expect("a worker"));
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let report = runtime.block_on(load(plan));
    let served = worker.join().expect("a worker");
    tell(&report, &served, &probes)
}

fn tell(report: &LoadReport, served: &Served, probes: &Probes) -> ([f64; 2], [Duration; 2]) {
    let (queued, taken) = (probes.queued.sorted(), probes.taken.sorted());
    let of_times = |times: &[u32]| [0.5, 0.99, 0.999, 1.0].map(|share| u128::from(quantile(times, share)));
    let of_histogram =
        |histogram: &Histogram| [0.5, 0.99, 0.999, 1.0].map(|share| histogram.quantile(share).as_micros());
    print!("{:>5} {:>5.1} {:>6.1} ", report.calls, served.busy * 100.0, served.robbed * 100.0);
    for group in [of_times(&queued), of_times(&taken), of_histogram(&served.pacing)] {
        print!(" {:>7} {:>6} {:>6} {:>7} ", group[0], group[1], group[2], group[3]);
    }
    let writing = served.writing.quantile(0.999).as_micros();
    println!(" {writing:>6} {:>6.0} {:>7}", report.own_lateness_ms.p99 * 1_000.0, served.dropped);
    let failed = report.failures.iter().chain(&served.failed).next();
    if let Some(why) = failed {
        println!("      {} calls failed: {why}", report.failed + served.failed.len());
    }
    if report.gaps + report.unanswered > 0 {
        println!("      {} gaps in voices, {} turns unanswered", report.gaps, report.unanswered);
    }
    let p99 = Duration::from_micros(quantile(&queued, 0.99).into());
    ([served.busy, served.robbed], [p99, served.pacing.quantile(0.999)])
}

fn main() {
    // `cargo bench -- --test` and listings only want to know that it runs.
    let listing = std::env::args().any(|argument| argument == "--list" || argument == "--test");
    if listing {
        return;
    }
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
        println!("two cores are needed: one for the server, one for the load");
        return;
    }
    let setting = |name, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let steps = setting("STEPS", "100,300,500,700,900");
    let window = Duration::from_secs(setting("WINDOW", "16").parse().expect("WINDOW is in seconds"));
    pin(CORES[1]);
    println!(
        "{:<18}  {:<29}  {:<29}  {:<29}  {:>6} {:>6}",
        "", "frame → queue, µs", "frame → recogniser, µs", "sound's lateness, µs", "write", "load"
    );
    print!("calls  busy robbed ");
    (0..3).for_each(|_| print!(" {:>7} {:>6} {:>6} {:>7} ", "p50", "p99", "p99.9", "most"));
    println!(" {:>6} {:>6} {:>7}", "p99.9", "p99", "dropped");
    let mut nearest: Option<(f64, usize)> = None;
    for calls in steps.split(',') {
        let calls = calls.trim().parse().expect("STEPS is a list of numbers");
        let ([busy, robbed], _) = step(calls, window);
        if nearest.is_none_or(|(other, _)| (busy - FULL).abs() < (other - FULL).abs()) {
            nearest = Some((busy, calls));
        }
        if busy + robbed > 0.9 {
            break;
        }
    }
    let Some((busy, calls)) = nearest else { return };
    // Round numbers: the share isn't known better.
    let full = ((calls as f64 * FULL / busy / 10.0).round() as usize).max(1) * 10;
    let ([busy, robbed], [frame, pacing]) = step(full, window);
    println!(
        "\n{full} calls, {:.0} % of a core, {:.1} % taken by others: frame → queue p99 {frame:?} (aim: 1 ms), sound's lateness p99.9 {pacing:?} (aim: 5 ms)",
        busy * 100.0,
        robbed * 100.0
    );
}
