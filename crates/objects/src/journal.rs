//! Deletions that the bucket has yet to take, on disk: what was to be deleted is, though the bucket was away and the server ended.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// What is to be deleted: a folder in the bucket, and what names there begin with.
pub(crate) type Wanted = (String, String);

/// The file: a line each, folder and name.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    open: BTreeSet<Wanted>,
}

impl Journal {
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let line =
            |line: &str| line.split_once('\t').map(|(folder, name)| (folder.to_owned(), name.to_owned()));
        Ok(Self { open: text.lines().filter_map(line).collect(), path })
    }

    /// Notes it, on disk.
    pub(crate) fn add(&mut self, wanted: impl IntoIterator<Item = Wanted>) -> io::Result<()> {
        self.open.extend(wanted);
        self.write()
    }

    /// It is done.
    pub(crate) fn done(&mut self, wanted: &Wanted) -> io::Result<()> {
        self.open.remove(wanted);
        self.write()
    }

    pub(crate) fn all(&self) -> Vec<Wanted> {
        self.open.iter().cloned().collect()
    }

    fn write(&self) -> io::Result<()> {
        if self.open.is_empty() {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let text: String = self.open.iter().map(|(folder, name)| format!("{folder}\t{name}\n")).collect();
        let beside = self.path.with_extension("part");
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        std::fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deletions");
        let wanted = |name: &str| (String::from("tenants/a/"), name.to_owned());
        let mut journal = Journal::open(path.clone()).unwrap();
        journal.add([wanted("CA1"), wanted("CA2")]).unwrap();
        journal.done(&wanted("CA1")).unwrap();
        let mut again = Journal::open(path.clone()).unwrap();
        assert_eq!(again.all(), [wanted("CA2")]);
        again.done(&wanted("CA2")).unwrap();
        assert!(!path.exists());
    }
}
