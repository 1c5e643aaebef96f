//! `offhook doubles`: providers played on this machine, to try agents without keys, and to try what goes wrong.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use offhook_audio::SampleRate;
use offhook_doubles::{
    Doubles, DoublesConfig, End, FaultFile, Hum, Latencies, Quirk, Script, Seen, Speaker, Speech, SpokenWord,
};
use offhook_providers::embedded::{Flite, NativePool, Voice};
use offhook_resample::Resampler;
use serde::de::DeserializeOwned;

use crate::console::say;

/// `offhook doubles`
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  offhook doubles\n  offhook doubles --profile slow --show\n  \
                  offhook doubles --faults faults.toml --script script.toml\n\n\
                  While it runs: GET /_doubles/seen shows the requests; POST a rule as JSON to /_doubles/fault adds a \
                  fault, DELETE ends all. A fault strikes what is asked for from then on; sockets that are open stay as they \
                  are.\n\n\
                  A script (`ends_ms`: where each word ends, from the utterance's first sound; without it by the sound's \
                  syllables):\n  caller = [\"Two for Friday, please.\", { text = \"Thank you.\", ends_ms = [310, 620] }]\n  [[answers]]\n  heard = \"friday\"\n  \
                  say = \"Friday is fine.\"\n\n\
                  A file of faults:\n  [[faults]]\n  stage = \"llm\"\n  nth = 2\n  at = { during = 5 }\n  fault = \"cut\"")]
pub(crate) struct DoublesArgs {
    /// Port to listen on, on this machine alone; 0 takes a free one
    #[arg(long, default_value_t = 5050, value_name = "PORT")]
    port: u16,
    /// How long the providers take
    #[arg(long, value_enum, default_value_t = Profile::Published)]
    profile: Profile,
    /// From a word's end to its first transcript, in place of the profile's
    #[arg(long, value_name = "TIME", value_parser = crate::call::parse_time)]
    word_delay: Option<std::time::Duration>,
    /// An oddity of real servers, e.g. full_stops: every final transcript ends with a full stop; may be given again
    #[arg(long, value_name = "NAME", value_parser = quirk)]
    quirk: Vec<Quirk>,
    /// What goes wrong, and when (TOML)
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// What callers say and models answer (TOML: `caller = […]`, `[[answers]]`)
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Who speaks: awb, kal, kal16, rms, slt, or hum; without a word, slt if flite is installed
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// What everything by chance is drawn from
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Show every request when it is over
    #[arg(long)]
    show: bool,
}

/// How long the providers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    /// As published measurements say
    Published,
    /// The same without what varies: each time the median
    Median,
    /// No time at all
    Instant,
    /// As on a bad afternoon
    Slow,
}

