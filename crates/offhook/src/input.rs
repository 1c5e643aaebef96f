//! Files that people name: nobody waits for a pipe that nobody writes to, and none is so large that it fills the memory.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, ensure};
use offhook_store::Keys;

/// Where the keys of encrypted tapes are.
const KEYS: &str = "OFFHOOK_STORE_KEY";
/// Longest configuration, agent or script, in octets.
const LONGEST_TEXT: u64 = 4 * 1024 * 1024;
/// Longest sound or tape: at 8 kHz and 16 bit nine hours.
const LONGEST_SOUND: u64 = 512 * 1024 * 1024;

/// Reads a text, such as a configuration.
///
/// # Errors
/// It can't be read, is no file, too long, or no UTF-8. The path is not named.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let octets = read(path, LONGEST_TEXT)?;
    String::from_utf8(octets).map_err(|_| anyhow::anyhow!("it is no text in UTF-8"))
}

/// Reads sound, or a tape; encrypted ones by the keys in the environment, and `s3://BUCKET/KEY` from a bucket.
///
/// # Errors
/// The same, or no key fits.
pub(crate) fn octets(path: &Path) -> anyhow::Result<Vec<u8>> {
    let octets = match path.to_str().filter(|path| path.starts_with("s3://")) {
        Some(address) => crate::objects::read(address, LONGEST_SOUND)?,
        None => read(path, LONGEST_SOUND)?,
    };
    let keys = std::env::var(KEYS).ok().filter(|keys| !keys.trim().is_empty());
    let keys = keys.map(|keys| Keys::parse(&keys)).transpose().context(KEYS)?;
    Keys::open(keys.as_ref(), &octets).with_context(|| format!("the keys are read from {KEYS}"))
}

fn read(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata().map_or(0, |about| about.len());
    let mut octets = Vec::with_capacity(usize::try_from(length.min(most)).unwrap_or(0));
    file.take(most + 1).read_to_end(&mut octets).context("it can't be read")?;
    let fits = u64::try_from(octets.len()).is_ok_and(|read| read <= most);
    ensure!(fits, "it is larger than {} MiB, more than is read here", most / (1024 * 1024));
    Ok(octets)
}

fn open(path: &Path) -> anyhow::Result<File> {
    // What the shell opened for us, such as `<(command)`, is being written to.
    if path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd") {
        return File::open(path).context("it can't be opened");
    }
    // A pipe without a writer is opened at once so, and then seen for what it is.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    ensure!(!about.is_dir(), "it is a folder");
    ensure!(about.is_file(), "it is no file, but a pipe, a socket or a device");
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_too_large_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| folder.path().join(name);
        let why = |path: &Path| format!("{:#}", text(path).unwrap_err());
        std::fs::write(named("good"), "agent = \"pizza\"").unwrap();
        assert_eq!(text(&named("good")).unwrap(), "agent = \"pizza\"");
        let made = std::process::Command::new("mkfifo").arg(named("pipe")).status().unwrap();
        assert!(made.success());
        assert!(why(&named("pipe")).contains("pipe"));
        assert!(why(folder.path()).contains("folder"));
        assert!(why(Path::new("/dev/zero")).contains("device"));
        assert!(why(&named("none")).contains("No such file"));
        let large = File::create(named("large")).unwrap();
        large.set_len(LONGEST_TEXT + 1).unwrap();
        assert!(why(&named("large")).contains("larger than 4 MiB"));
        std::fs::write(named("sound"), [0xff, 0xfe]).unwrap();
        assert!(why(&named("sound")).contains("UTF-8"));
        assert_eq!(octets(&named("sound")).unwrap(), [0xff, 0xfe]);
    }
}
