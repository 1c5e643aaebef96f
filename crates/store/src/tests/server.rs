//! A PostgreSQL server of the test's own, if this machine has the program (Debian's `postgresql`; `make setup-tests` installs it).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) struct Server {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    child: Option<Child>,
}

/// Where Debian keeps the server's programs; the newest.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|e| e.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop()
}

impl Server {
    /// `None`, with a word, where there is none.
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = programs() else {
            eprintln!("skipped: PostgreSQL isn't installed (`make setup-tests`)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, bin, port, child: None };
        if is_root() {
            // The server refuses to run as root.
            assert!(
                Command::new("chown")
                    .args(["-R", "postgres"])
                    .arg(server.folder.path())
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let data = server.data();
        let made = server
            .as_user("initdb")
            .args([
                "--auth=trust",
                "--username=offhook",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "-D",
            ])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        server.run();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn as_user(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        }
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn run(&mut self) {
        let (data, port) = (self.data(), self.port.to_string());
        let mut command = self.as_user("postgres");
        command.arg("-D").arg(&data).args(["-p", &port, "-k", "", "-c", "listen_addresses=127.0.0.1"]);
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        for _ in 0..300 {
            if postgres::Client::connect(&self.url("postgres"), postgres::NoTls).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("PostgreSQL did not start");
    }

    /// Ends it as a power cut would: SIGKILL to the server, whose children end by themselves.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // Until its children have noticed.
        let lock = self.data().join("postmaster.pid");
        let _gone = std::fs::remove_file(lock).is_ok();
        std::thread::sleep(Duration::from_millis(500));
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://offhook:unused@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// A database of its own.
    pub(crate) fn database(&self, name: &str) -> String {
        let mut client = postgres::Client::connect(&self.url("postgres"), postgres::NoTls).unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        self.url(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // In order, so that no shared memory stays.
            let _sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().is_ok();
            let _ended = child.wait().is_ok();
        }
    }
}

fn is_root() -> bool {
    Path::new("/proc/self").exists() && {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status.lines().any(|line| line.starts_with("Uid:\t0"))
    }
}
