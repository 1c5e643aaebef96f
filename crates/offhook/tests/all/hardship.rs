//! What a server meets in its life: it is told to stop with hundreds of calls, the disk is full, descriptors run out, the process
//! stands still, the clock steps, nobody reads its log. No call suffers for it.

use std::time::Duration;

use offhook_simulator::{CallPlan, CallReport, Script, When, place};
use offhook_twilio::signature::AuthToken;
use offhook_twilio::{AccountSid, CallSid, StreamSid};

use crate::fake_twilio::TOKEN;
use crate::server::{Server, line};

fn plan(server: &Server, number: usize) -> CallPlan {
    CallPlan {
        url: format!("http://{}/voice", server.address),
        auth_token: Some(AuthToken::new(TOKEN)),
        call_sid: CallSid::parse(&format!("CA{number:032x}")).unwrap(),
        stream_sid: StreamSid::parse(&format!("MZ{number:032x}")).unwrap(),
        account_sid: AccountSid::parse("AC00000000000000000000000000000000").unwrap(),
        from: "+14155550100".into(),
        to: "+14155550101".into(),
        script: Script::new(vec![line("pizza-4", When::At(300))]),
        hang_up_after: Duration::from_millis(500),
        longest: Duration::from_secs(60),
        drop_after: None,
    }
}

async fn calls(server: &Server, count: usize) -> Vec<CallReport> {
    let all = (0..count).map(|number| place(plan(server, number), |_| {}));
    futures_util::future::join_all(all).await.into_iter().map(Result::unwrap).collect()
}

/// Everybody was answered, and nothing was wrong with it.
fn assert_served(reports: &[CallReport]) {
    for report in reports {
        assert_eq!(report.findings, Vec::<String>::new());
        assert!(!report.agent.is_empty(), "nothing came back");
        assert_eq!(report.after, ["Hangup"]);
    }
}

fn count(server: &Server, ending: &str) -> usize {
    let files = std::fs::read_dir(server.folder.path()).unwrap();
    files.filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().ends_with(ending)).count()
}

async fn metric(server: &Server, name: &str) -> f64 {
    let (_, page) = server.ask("GET", "/metrics", "", "").await;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
}

async fn until(server: &Server, name: &str, least: f64) {
    for _ in 0..600 {
        if metric(server, name).await >= least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} never was {least}");
}

#[tokio::test]
async fn nobody_of_two_hundred_is_cut_when_it_is_told_to_stop() {
    let mut server = Server::without_rest("echo");
    let stop = async {
        until(&server, "offhook_calls_in_progress", 200.0).await;
        server.signal("TERM");
    };
    let (reports, ()) = tokio::join!(calls(&server, 200), stop);
    assert_served(&reports);
    assert_eq!(server.ended().await, Some(0));
    // Each has its record and what is known of it besides, whole.
    let kept = (count(&server, ".call.json"), count(&server, ".json"), count(&server, ".part"));
    assert_eq!(kept, (200, 400, 0));
}

#[tokio::test]
async fn nobody_reads_the_log() {
    // The pipe is full from the beginning: whoever writes to it waits for ever.
    let server = Server::hindered("timeout 2 head -c 65536 /dev/zero >&2;", "echo");
    assert_served(&calls(&server, 20).await);
}

#[tokio::test]
async fn descriptors_run_out() {
    let server = Server::hindered("ulimit -n 64;", "echo");
    let held = async {
        // Whoever holds connections open keeps nobody out.
        let mut held = Vec::new();
        for _ in 0..100 {
            held.extend(tokio::net::TcpStream::connect(&server.address).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        held
    };
    let (reports, held) = tokio::join!(calls(&server, 5), held);
    assert_served(&reports);
    drop(held);
    assert_served(&[place(plan(&server, 99), |_| {}).await.unwrap()]);
}

#[tokio::test]
async fn the_process_stands_still_for_three_seconds() {
    let server = Server::without_rest("echo");
    let still = async {
        until(&server, "offhook_calls_in_progress", 20.0).await;
        server.signal("STOP");
        tokio::time::sleep(Duration::from_secs(3)).await;
        server.signal("CONT");
    };
    let (reports, ()) = tokio::join!(calls(&server, 20), still);
    for report in &reports {
        assert_eq!(report.findings, Vec::<String>::new());
        assert_eq!(report.after, ["Hangup"]);
    }
    assert_served(&[place(plan(&server, 99), |_| {}).await.unwrap()]);
}

#[tokio::test]
async fn the_disk_is_full() {
    let is_root =
        std::fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0);
    let may_mount =
        std::process::Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|it| it.success());
    if !is_root || !may_mount {
        println!("skipped: a small disk can't be mounted here");
        return;
    }
    // The configuration is in the folder: it is copied onto the small disk.
    let first = "folder=$(dirname \"$6\"); exec unshare --mount sh -c 'cp \"$1/offhook.toml\" /dev/shm/offhook-$$.toml; mount -t tmpfs \
                 -o size=128k tmpfs \"$1\"; cp /dev/shm/offhook-$$.toml \"$1/offhook.toml\"; rm /dev/shm/offhook-$$.toml; shift; exec \
                 \"$@\"' sh \"$folder\" \"$@\"; ";
    let server = Server::hindered(first, "echo");
    assert_served(&calls(&server, 20).await);
    until(&server, "offhook_disk_failures_total", 1.0).await;
    assert!(metric(&server, "offhook_disk_free_bytes").await < 128.0 * 1024.0);
    assert_served(&[place(plan(&server, 99), |_| {}).await.unwrap()]);
}

#[tokio::test]
async fn the_clock_steps_forward_and_back() {
    let libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let mut libraries = libraries.map(|of| format!("/usr/lib/{of}/faketime/libfaketime.so.1")).into_iter();
    let Some(library) = libraries.find(|path| std::path::Path::new(path).exists()) else {
        println!("skipped: Debian's package `faketime` is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let step = folder.path().join("step");
    std::fs::write(&step, "+0").unwrap();
    let first = format!(
        "export LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1;",
        step.display()
    );
    let server = Server::hindered(&first, "echo");
    let steps = async {
        until(&server, "offhook_calls_in_progress", 5.0).await;
        for by in ["+86400", "-86400"] {
            std::fs::write(&step, by).unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let (reports, ()) = tokio::join!(calls(&server, 5), steps);
    assert_served(&reports);
    // What was announced a moment ago is not too old.
    assert_served(&[place(plan(&server, 99), |_| {}).await.unwrap()]);
}
