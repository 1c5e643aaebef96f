//! The server under attack.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::target::{API_TOKEN, TOKEN};
use crate::vendors::Vendors;

/// Runs until it is dropped.
pub(crate) struct Server {
    child: Mutex<Child>,
    process: u32,
    address: String,
    folder: std::path::PathBuf,
}

impl Server {
    pub(crate) fn start(program: &str, vendors: &Vendors) -> Self {
        let folder = std::env::temp_dir().join(format!("offhook-attacks-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let routes: String = vendors
            .agents()
            .into_iter()
            .map(|(number, name, agent)| {
                let path = folder.join(format!("{name}.toml"));
                std::fs::write(&path, agent).unwrap();
                format!("[[route]]\nto = [\"{number}\"]\nagent = \"{}\"\n", path.display())
            })
            .collect();
        let config = folder.join("offhook.toml");
        // More requests of the owner's than usual; the good calls stay as long as all attacks.
        let text = format!(
            "agent = \"echo\"\nlisten = \"127.0.0.1:0\"\n[api]\nrequests_per_second = 1000.0\n[outbound]\nallow = \
             [\"+1415555\"]\n[call.timeouts]\nlongest_call = \"3h\"\nno_media = \"60s\"\n{routes}"
        );
        std::fs::write(&config, text).unwrap();
        let pinned = Command::new("taskset").arg("--version").output().is_ok()
            && std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        let mut command = if pinned {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", "0", program]);
            command
        } else {
            Command::new(program)
        };
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut child = command
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--record")
            .arg(&folder)
            .env("TWILIO_AUTH_TOKEN", TOKEN)
            .env("OFFHOOK_API_TOKEN", API_TOKEN)
            .env("ANY_KEY", "a-key-that-anybody-takes")
            .env_remove("PORT")
            .stderr(log)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().rsplit("://").next().unwrap().to_owned();
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(drop));
        let process = child.id();
        println!("the server's log and calls: {}", folder.display());
        Self { child: Mutex::new(child), process, address, folder }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) const fn process(&self) -> u32 {
        self.process
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.child.lock().unwrap().try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Memory in use, in kB.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        if child.try_wait().is_ok_and(|ended| ended.is_none()) && child.kill().is_ok() {
            let _ended = child.wait();
            // What a dead server leaves is kept for whoever looks into it.
            let _removed = std::fs::remove_dir_all(&self.folder);
        }
    }
}
