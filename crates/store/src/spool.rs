//! Documents that wait on disk while the database is away.
//!
//! Segments of lines, the oldest first. A line is a checksum and a row in JSON; one that a crash cut off was never acknowledged, and
//! is passed over. A segment is removed once its rows are in the database: if a crash comes between, they are written again, and
//! change nothing, for a row is known by its call's id and revision.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::row::Row;

/// A segment is closed when it is so long, in octets.
const SEGMENT: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    limit: u64,
    bytes: u64,
    segments: VecDeque<Segment>,
    current: Option<File>,
    next: u64,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    bytes: u64,
}

fn checksum(line: &[u8]) -> u64 {
    // FNV-1a: against what a crash cuts off, not against anybody.
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(line);
    hasher.finish()
}

impl Spool {
    /// Opens the folder, which is made for its owner alone; what is in it comes first.
    pub(crate) fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_suffix(".spool"))
                .and_then(|n| n.parse::<u64>().ok());
            if let Some(number) = number {
                found.push((number, Segment { path: entry.path(), bytes: entry.metadata()?.len() }));
            }
        }
        found.sort_by_key(|(number, _)| *number);
        let next = found.last().map_or(1, |(number, _)| number + 1);
        let segments: VecDeque<Segment> = found.into_iter().map(|(_, segment)| segment).collect();
        let bytes = segments.iter().map(|segment| segment.bytes).sum();
        Ok(Self { folder: folder.to_owned(), limit, bytes, segments, current: None, next })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes rows down, for good. False if there is no room for them.
    pub(crate) fn append(&mut self, rows: &[Row]) -> io::Result<bool> {
        let mut lines = Vec::new();
        for row in rows {
            let json = serde_json::to_vec(row)?;
            write!(lines, "{:016x} ", checksum(&json))?;
            lines.extend_from_slice(&json);
            lines.push(b'\n');
        }
        let length = lines.len() as u64;
        if self.bytes + length > self.limit {
            return Ok(false);
        }
        if self.current.is_none() {
            let path = self.folder.join(format!("{:012}.spool", self.next));
            self.current = Some(OpenOptions::new().create_new(true).append(true).mode(0o600).open(&path)?);
            self.next += 1;
            self.segments.push_back(Segment { path, bytes: 0 });
            File::open(&self.folder)?.sync_all()?;
        }
        let Some(file) = &mut self.current else { return Ok(false) };
        let written = file.write_all(&lines).and_then(|()| file.sync_data());
        if let Some(segment) = self.segments.back_mut() {
            segment.bytes += length;
            self.bytes += length;
            if segment.bytes >= SEGMENT || written.is_err() {
                // After a failure nobody knows what is in it: what follows goes into another.
                self.current = None;
            }
        }
        written.map(|()| true)
    }

    /// The rows of the oldest segment, and how many lines of it could not be read.
    pub(crate) fn oldest(&mut self) -> io::Result<(Vec<Row>, u64)> {
        let Some(segment) = self.segments.front() else { return Ok((Vec::new(), 0)) };
        let bytes = std::fs::read(&segment.path)?;
        // What is read is not written to any more.
        if self.segments.len() == 1 {
            self.current = None;
        }
        Ok(read(&bytes))
    }

    /// The oldest segment is in the database.
    pub(crate) fn remove_oldest(&mut self) -> io::Result<()> {
        if let Some(segment) = self.segments.front() {
            std::fs::remove_file(&segment.path)?;
            self.bytes = self.bytes.saturating_sub(segment.bytes);
            self.segments.pop_front();
        }
        Ok(())
    }

    /// Finds calls in it.
    pub(crate) fn find(&self, wanted: &dyn Fn(&Row) -> bool) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for segment in &self.segments {
            let (rows, _) = read(&std::fs::read(&segment.path)?);
            ids.extend(rows.into_iter().filter(|row| wanted(row)).map(|row| row.id().to_owned()));
        }
        let refused = self.refused()?;
        ids.extend(refused.into_iter().filter(|(_, row)| wanted(row)).map(|(_, row)| row.id().to_owned()));
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// Takes calls out of it. Gives how many rows they had.
    pub(crate) fn scrub(&mut self, ids: &[String]) -> io::Result<u64> {
        let mut gone = 0;
        self.current = None;
        for (path, row) in self.refused()? {
            if ids.iter().any(|id| id == row.id()) {
                std::fs::remove_file(path)?;
                gone += 1;
            }
        }
        for segment in &mut self.segments {
            let (rows, _) = read(&std::fs::read(&segment.path)?);
            let (out, kept): (Vec<Row>, Vec<Row>) =
                rows.into_iter().partition(|row| ids.iter().any(|id| id == row.id()));
            if out.is_empty() {
                continue;
            }
            gone += out.len() as u64;
            let mut lines = Vec::new();
            for row in kept {
                let json = serde_json::to_vec(&row)?;
                write!(lines, "{:016x} ", checksum(&json))?;
                lines.extend_from_slice(&json);
                lines.push(b'\n');
            }
            let temporary = segment.path.with_extension("part");
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(&lines)?;
            file.sync_data()?;
            std::fs::rename(&temporary, &segment.path)?;
            self.bytes = self.bytes.saturating_sub(segment.bytes) + lines.len() as u64;
            segment.bytes = lines.len() as u64;
        }
        Ok(gone)
    }

    /// The rows that the database has refused.
    fn refused(&self) -> io::Result<Vec<(PathBuf, Row)>> {
        let entries = match std::fs::read_dir(self.folder.join("refused")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let row =
            |path: PathBuf| Some((path.clone(), serde_json::from_slice(&std::fs::read(path).ok()?).ok()?));
        Ok(entries.flatten().filter_map(|entry| row(entry.path())).collect())
    }

    /// Keeps a row that the database refuses, for people to look at.
    pub(crate) fn set_aside(&self, row: &Row) -> io::Result<PathBuf> {
        let folder = self.folder.join("refused");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let name: String = row.id().chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let path = folder.join(format!("{name}.json"));
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(&serde_json::to_vec(row)?)?;
        Ok(path)
    }
}

