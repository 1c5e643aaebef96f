//! What systemd is told, and the socket that it hands over.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixDatagram};

use crate::server::Server;

const CONFIG: &str = "listen = \"127.0.0.1:0\"\n";

async fn told(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = tokio::time::timeout(Duration::from_secs(30), socket.recv(&mut buffer)).await;
    let length = length.expect("systemd is told nothing").unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// The next that isn't the watchdog's.
async fn state(socket: &UnixDatagram) -> String {
    loop {
        let told = told(socket).await;
        if told.trim() != "WATCHDOG=1" {
            return told;
        }
    }
}

#[tokio::test]
async fn readiness_reload_watchdog_and_end_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "600000").stderr(Stdio::null());
    let mut server = Server::run_as(command, tempfile::tempdir().unwrap(), CONFIG, &["--agent", "echo"]);
    assert!(told(&socket).await.contains("READY=1"));
    assert_eq!(told(&socket).await.trim(), "WATCHDOG=1");
    server.signal("HUP");
    let reloading = state(&socket).await;
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(state(&socket).await.contains("READY=1"));
    server.signal("TERM");
    assert!(state(&socket).await.contains("STOPPING=1"));
    assert_eq!(server.ended().await, Some(0));
}

/// The server of a socket that is open already.
fn on(listener: &TcpListener) -> Server {
    let mut command = Command::new("sh");
    // The socket comes as descriptor 0, systemd's are from 3 on.
    let first = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3<&0 0</dev/null";
    command.args(["-c", first, "sh", env!("CARGO_BIN_EXE_offhook")]);
    command.stdin(OwnedFd::from(listener.try_clone().unwrap())).stderr(Stdio::null());
    Server::run_as(command, tempfile::tempdir().unwrap(), CONFIG, &["--agent", "echo"])
}

#[tokio::test]
async fn who_calls_while_the_server_restarts_waits_and_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut server = on(&listener);
    assert_eq!((server.address.as_str(), server.ask("GET", "/healthz", "", "").await.0), (&*address, 200));
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));
    // Nobody listens; systemd holds the socket.
    let mut waiting = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    waiting.write_all(request.as_bytes()).await.unwrap();
    let _server = on(&listener);
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn the_units_are_right() {
    let there = Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        println!("skipped: systemd is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let units: Vec<PathBuf> =
        ["offhook.service", "offhook.socket"].map(|name| unit(name, folder.path())).into();
    let verified = Command::new("systemd-analyze").arg("verify").args(&units).output().unwrap();
    let told = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && !told.contains("offhook."), "{told}");
}

/// A unit, of the program that was built.
fn unit(name: &str, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name));
    let text = text.unwrap().replace("/usr/local/bin/offhook", env!("CARGO_BIN_EXE_offhook"));
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
