//! `offhook explain`: why a call went as it did, turn by turn, from its tape.

mod picture;
mod sound;
mod story;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use offhook_tape::{lines, unpacked};

use crate::console::{paint, say};
use sound::Sound;
use story::{Chapter, Story, Who, tell};

/// `offhook explain`
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  offhook explain calls/CA….tape.jsonl\n  \
                        offhook explain calls/CA….tape.jsonl --turn 3 --picture call.png")]
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
    let octets = std::fs::read(&args.tape).with_context(|| format!("can't read {}", args.tape.display()))?;
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
            let (who, colour) = match moment.who {
                Who::Caller => ("caller", "36"),
                Who::Stt => ("stt", "2"),
                Who::Engine => ("engine", "0"),
                Who::Llm => ("llm", "2"),
                Who::Agent => ("agent", "33"),
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
