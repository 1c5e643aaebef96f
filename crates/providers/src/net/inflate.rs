//! Answers that come compressed (RFC 1952, RFC 1950).

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::{GzDecoder, ZlibDecoder};

/// A piece of an answer that becomes longer than this is an attack.
const LONGEST_PIECE: usize = 4 * 1024 * 1024;

/// Undoes a compression, piece by piece.
#[derive(Debug)]
pub(super) enum Inflate {
    Gzip(Box<GzDecoder<Capped>>),
    Zlib(Box<ZlibDecoder<Capped>>),
}

/// What came out of a piece.
#[derive(Debug, Default)]
pub(super) struct Capped(Vec<u8>);

impl std::io::Write for Capped {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + octets.len() > LONGEST_PIECE {
            return Err(std::io::Error::other("it becomes longer than any answer"));
        }
        self.0.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Inflate {
    /// For this `content-encoding`. `None`: it is none that we know.
    pub(super) fn new(encoding: &str) -> Option<Self> {
        match encoding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip(Box::new(GzDecoder::new(Capped::default())))),
            "deflate" => Some(Self::Zlib(Box::new(ZlibDecoder::new(Capped::default())))),
            _ => None,
        }
    }

    /// What a piece becomes; perhaps nothing yet.
    pub(super) fn push(&mut self, piece: &[u8]) -> std::io::Result<Bytes> {
        let out = match self {
            Self::Gzip(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
            Self::Zlib(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
        };
        Ok(Bytes::from(std::mem::take(&mut out.0)))
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    #[test]
    fn pieces_become_what_they_were() {
        let text = "data: {\"a\": 1}\n\n".repeat(1_000);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(text.as_bytes()).unwrap();
        for (encoding, octets) in [("gzip", gzip.finish().unwrap()), ("Deflate", zlib.finish().unwrap())] {
            let mut inflate = Inflate::new(encoding).unwrap();
            let all: Vec<u8> =
                octets.chunks(7).flat_map(|piece| inflate.push(piece).unwrap().to_vec()).collect();
            assert_eq!(all, text.as_bytes(), "{encoding}");
        }
        assert!(Inflate::new("br").is_none() && Inflate::new("identity").is_none());
    }

    #[test]
    fn a_bomb_is_an_error() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![0; 64 * 1024 * 1024]).unwrap();
        let bomb = gzip.finish().unwrap();
        assert!(bomb.len() < 100_000);
        assert!(Inflate::new("gzip").unwrap().push(&bomb).is_err());
    }
}
