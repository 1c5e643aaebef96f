//! FLAC: the same sound without loss, in about half the room of the WAV's linear form; players know it.
//! Source: RFC 9639. A stream of unknown length, in blocks of 512 ms: each can be played by itself.

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, StreamInfo};
use flacenc::config;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Fill, FrameBuf};
use offhook_mulaw::decode;

use crate::RATE;

/// Samples of a block and side.
const BLOCK: usize = 4_096;

/// Why sound could not be packed: a fault of this program.
#[derive(Debug, thiserror::Error)]
#[error("FLAC: {0}")]
pub struct FlacError(String);

fn fault(error: impl std::fmt::Debug) -> FlacError {
    FlacError(format!("{error:?}"))
}

/// Packs a call's sound.
#[derive(Debug)]
pub struct Flac {
    config: Verified<config::Encoder>,
    info: StreamInfo,
    /// Both sides in turn, less than a block.
    waiting: Vec<i32>,
    blocks: usize,
}

impl Flac {
    /// A new file; what it begins with goes to `out`.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn new(out: &mut Vec<u8>) -> Result<Self, FlacError> {
        let config = config::Encoder::default().into_verified().map_err(fault)?;
        let mut info = StreamInfo::new(RATE as usize, 2, 16).map_err(fault)?;
        info.set_block_sizes(BLOCK, BLOCK).map_err(fault)?;
        out.extend_from_slice(b"fLaC");
        // The last block of metadata, of type STREAMINFO, 34 octets.
        out.extend_from_slice(&[0x80, 0, 0, 34]);
        let block = u16::try_from(BLOCK).unwrap_or(u16::MAX).to_be_bytes();
        out.extend_from_slice(&[block, block].concat());
        // Frames' sizes are unknown.
        out.extend_from_slice(&[0; 6]);
        // 20 bits rate, 3 bits channels less one, 5 bits of a sample less one, 36 bits of the length, which is unknown.
        let packed = (u64::from(RATE) << 44) | (1 << 41) | (15 << 36);
        out.extend_from_slice(&packed.to_be_bytes());
        // No digest.
        out.extend_from_slice(&[0; 16]);
        Ok(Self { config, info, waiting: Vec::with_capacity(2 * BLOCK), blocks: 0 })
    }

    /// Packs μ-law octets, left and right in turn; whole blocks go to `out`.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn push(&mut self, sound: &[u8], out: &mut Vec<u8>) -> Result<(), FlacError> {
        for octet in sound {
            self.waiting.push(i32::from(decode(*octet)));
            if self.waiting.len() == 2 * BLOCK {
                self.block(out)?;
            }
        }
        Ok(())
    }

    /// Packs the rest.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), FlacError> {
        // The shortest block that the encoder makes: 4 ms of silence more at most.
        if !self.waiting.is_empty() && self.waiting.len() < 64 {
            self.waiting.resize(64, 0);
        }
        if self.waiting.is_empty() { Ok(()) } else { self.block(out) }
    }

    fn block(&mut self, out: &mut Vec<u8>) -> Result<(), FlacError> {
        let mut buffer = FrameBuf::with_size(2, self.waiting.len() / 2).map_err(fault)?;
        buffer.fill_interleaved(&self.waiting).map_err(fault)?;
        self.waiting.clear();
        let frame = flacenc::encode_fixed_size_frame(&self.config, &buffer, self.blocks, &self.info)
            .map_err(fault)?;
        self.blocks += 1;
        let mut sink = ByteSink::new();
        frame.write(&mut sink).map_err(|_| FlacError("a block can't be written".to_owned()))?;
        out.extend_from_slice(sink.as_slice());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something like speech: loud and soft, and both sides differ.
    fn sound(samples: usize) -> Vec<u8> {
        let at = |n: usize, hz: f32, loud: f32| {
            let t = n as f32 / RATE as f32;
            let envelope = (t * 3.0).sin().abs();
            offhook_mulaw::encode(((t * hz * std::f32::consts::TAU).sin() * loud * envelope) as i16)
        };
        (0..samples).flat_map(|n| [at(n, 310.0, 9_000.0), at(n, 170.0, 4_000.0)]).collect()
    }

    fn unpacked(file: &[u8]) -> Vec<i32> {
        let mut reader = claxon::FlacReader::new(file).unwrap();
        let info = reader.streaminfo();
        assert_eq!(
            (info.sample_rate, info.channels, info.bits_per_sample, info.samples),
            (8_000, 2, 16, None)
        );
        reader.samples().map_while(Result::ok).collect()
    }

    #[test]
    fn another_decoder_reads_the_same_sound() {
        let sound = sound(20_000);
        let mut file = Vec::new();
        let mut flac = Flac::new(&mut file).unwrap();
        for piece in sound.chunks(777) {
            flac.push(piece, &mut file).unwrap();
        }
        flac.finish(&mut file).unwrap();
        let expected: Vec<i32> = sound.iter().map(|octet| i32::from(decode(*octet))).collect();
        assert_eq!(unpacked(&file), expected);
        assert!(file.len() < sound.len() * 2 * 7 / 10, "{} of {}", file.len(), sound.len() * 2);
    }

    #[test]
    fn a_file_that_a_crash_cut_off_plays_up_to_the_last_whole_block() {
        let sound = sound(20_000);
        let mut file = Vec::new();
        let mut flac = Flac::new(&mut file).unwrap();
        flac.push(&sound, &mut file).unwrap();
        let whole = unpacked(&file).len();
        assert_eq!(whole, 2 * 16_384);
        file.truncate(file.len() - 100);
        let rest = unpacked(&file).len();
        assert_eq!(rest, whole - 2 * BLOCK);
    }
}
