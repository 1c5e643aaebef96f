//! Against a real server of S3's protocol: moto's, from PyPI (`make setup-tests` installs it into target/). Skipped where it is missing.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use offhook_objects::{Bucket, BucketSettings, Known, Objects, Settings};

mod server;

use server::{CREDENTIALS, Moto};

fn bucket(moto: &Moto) -> Bucket {
    let endpoint = Some(format!("http://127.0.0.1:{}", moto.port));
    let settings = BucketSettings { url: "s3://calls/eu".into(), endpoint, region: Some("us-east-1".into()) };
    // Plain HTTP: nobody is trusted.
    let roots = rustls::RootCertStore::empty();
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Bucket::new(&settings, tls.into()).unwrap()
}

/// A file that nobody has written to for an hour.
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3_600)).unwrap();
}

/// In a process of its own, which has credentials in its environment.
fn with_credentials(test: &str, run: impl FnOnce()) {
    if std::env::var_os("AWS_ACCESS_KEY_ID").is_some_and(|id| id == "a-test") {
        return run();
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .envs(CREDENTIALS)
        .status();
    assert!(status.unwrap().success());
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

#[test]
fn files_go_up_come_back_and_are_deleted() {
    with_credentials("files_go_up_come_back_and_are_deleted", || {
        let Some(moto) = Moto::start(None) else { return };
        let base = tempfile::tempdir().unwrap();
        let (own, tenant) = (base.path().join("calls"), base.path().join("calls/tenants/blue"));
        std::fs::create_dir_all(&tenant).unwrap();
        // 20 MB goes up in parts.
        let long: Vec<u8> = (0..20_000_000u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
        write(&own.join("CA1.wav"), &long);
        for name in ["CA1.json", "CA1_2.tape.jsonl.zst", "CA12.json", "CA3.json", "calls.db", "CA4.json.part"]
        {
            write(&own.join(name), name.as_bytes());
        }
        write(&tenant.join("CA1.json"), b"another's");
        let settings = Settings {
            folders: vec![(own.clone(), String::new()), (tenant.clone(), "tenants/blue/".into())],
            spool_bytes: 1 << 30,
            journal: base.path().join("deletions"),
        };
        // Another process writes to this one.
        write(&own.join("CA5.wav"), b"RIFF");
        let held = std::fs::File::open(own.join("CA5.wav")).unwrap();
        flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        // Of a call that was over this moment.
        std::fs::write(own.join("CA6.json"), b"{}").unwrap();
        let ask = |call: &str| match call {
            "CA3" => Known::InProgress,
            "CA6" => Known::Over,
            _ => Known::Unknown,
        };
        let objects = Objects::start(bucket(&moto), settings, Box::new(ask)).unwrap();
        block_on(async {
            objects.look().await;
            let mut left: Vec<String> = std::fs::read_dir(&own)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            left.sort();
            assert_eq!(left, ["CA3.json", "CA4.json.part", "CA5.wav", "CA6.json", "calls.db", "tenants"]);
            assert_eq!(objects.counters().uploaded.load(Ordering::Relaxed), 5);
            let got = objects.get(&own, "CA1.wav", 1 << 30).await.unwrap();
            assert!(got.is_some_and(|got| got == long));
            assert!(objects.get(&own, "CA1.wav", 1 << 20).await.is_err(), "longer than what was asked for");
            assert_eq!(objects.get(&own, "CA9.wav", 1 << 20).await.unwrap(), None);
            assert_eq!(objects.get(&tenant, "CA1.json", 100).await.unwrap().unwrap(), b"another's");

            let names = ["CA1".to_owned()].into();
            let deleted = objects.delete(&[&own], &names).await;
            assert_eq!((deleted.objects, deleted.bytes, deleted.failures), (3, 20_000_028, Vec::new()));
            assert_eq!(objects.get(&own, "CA1.json", 100).await.unwrap(), None);
            assert!(objects.get(&own, "CA12.json", 100).await.unwrap().is_some());
            assert!(objects.get(&tenant, "CA1.json", 100).await.unwrap().is_some());
        });
        let names =
            |folder| objects.list(folder).unwrap().into_iter().map(|object| object.key).collect::<Vec<_>>();
        assert_eq!(
            (names(&own), names(&tenant)),
            (vec!["CA12.json".to_owned()], vec!["CA1.json".to_owned()])
        );
        // The other process ends, and so does this one.
        drop(held);
        assert!(objects.settle(Duration::from_secs(60)));
        assert_eq!(names(&own), ["CA12.json", "CA5.wav", "CA6.json"]);
    });
}

#[test]
fn while_the_bucket_is_away_files_wait_and_deletions_too() {
    with_credentials("while_the_bucket_is_away_files_wait_and_deletions_too", || {
        let Some(moto) = Moto::start(None) else { return };
        let (port, bucket) = (moto.port, bucket(&moto));
        let base = tempfile::tempdir().unwrap();
        let own = base.path().to_owned();
        let settings = Settings {
            folders: vec![(own.clone(), String::new())],
            spool_bytes: 2_500,
            journal: base.path().join("deletions"),
        };
        let objects = Objects::start(bucket, settings, Box::new(|_| Known::Unknown)).unwrap();
        drop(moto); // killed
        for (number, name) in (0..).zip(["CA1.json", "CA2.json", "CA3.json"]) {
            write(&own.join(name), &[number; 1_000]);
            std::thread::sleep(Duration::from_millis(10));
        }
        block_on(async {
            objects.look().await;
            assert_eq!(
                objects.counters().dropped.load(Ordering::Relaxed),
                1,
                "the oldest went, the rest waits"
            );
            assert!(!own.join("CA1.json").exists() && own.join("CA2.json").exists());
            assert!(objects.counters().failed.load(Ordering::Relaxed) > 0);
            let deleted = objects.delete(&[&own], &["CA2".to_owned()].into()).await;
            assert_eq!(deleted.failures.len(), 1, "{deleted:?}");
            assert!(std::fs::read_to_string(own.join("deletions")).unwrap().contains("CA2"));
        });
        // The caller of `delete` deletes in the folder itself.
        std::fs::remove_file(own.join("CA2.json")).unwrap();
        let Some(moto) = Moto::start(Some(port)) else { return };
        block_on(async {
            objects.look().await;
            assert!(!own.join("CA3.json").exists() && !own.join("deletions").exists());
            assert_eq!(objects.get(&own, "CA3.json", 2_000).await.unwrap(), Some(vec![2; 1_000]));
        });
        drop(moto);
    });
}
