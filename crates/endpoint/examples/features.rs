//! What the default detector sees, for training it: raw 16-bit samples in, raw 32-bit floats out.
//!
//! `features SAMPLES` (samples of a clip) reads clips of that length, one after the other, from standard input (8 kHz,
//! little endian), and writes `FEATURES` floats for each 20 ms frame. Each clip begins afresh.

use std::io::{Read, Write};

use offhook_audio::PcmFrame;
use offhook_endpoint::voice::Features;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let samples: usize =
        std::env::args().nth(1).ok_or("usage: features SAMPLES <clips >features")?.parse()?;
    let mut input = std::io::stdin().lock();
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut clip = vec![0; samples * 2];
    loop {
        match input.read_exact(&mut clip) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error.into()),
        }
        let mut features = Features::default();
        let (frames, _) = clip.as_chunks::<320>();
        for octets in frames {
            let mut frame = PcmFrame::SILENCE;
            let (pairs, _) = octets.as_chunks::<2>();
            for (sample, pair) in frame.0.iter_mut().zip(pairs) {
                *sample = i16::from_le_bytes(*pair);
            }
            for feature in features.push(&frame) {
                output.write_all(&feature.to_le_bytes())?;
            }
        }
    }
    output.flush()?;
    Ok(())
}
