//! `offhook explain`: why a call went as it did, turn by turn, from its tape.

mod picture;
mod sound;
mod story;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use offhook_tape::{lines, unpacked};
use serde_json::{Value, json};

use crate::console::{paint, say};
use sound::Sound;
use story::{Chapter, Story, Who, tell};

/// `offhook explain`
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  offhook explain calls/CA….tape.jsonl.zst\n  \
                        offhook explain calls/CA….tape.jsonl.zst --turn 3 --picture call.png")]
pub(crate) struct ExplainArgs {
    /// A call's tape, as `offhook serve --record` writes it
    #[arg(value_name = "TAPE")]
    tape: PathBuf,
    /// Only this turn of the caller, counted from one; 0 is what came before the first
    #[arg(long, value_name = "N")]
    turn: Option<usize>,
    /// Draw both voices, the turns and the waits
    #[arg(long, value_name = "FILE.png")]
    picture: Option<PathBuf>,
}

/// Tells a tape's story.
pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let octets =
        crate::input::octets(&args.tape).with_context(|| format!("can't read {}", args.tape.display()))?;
    let tape = unpacked(octets)?;
    let (header, lines) = lines(&tape)?;
    let config = header.call_config().unwrap_or_default();
    let story = tell(&lines, &config);
    let title = format!("{}   {}   {}", header.call, header.agent, words::seconds(story.length_ms));
    for line in text(&title, &story, args.turn) {
        say(&line);
    }
    if let Some(path) = &args.picture {
        picture::draw(path, &title, &story, &Sound::of(&lines))?;
        say(&format!("picture  {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The story for programs: the same words, in chapters.
pub(crate) fn as_json(tape: &str) -> anyhow::Result<Value> {
    let (header, lines) = lines(tape)?;
    let story = tell(&lines, &header.call_config().unwrap_or_default());
    let mut turn = 0;
    let chapters: Vec<Value> = story
        .chapters
        .iter()
        .map(|chapter| {
            turn += usize::from(!chapter.speech.is_empty());
            let moments = chapter.moments.iter();
            let moments: Vec<Value> = moments
                .map(|moment| json!({ "at_ms": moment.at_ms, "who": name(moment.who), "what": moment.what }))
                .collect();
            json!({ "title": heading(turn, chapter), "moments": moments })
        })
        .collect();
    Ok(
        json!({ "call": header.call, "agent": header.agent, "length_ms": story.length_ms, "chapters": chapters }),
    )
}

/// Both sides as the parties heard each other: WAV, G.711 μ-law, caller left, agent right.
pub(crate) fn as_wav(tape: &str) -> anyhow::Result<Vec<u8>> {
    let (_, lines) = lines(tape)?;
    let sound = Sound::of(&lines);
    let length = sound.caller.len().max(sound.agent.len());
    let octets = u32::try_from(length * 2).context("the call is too long")?;
    let mut wav = Vec::with_capacity(58 + length * 2);
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| wav.extend_from_slice(part));
    // Format 7: μ-law, 2 channels, 8 000 Hz, 16 000 octets a second in blocks of 2, 8 bits; and the count of samples.
    put(&[b"RIFF", &(50 + octets).to_le_bytes(), b"WAVEfmt ", &18u32.to_le_bytes(), &[7, 0, 2, 0]]);
    put(&[
        &8_000u32.to_le_bytes(),
        &16_000u32.to_le_bytes(),
        &[2, 0, 8, 0, 0, 0],
        b"fact",
        &4u32.to_le_bytes(),
    ]);
    put(&[&(octets / 2).to_le_bytes(), b"data", &octets.to_le_bytes()]);
    let at = |side: &[u8], index: usize| side.get(index).copied().unwrap_or(0xFF);
    wav.extend((0..length).flat_map(|index| [at(&sound.caller, index), at(&sound.agent, index)]));
    Ok(wav)
}

const fn name(who: Who) -> &'static str {
    match who {
        Who::Caller => "caller",
        Who::Stt => "stt",
        Who::Engine => "engine",
        Who::Llm => "llm",
        Who::Agent => "agent",
    }
}

/// The story, line by line.
fn text(title: &str, story: &Story, only: Option<usize>) -> Vec<String> {
    let mut text = vec![paint(title, "1")];
    let mut turn = 0;
    for chapter in &story.chapters {
        turn += usize::from(!chapter.speech.is_empty());
        if only.is_some_and(|only| only != turn) {
            continue;
        }
        text.push(String::new());
        text.push(paint(&heading(turn, chapter), "1"));
        for moment in &chapter.moments {
            let who = name(moment.who);
            let colour = match moment.who {
                Who::Caller => "36",
                Who::Stt | Who::Llm => "2",
                Who::Engine => "0",
                Who::Agent => "33",
            };
            let at = moment.at_ms as f64 / 1_000.0;
            text.push(format!("{at:>9.3}  {}  {}", paint(&format!("{who:<6}"), colour), moment.what));
        }
    }
    text
}

fn heading(turn: usize, chapter: &Chapter) -> String {
    let (Some((from, _)), Some((_, until))) = (chapter.speech.first(), chapter.speech.last()) else {
        return "before the caller's first turn".to_owned();
    };
    let span = format!("{} to {}", words::seconds(*from), words::seconds(*until));
    let said = match &chapter.turn {
        Some(ended) if ended.text.is_empty() => "no words understood".to_owned(),
        Some(ended) => format!("“{}”", ended.text),
        None => "no turn".to_owned(),
    };
    format!("turn {turn}   {span}   {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The story of a golden tape.
    fn story_of(name: &str) -> String {
        let path = format!("{}/../../fixtures/tapes/{name}.tape.jsonl.zst", env!("CARGO_MANIFEST_DIR"));
        let tape = unpacked(std::fs::read(path).unwrap()).unwrap();
        let (header, lines) = lines(&tape).unwrap();
        let story = tell(&lines, &header.call_config().unwrap());
        text(name, &story, None).join("\n")
    }

    #[test]
    fn programs_get_the_same_story_and_both_voices() {
        let path = format!("{}/../../fixtures/tapes/barge-in.tape.jsonl.zst", env!("CARGO_MANIFEST_DIR"));
        let tape = unpacked(std::fs::read(path).unwrap()).unwrap();
        let story = as_json(&tape).unwrap();
        let moments = story["chapters"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|chapter| chapter["moments"].as_array().unwrap());
        let told = story_of("barge-in");
        assert!(moments.clone().count() > 10);
        for moment in moments {
            assert!(told.contains(moment["what"].as_str().unwrap()), "{moment}");
        }
        let wav = as_wav(&tape).unwrap();
        let length = u32::from_le_bytes(wav[54..58].try_into().unwrap()) as usize;
        assert_eq!((&wav[..4], &wav[50..54], wav.len()), (&b"RIFF"[..], &b"data"[..], 58 + length));
        let loud = |side: usize| {
            wav[58..]
                .iter()
                .skip(side)
                .step_by(2)
                .filter(|octet| !matches!(octet, 0xF0..=0xFF | 0x70..=0x7F))
                .count()
        };
        assert!(loud(0) > 1_000 && loud(1) > 1_000);
    }

    #[test]
    fn an_interruption_is_explained() {
        insta::assert_snapshot!(story_of("barge-in"));
    }

    #[test]
    fn a_pause_in_a_turn_is_explained() {
        insta::assert_snapshot!(story_of("pause-in-a-turn"));
    }

    #[test]
    fn an_echo_and_a_backchannel_are_explained() {
        insta::assert_snapshot!(story_of("echo"));
        insta::assert_snapshot!(story_of("backchannel"));
    }
}
