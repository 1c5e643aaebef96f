//! Recognises 8 kHz WAV or raw μ-law files by a grammar: `transcribe GRAMMAR.gram FILE…`.
use std::io::Write;

use offhook_providers::embedded::{NativePool, PocketSphinx, SphinxOptions};
use offhook_stage_api::Expectation;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let grammar = args.next().ok_or_else(|| anyhow::anyhow!("usage: transcribe GRAMMAR.gram FILE…"))?;
    let expectation =
        Expectation { grammar: Some(std::fs::read_to_string(grammar)?), ..Expectation::default() };
    let options = SphinxOptions { least_confidence: 0.0, ..SphinxOptions::default() };
    let sphinx = PocketSphinx::new(options, NativePool::new("native", 1, 1))?;
    let mut out = std::io::stdout().lock();
    for path in args {
        let bytes = std::fs::read(&path)?;
        // μ-law in a WAV: the octets follow the `data` chunk's header.
        let data = bytes.windows(4).position(|four| four == b"data").map_or(0, |at| at + 8);
        let octets = bytes.get(data..).unwrap_or(&[]);
        let mut samples = vec![0; octets.len()];
        offhook_mulaw::decode_slice(octets, &mut samples);
        let heard = sphinx.recognise(&samples, &expectation)?;
        writeln!(out, "{path}\t{:.2}\t{}\t{}", heard.confidence, heard.complete, heard.text)?;
    }
    Ok(())
}
