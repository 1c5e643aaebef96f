//! `offhook vad`: where there is speech in a recording, as the engine hears it.

mod analysis;
mod picture;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use offhook_detectors::AnyDetector;
use offhook_endpoint::TalkspurtConfig;

use crate::call::parse_time;
use crate::console::{complain, say};
use crate::wav::{Wav, at_8_khz, read};
use analysis::Analysis;

/// `offhook vad`
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  offhook vad call.wav\n  \
    offhook vad call.wav --channel left --hangover 120ms\n  \
    offhook vad call.wav --detector webrtc-3 --picture webrtc.png\n  \
    offhook vad call.wav --json --no-picture | jq -c 'select(.talkspurt)'\n\n\
    The picture shows, from above: the sound with its talkspurts, and the probability of speech.\n\n\
    Exit status: 0 the recording was judged, 2 it could not be")]
pub(crate) struct VadArgs {
    /// WAV: PCM of 8 to 32 bits, floating point, μ-law or A-law, at any rate the engine can resample
    #[arg(value_name = "FILE.wav")]
    file: PathBuf,
    /// offhook, webrtc (levelled and gated), webrtc-0 to webrtc-3 (as it comes), energy, earshot, or silero=FILE.onnx
    #[arg(long, value_name = "NAME", default_value = "offhook")]
    detector: AnyDetector,
    /// A frame of at least this probability has speech
    #[arg(long, value_name = "0 to 1", default_value_t = 0.5)]
    threshold: f32,
    /// Silence that ends a talkspurt; the engine takes 120ms when it takes turns
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "240ms")]
    hangover: Duration,
    /// Which channel of a recording with several
    #[arg(long, value_enum, default_value_t = Channel::Mix)]
    channel: Channel,
    /// Where the picture goes; else beside the file, FILE.vad.png
    #[arg(long, value_name = "FILE.png")]
    picture: Option<PathBuf>,
    /// Draw no picture
    #[arg(long, conflicts_with = "picture")]
    no_picture: bool,
    /// Print JSON: a line for each 20 ms frame, one for each talkspurt, and one for the whole
    #[arg(long)]
    json: bool,
}

/// Which of two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Channel {
    /// The first: the caller, in recordings made by `offhook call`
    Left,
    /// The second: the agent
    Right,
    /// All together
    Mix,
}

/// Judges a recording. What can't be read is the user's to fix: status 2.
pub(crate) fn run(args: &VadArgs) -> ExitCode {
    match judge(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(2)
        }
    }
}

fn judge(args: &VadArgs) -> anyhow::Result<()> {
    ensure!((0.0..=1.0).contains(&args.threshold), "--threshold {} is not from 0 to 1", args.threshold);
    let wav = read(&args.file)?;
    let (coding, rate, channels) = (wav.coding, wav.rate, wav.channels.len());
    let sound = pick(wav, args.channel)
        .and_then(|sound| at_8_khz(sound, rate))
        .with_context(|| format!("{} can't be used", args.file.display()))?;
    let detector = args.detector.build()?;
    let config = TalkspurtConfig {
        threshold: args.threshold,
        hangover: args.hangover,
        ..TalkspurtConfig::labelling()
    };
    let name = detector.name();
    let analysis = Analysis::of(&sound, detector, config);
    let picture = match (&args.picture, args.no_picture) {
        (_, true) => None,
        (Some(path), false) => Some(path.clone()),
        (None, false) => Some(args.file.with_extension("vad.png")),
    };
    let title = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(path) = &picture {
        picture::draw(path, &format!("{title}   {name}"), &sound, &analysis, args.threshold)?;
    }
    if args.json {
        return report::json(&analysis);
    }
    let channels = match channels {
        1 => "mono".to_owned(),
        count => format!("{count} channels"),
    };
    say(&format!("{title}  {coding}, {rate}, {channels}; judged by {name}"));
    report::text(&analysis);
    if let Some(path) = &picture {
        say(&format!("picture      {}", path.display()));
    }
    Ok(())
}

fn pick(mut wav: Wav, channel: Channel) -> anyhow::Result<Vec<i16>> {
    let count = wav.channels.len();
    let index = match channel {
        _ if count == 1 && channel != Channel::Right => 0,
        Channel::Left => 0,
        Channel::Right => 1,
        Channel::Mix => return Ok(mix(&wav.channels)),
    };
    ensure!(index < count, "it has one channel: there is no right one");
    Ok(wav.channels.swap_remove(index))
}

/// The mean of all channels.
fn mix(channels: &[Vec<i16>]) -> Vec<i16> {
    let length = channels.first().map_or(0, Vec::len);
    let count = i32::try_from(channels.len().max(1)).unwrap_or(i32::MAX);
    (0..length)
        .map(|n| {
            (channels.iter().filter_map(|channel| channel.get(n)).map(|&x| i32::from(x)).sum::<i32>() / count)
                as i16
        })
        .collect()
}