fn read(bytes: &[u8]) -> (Vec<Row>, u64) {
    let (mut rows, mut damaged) = (Vec::new(), 0);
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let row = line.split_at_checked(17).and_then(|(sum, json)| {
            let sum = u64::from_str_radix(std::str::from_utf8(sum).ok()?.trim_end(), 16).ok()?;
            (sum == checksum(json)).then(|| serde_json::from_slice::<Row>(json).ok()).flatten()
        });
        match row {
            Some(row) => rows.push(row),
            None => damaged += 1,
        }
    }
    (rows, damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn row(id: &str) -> Row {
        Row::of(Document { id: id.into(), ..Document::default() }, None).unwrap()
    }

    #[test]
    fn what_a_crash_cut_off_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert!(spool.append(&[row("CA1"), row("CA2")]).unwrap());
        let path = spool.segments[0].path.clone();
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut again = Spool::open(folder.path(), 1 << 20).unwrap();
            let (rows, _) = again.oldest().unwrap();
            // A whole line counts even without its end.
            let known = usize::from(cut >= first - 1) + usize::from(cut >= whole.len() - 1);
            assert_eq!(rows.len(), known, "cut at {cut} of {}", whole.len());
        }
    }

    #[test]
    fn it_is_bounded_and_calls_can_be_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let one = row("CA1");
        let mut spool = Spool::open(folder.path(), 2_000).unwrap();
        let mut taken = 0;
        while spool.append(std::slice::from_ref(&one)).unwrap() {
            taken += 1;
        }
        assert!(taken > 0 && spool.bytes() <= 2_000);
        assert_eq!(spool.scrub(&["CA1".into()]).unwrap(), taken);
        assert!(spool.append(&[row("CA2")]).unwrap());
        spool.set_aside(&row("CA3")).unwrap();
        assert_eq!(spool.find(&|_| true).unwrap(), ["CA2", "CA3"]);
        assert_eq!(spool.scrub(&["CA3".into()]).unwrap(), 1);
        assert_eq!(spool.find(&|_| true).unwrap(), ["CA2"]);
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let text = files.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap());
        assert!(text.into_iter().all(|bytes| !String::from_utf8_lossy(&bytes).contains("CA1")));
    }
}
