//! A recording's file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::pieces::{self, Piece};
use crate::{Flac, Mixer, Wav};

/// In what form calls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// G.711 μ-law in WAV: the octets that went over the wire, 0.96 MB a minute.
    #[default]
    Wav,
    /// FLAC: the same sound, about half of that, and less the more silence there is.
    Flac,
}

impl Form {
    /// How its files' names end.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
        }
    }
}

#[derive(Debug)]
enum Packer {
    /// So many octets of sound are in the file.
    Wav(u32),
    Flac(Box<Flac>),
}

/// What is written in the place of a part of the file: encryption, by whoever has the key.
pub struct Seal(Part);
type Part = Box<dyn FnMut(&[u8]) -> io::Result<Vec<u8>> + Send>;

impl Seal {
    /// Each part of the file goes through this.
    #[must_use]
    pub fn new(part: impl FnMut(&[u8]) -> io::Result<Vec<u8>> + Send + 'static) -> Self {
        Self(Box::new(part))
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

/// A recording as it grows. After each [`Recording::take`] the file can be played, up to a second before.
#[derive(Debug)]
pub struct Recording {
    file: File,
    path: PathBuf,
    mixer: Mixer,
    packer: Packer,
    seal: Option<Seal>,
}

impl Recording {
    /// Makes the file, for its owner alone.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(path: &Path, form: Form) -> io::Result<Self> {
        Self::sealed(path, form, None)
    }

    /// The same, with what is written in the place of its parts. A WAV's header then says that there is no sound:
    /// [`Wav::whole`] sets it right once the file is opened.
    ///
    /// # Errors
    /// The disk's, or the seal's.
    pub fn sealed(path: &Path, form: Form, seal: Option<Seal>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        let mut head = Vec::new();
        let packer = match form {
            Form::Wav => {
                head = Wav::header(0);
                Packer::Wav(0)
            }
            Form::Flac => Packer::Flac(Box::new(Flac::new(&mut head).map_err(io::Error::other)?)),
        };
        let mut recording = Self { file, path: path.to_owned(), mixer: Mixer::default(), packer, seal };
        recording.append(&head)?;
        Ok(recording)
    }

    fn append(&mut self, part: &[u8]) -> io::Result<()> {
        match &mut self.seal {
            _ if part.is_empty() => Ok(()),
            Some(seal) => self.file.write_all(&(seal.0)(part)?),
            None => self.file.write_all(part),
        }
    }

    /// The file itself, for whoever locks it.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes what was noted. Gives the octets written.
    ///
    /// # Errors
    /// The disk's.
    pub fn take(&mut self, log: &[u8]) -> io::Result<u64> {
        let (mut sound, mut last) = (Vec::new(), None);
        for (us, piece) in pieces::read(log) {
            last = Some(us);
            match piece {
                Piece::Caller(timestamp, octets) => self.mixer.caller(us, timestamp, octets),
                Piece::Agent(octets) => self.mixer.agent(us, octets),
                Piece::Clear => self.mixer.clear(us),
                Piece::End => {
                    self.mixer.finish(us, &mut sound);
                    return self.write(&sound, true);
                }
            }
        }
        if let Some(us) = last {
            self.mixer.take(us, &mut sound);
        }
        self.write(&sound, false)
    }

    fn write(&mut self, sound: &[u8], is_last: bool) -> io::Result<u64> {
        let written = match &mut self.packer {
            Packer::Wav(length) => {
                *length = length.saturating_add(u32::try_from(sound.len()).unwrap_or(u32::MAX));
                let header = Wav::header(*length);
                self.append(sound)?;
                if self.seal.is_none() {
                    self.file.write_all_at(&header, 0)?;
                }
                sound.len()
            }
            Packer::Flac(flac) => {
                let mut packed = Vec::new();
                flac.push(sound, &mut packed).map_err(io::Error::other)?;
                if is_last {
                    flac.finish(&mut packed).map_err(io::Error::other)?;
                }
                self.append(&packed)?;
                packed.len()
            }
        };
        if is_last {
            self.file.sync_data()?;
        }
        Ok(written as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds: the caller counts, the agent answers and is interrupted.
    fn call() -> Vec<u8> {
        let mut log = Vec::new();
        for frame in 0..500u64 {
            let octet = u8::try_from(frame % 128).unwrap();
            pieces::note(&mut log, frame * 20_000 + 20_000, Piece::Caller(Some(frame * 20), &[octet; 160]));
            if frame % 50 < 20 {
                pieces::note(&mut log, frame * 20_000 + 20_000, Piece::Agent(&[octet; 320]));
            }
            if frame % 50 == 22 {
                pieces::note(&mut log, frame * 20_000 + 20_000, Piece::Clear);
            }
        }
        log
    }

    #[test]
    fn a_recording_plays_at_every_moment() {
        let folder = tempfile::tempdir().unwrap();
        for form in [Form::Wav, Form::Flac] {
            let path = folder.path().join(format!("call.{}", form.extension()));
            let mut recording = Recording::create(&path, form).unwrap();
            let log = call();
            let mut seen = 0;
            for piece in log.chunks(log.len() / 7 / 179 * 179) {
                // A frame may be cut in two here; whoever notes never does that.
                recording.take(piece).unwrap();
                let length = length_of(&path, form);
                assert!(length >= seen);
                seen = length;
            }
            let mut end = Vec::new();
            pieces::note(&mut end, 10_000_000, Piece::End);
            recording.take(&end).unwrap();
            let length = length_of(&path, form);
            assert!((79_000..=80_400).contains(&length), "{form:?}: {length} samples");
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn parts_go_through_the_seal() {
        let folder = tempfile::tempdir().unwrap();
        for form in [Form::Wav, Form::Flac] {
            let (plain, sealed) = (folder.path().join("plain"), folder.path().join("sealed"));
            let seal = Seal::new(|part| Ok(part.iter().map(|octet| octet ^ 0x55).collect()));
            let mut first = Recording::create(&plain, form).unwrap();
            let mut second = Recording::sealed(&sealed, form, Some(seal)).unwrap();
            for recording in [&mut first, &mut second] {
                let mut log = call();
                pieces::note(&mut log, 10_000_000, Piece::End);
                recording.take(&log).unwrap();
            }
            let opened = std::fs::read(&sealed).unwrap().into_iter().map(|octet| octet ^ 0x55).collect();
            assert_eq!(Wav::whole(opened), std::fs::read(&plain).unwrap(), "{form:?}");
        }
    }

    /// Samples of a side, by the file's own words or another's decoder.
    fn length_of(path: &Path, form: Form) -> usize {
        let file = std::fs::read(path).unwrap();
        match form {
            Form::Wav => {
                let said = u32::from_le_bytes(file[54..58].try_into().unwrap()) as usize;
                assert_eq!(said, file.len() - 58);
                said / 2
            }
            Form::Flac => {
                let mut reader = claxon::FlacReader::new(file.as_slice()).unwrap();
                reader.samples().map_while(Result::ok).count() / 2
            }
        }
    }
}