/// Runs until it is interrupted.
pub(crate) fn run(args: &DoublesArgs) -> anyhow::Result<ExitCode> {
    let speaker = speaker(args.voice.as_deref())?;
    let config = DoublesConfig {
        listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.port),
        seed: args.seed,
        latency: latencies(args),
        quirks: args.quirk.clone(),
        script: args.script.as_deref().map(read::<Script>).transpose()?.unwrap_or_default(),
        faults: args.faults.as_deref().map(read::<FaultFile>).transpose()?.unwrap_or_default().faults,
        ..DoublesConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let rules = config.faults.len();
        let doubles = Doubles::start_with(config, speaker).await?;
        announce(&doubles, rules);
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped.context("can't wait for an interrupt")?,
            () = show(&doubles), if args.show => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn latencies(args: &DoublesArgs) -> Latencies {
    let profile = match args.profile {
        Profile::Published => Latencies::PUBLISHED,
        Profile::Median => Latencies::MEDIAN,
        Profile::Instant => Latencies::INSTANT,
        Profile::Slow => Latencies::SLOW,
    };
    Latencies { word_delay: args.word_delay.unwrap_or(profile.word_delay), ..profile }
}

fn quirk(name: &str) -> Result<Quirk, String> {
    serde_json::from_value(name.into()).map_err(|error| error.to_string())
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = crate::input::text(path).with_context(|| format!("can't read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not valid", path.display()))
}

/// Says where they are, and how an agent gets there. Any key will do.
fn announce(doubles: &Doubles, faults: usize) {
    let (http, ws) = (doubles.http(), doubles.ws());
    say(&format!("doubles listen on {http} ({faults} rules for faults)"));
    let lines = [
        "".to_owned(),
        "In an agent's file, one of each (any key will do, and any voice):".to_owned(),
        format!("[stt]  provider = \"deepgram\"       model = \"nova-3\"           url = \"{ws}/v1/listen\""),
        format!("       provider = \"deepgram_flux\"  model = \"flux-general-en\"  url = \"{ws}/v2/listen\""),
        format!(
            "       provider = \"assemblyai\"     model = \"universal-streaming-english\"  url = \"{ws}/v3/ws\""
        ),
        format!("       provider = \"vosk\"           url = \"{ws}\""),
        format!("       provider = \"whisper\"        model = \"whisper-1\"        base_url = \"{http}/v1\""),
        format!("[llm]  provider = \"openai\"         model = \"double\"           base_url = \"{http}/v1\""),
        format!("       provider = \"anthropic\"      model = \"double\"           base_url = \"{http}/v1\""),
        format!("[tts]  provider = \"elevenlabs\"     model = \"eleven_flash_v2_5\"   base_url = \"{ws}\""),
        format!("       provider = \"deepgram\"       voice = \"aura-2-thalia-en\"    base_url = \"{ws}\""),
        format!("       provider = \"cartesia\"       model = \"sonic-3.5\"           base_url = \"{ws}\""),
        format!(
            "       provider = \"elevenlabs_http\" model = \"eleven_flash_v2_5\"   base_url = \"{http}\""
        ),
        format!("       provider = \"openai\"         model = \"double\"           base_url = \"{http}/v1\""),
        "[realtime]  (with model and transcription_model, any)".to_owned(),
        format!("       provider = \"openai\"         url = \"{ws}/v1/realtime\""),
        "".to_owned(),
        format!("control  {http}/_doubles/fault and {http}/_doubles/seen"),
    ];
    lines.iter().for_each(|line| say(line));
}

/// Shows requests as they end.
async fn show(doubles: &Doubles) {
    let mut shown = BTreeSet::new();
    loop {
        let seen = doubles.until(|seen| seen.end != End::Open && !shown.contains(&seen.id)).await;
        say(&line(&seen));
        shown.insert(seen.id);
        // Requests are forgotten in their order; numbers long gone needn't be kept.
        while shown.len() > 4_096 {
            shown.pop_first();
        }
    }
}

fn line(seen: &Seen) -> String {
    let fault = seen.fault.as_ref().map(|fault| format!(", fault: {fault:?}")).unwrap_or_default();
    let messages =
        if seen.messages.is_empty() { String::new() } else { format!(", {} messages", seen.messages.len()) };
    let stage = format!("{:?}", seen.stage).to_lowercase();
    let path = seen.target.split('?').next().unwrap_or("");
    format!(
        "{:>8.2}  {stage:<8}  {:<3}  {path}{messages}, {:?}{fault}",
        seen.at.as_secs_f64(),
        seen.status,
        seen.end
    )
}

/// The voice of this name; of none, flite's if it is there.
fn speaker(name: Option<&str>) -> anyhow::Result<Arc<dyn Speaker>> {
    if name == Some("hum") {
        return Ok(Arc::new(Hum));
    }
    let voice = match name {
        Some(name) => Voice::by_name(name)
            .with_context(|| format!("there is no voice `{name}`: awb, kal, kal16, rms, slt or hum"))?,
        None => Voice::default(),
    };
    match Flite::new(voice, NativePool::new("speak", 1, 16)) {
        Ok(flite) => Ok(Arc::new(Spoken(flite))),
        Err(error) if name.is_some() => Err(error.into()),
        Err(_) => Ok(Arc::new(Hum)),
    }
}

/// The embedded voice.
#[derive(Debug)]
struct Spoken(Flite);

impl Speaker for Spoken {
    fn speak(&self, text: &str, rate: u32) -> Speech {
        // What can't be spoken is hummed: a double is never silent for want of a voice.
        self.spoken(text, rate).unwrap_or_else(|| Hum.speak(text, rate))
    }
}

impl Spoken {
    fn spoken(&self, text: &str, rate: u32) -> Option<Speech> {
        let spoken = self.0.speak(text).ok()?;
        let mut resampler = Resampler::new(SampleRate::new(spoken.rate)?, SampleRate::new(rate)?).ok()?;
        let mut samples = Vec::new();
        resampler.process(&spoken.samples, &mut samples);
        resampler.flush(&mut samples);
        let time = |ms: u32| std::time::Duration::from_millis(ms.into());
        let words = spoken.words.into_iter();
        let words = words.map(|word| SpokenWord {
            word: word.word,
            start: time(word.start_ms),
            end: time(word.end_ms),
        });
        Some(Speech { samples, words: words.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_help_are_valid() {
        let file: FaultFile =
            toml::from_str("[[faults]]\nstage = \"llm\"\nnth = 2\nat = { during = 5 }\nfault = \"cut\"")
                .unwrap();
        assert_eq!(file.faults.len(), 1);
        let script: Script =
            toml::from_str("caller = [\"Hi.\"]\n[[answers]]\nheard = \"hi\"\nsay = \"Hello.\"").unwrap();
        assert_eq!(script.answers[0].say, "Hello.");
        assert!(toml::from_str::<Script>("callers = []").is_err());
        let timed: Script =
            toml::from_str("caller = [\"Hi.\", { text = \"Two, please.\", ends_ms = [300, 900] }]").unwrap();
        assert_eq!(timed.caller[1].ends_ms, [300, 900]);
        assert_eq!(quirk("full_stops"), Ok(Quirk::FullStops));
        assert!(quirk("full-stop").unwrap_err().contains("full_stops"));
    }
}
