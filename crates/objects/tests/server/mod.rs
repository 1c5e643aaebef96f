//! A real server of S3's protocol: moto's, from PyPI.
#![allow(dead_code, clippy::print_stderr, reason = "tests, and not each uses all of it")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Environment of a client: moto takes any credentials.
pub(crate) const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "a-test"), ("AWS_SECRET_ACCESS_KEY", "a-secret")];

pub(crate) struct Moto {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/objects/bin/moto_server");
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("moto_server"))
        .chain([target])
        .find(|path| path.is_file())
}

impl Moto {
    /// On this port, or a free one.
    pub(crate) fn start(port: Option<u16>) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: moto_server isn't installed (`make setup-tests`)");
            return None;
        };
        let port =
            port.unwrap_or_else(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moto = Self { child, port };
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let answer = moto.ask("PUT /calls");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Some(moto)
    }

    /// Asks as a client would that signs; moto looks at who signed, and not whether it is right.
    pub(crate) fn ask(&self, what: &str) -> String {
        let mut wire = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{what} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=a/20261201/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n"
        );
        wire.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        wire.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// All keys in the bucket.
    pub(crate) fn keys(&self) -> Vec<String> {
        let listed = self.ask("GET /calls?list-type=2");
        listed
            .split("<Key>")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned()))
            .collect()
    }
}
