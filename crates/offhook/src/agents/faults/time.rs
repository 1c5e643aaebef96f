//! The time in which calls of the matrix run.
//!
//! On virtual time the clock stands still while there is anything to do and jumps when there is not (tokio's paused clock). Two
//! things go on outside of it. The sockets to the doubles are the kernel's (without Nagle's algorithm, whose timers are real), and a piece that is on its way through one doesn't
//! hold the clock: so it never jumps by more than a millisecond, which is what each hop may seem to last. Native voices
//! and recognisers work on threads of their own: while one of them has something to do the clock is held, so that their
//! work takes no time. What it takes on a machine is measured by the rehearsal in real time.

use std::future::Future;
use std::time::Duration;

use offhook_providers::embedded::native_jobs;
use tokio::task::LocalSet;

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As fast as the machine works.
    Virtual,
    /// As it does.
    Real,
}

/// The clock's longest jump.
const TICK: Duration = Duration::from_millis(1);

/// Runs this on a thread of its own, as a server's worker does.
pub(super) fn run<T>(pace: Pace, what: impl Future<Output = T>) -> T {
    let paused = pace == Pace::Virtual;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(paused).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        if paused {
            tokio::task::spawn_local(tick());
        }
        what.await
    })
}

async fn tick() {
    loop {
        while native_jobs() > 0 {
            std::thread::sleep(Duration::from_micros(100));
        }
        tokio::time::sleep(TICK).await;
    }
}

#[test]
fn minutes_pass_at_once_and_what_goes_through_a_socket_seems_to_take_a_moment() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let begun = std::time::Instant::now();
    run(Pace::Virtual, async {
        let begun = tokio::time::Instant::now();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut ours = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        tokio::task::spawn_local(async move {
            while let Ok(octet) = theirs.read_u8().await {
                theirs.write_u8(octet).await.unwrap();
            }
        });
        for round in 0..50 {
            ours.write_u8(round).await.unwrap();
            assert_eq!(ours.read_u8().await.unwrap(), round);
        }
        assert!(begun.elapsed() < 120 * TICK, "{:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_secs(600)).await;
    });
    assert!(begun.elapsed() < Duration::from_secs(300));
}
