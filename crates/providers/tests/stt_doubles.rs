//! The network recognisers against the doubles of their providers, in real time: two turns of a caller, with all that goes
//! wrong on the way.
#![allow(clippy::unwrap_used, reason = "what fails here, fails the test")]

use std::time::Duration;

use offhook_audio::{MulawFrame, PcmFrame, SamplePos};
use offhook_doubles::{Doubles, DoublesConfig, Fault, FaultRule, Hum, Moment, Quirk, Script, Speaker, Stage};
use offhook_providers::net::Secret;
use offhook_providers::stt::SttConfig;
use offhook_stage_api::{FailureKind, SttCommand, SttEvent, Transcript};
use offhook_stages::{CallInfo, WhenFull, bounded};
use tokio::time::{Instant, sleep_until, timeout};

const FIRST: &str = "I'd like a table for two.";
const SECOND: &str = "Tonight at eight.";

/// What came of a call.
#[derive(Debug)]
struct Outcome {
    /// The last final transcript of each turn, and how long after the pause the first one came.
    turns: Vec<(Transcript, Duration)>,
    /// Where the caller spoke, in samples.
    spoken: Vec<(u64, u64)>,
    events: Vec<SttEvent>,
    failure: Option<FailureKind>,
    message: String,
    /// How long the stage took to end after the call.
    parting: Duration,
}

impl Outcome {
    /// Both turns, as they were heard: small letters and spaces.
    fn words(&self) -> Vec<String> {
        let plain = |text: &str| -> String {
            text.chars().filter(|c| c.is_alphanumeric() || *c == ' ').flat_map(char::to_lowercase).collect()
        };
        self.turns.iter().map(|(told, _)| plain(&told.text)).collect()
    }
}

/// The settings of a provider that is at this address.
fn config(provider: &str, doubles: &Doubles) -> SttConfig {
    let ws = doubles.ws();
    let more = match provider {
        "deepgram" => format!(r#""url":"{ws}/v1/listen","model":"nova-3""#),
        "deepgram_flux" => format!(r#""url":"{ws}/v2/listen","model":"flux-general-en""#),
        "assemblyai" => {
            format!(r#""url":"{ws}/v3/ws","model":"universal-streaming-english","format_turns":true"#)
        }
        "vosk" => format!(r#""url":"{ws}/""#),
        _ => format!(
            r#""base_url":"{}/v1","model":"whisper-1","response_format":"verbose_json","deadlines":{{"first":"2s"}}"#,
            doubles.http()
        ),
    };
    serde_json::from_str(&format!(r#"{{"provider":"{provider}",{more}}}"#)).unwrap()
}

/// The caller's sound, frame by frame, and where there is speech in it.
fn sound() -> (Vec<MulawFrame>, Vec<(u64, u64)>) {
    let mut samples = vec![0_i16; 4_800];
    let mut spoken = Vec::new();
    for text in [FIRST, SECOND] {
        let from = samples.len() as u64;
        let mut speech = Hum.speak(text, 8_000).samples;
        while speech.last() == Some(&0) {
            speech.pop();
        }
        samples.extend(speech);
        spoken.push((from, samples.len() as u64));
        samples.resize(samples.len() + 14_400, 0);
    }
    let frame = |chunk: &[i16]| {
        let mut pcm = PcmFrame::SILENCE;
        pcm.0[..chunk.len()].copy_from_slice(chunk);
        pcm.encode()
    };
    (samples.chunks(160).map(frame).collect(), spoken)
}

/// A call of two turns, in real time.
async fn call(config: SttConfig) -> Outcome {
    let stt = config.build(Some(Secret::new("key")));
    let (commands, for_stage) = bounded(512, WhenFull::DropOldest);
    let (from_stage, events) = bounded(64, WhenFull::PushBack);
    let info = CallInfo { language: "en-US".into(), ..CallInfo::default() };
    let mut task = tokio::spawn(stt.run(info, for_stage, from_stage));
    let (frames, spoken) = sound();
    let start = Instant::now();
    let (mut turn, mut paused) = (0, None);
    let mut outcome = Outcome {
        turns: vec![(Transcript::default(), Duration::MAX); spoken.len()],
        spoken: spoken.clone(),
        events: Vec::new(),
        failure: None,
        message: String::new(),
        parting: Duration::ZERO,
    };
    let note = |event: SttEvent, turn: usize, paused: Option<Instant>, outcome: &mut Outcome| {
        if let SttEvent::Final(told) = &event {
            // A final that begins in the turn before corrects that one.
            let which = if turn > 0 && told.from < spoken[turn].0 - 4_000 { turn - 1 } else { turn };
            let slot = &mut outcome.turns[which];
            let after = paused.filter(|_| which == turn).map_or(slot.1, |at: Instant| at.elapsed());
            *slot = (told.clone(), slot.1.min(after));
        }
        outcome.events.push(event);
    };
    for (nth, frame) in (0_u64..).zip(frames) {
        let due = start + Duration::from_millis(20) * u32::try_from(nth + 1).unwrap();
        loop {
            tokio::select! {
                Some(event) = events.recv() => note(event, turn, paused, &mut outcome),
                () = sleep_until(due) => break,
            }
        }
        let at = nth * 160;
        let _gone = commands.offer_by_policy(SttCommand::Audio { at: SamplePos(at), frame });
        let (from, until) = spoken[turn];
        let now = at + 160;
        let passes = |place: u64| now >= place && now - 160 < place;
        let tell = |command| drop(commands.offer_by_policy(command));
        if passes(from + 480) {
            tell(SttCommand::SpeechStarted { at: SamplePos(from) });
        }
        if passes(until + 960) {
            paused = Some(Instant::now());
            tell(SttCommand::SpeechPaused { from: SamplePos(from), until: SamplePos(until) });
        }
        if passes(until + 12_000) {
            tell(SttCommand::TurnEnded { until: SamplePos(until) });
            (turn, paused) = ((turn + 1).min(spoken.len() - 1), None);
        }
    }
    drop(commands);
    let hung_up = Instant::now();
    let result = timeout(Duration::from_secs(5), &mut task).await.unwrap().unwrap();
    outcome.parting = hung_up.elapsed();
    while let Ok(event) = events.try_recv() {
        note(event, turn, paused, &mut outcome);
    }
    if let Err(error) = result {
        (outcome.failure, outcome.message) = (Some(error.kind()), error.to_string());
    }
    outcome
}

async fn doubles(quirks: &[Quirk], fault: Option<(Fault, Option<Moment>)>) -> Doubles {
    let script = Script { caller: vec![FIRST.into(), SECOND.into()], ..Script::default() };
    let config = DoublesConfig { script, quirks: quirks.to_vec(), ..DoublesConfig::default() };
    let doubles = Doubles::start(config).await.unwrap();
    if let Some((fault, at)) = fault {
        doubles.add_fault(FaultRule { at, ..FaultRule::always(Stage::Stt, fault) });
    }
    doubles
}

const ALL: [&str; 5] = ["deepgram", "deepgram_flux", "assemblyai", "vosk", "whisper"];

#[tokio::test]
async fn two_turns_are_heard_in_their_places() {
    let calls = ALL.map(|provider| async move {
        let doubles = doubles(&[], None).await;
        let outcome = call(config(provider, &doubles)).await;
        (provider, outcome, doubles)
    });
    for (provider, outcome, doubles) in futures_util::future::join_all(calls).await {
        let told = format!("{provider}: {outcome:#?}\n{:#?}", doubles.seen().last());
        assert_eq!(outcome.words(), ["id like a table for two", "tonight at eight"], "{told}");
        assert_eq!(outcome.failure, None, "{told}");
        for ((transcript, after), (from, until)) in outcome.turns.iter().zip(&outcome.spoken) {
            assert!(transcript.from.abs_diff(*from) <= 800 && transcript.until == *until, "{told}");
            let most = if provider == "deepgram_flux" { 700 } else { 300 };
            assert!(*after < Duration::from_millis(most), "{told}");
        }
        assert!(outcome.parting < Duration::from_millis(1_000), "{told}");
        let seen = doubles.seen();
        assert!(seen.iter().all(|seen| seen.status < 400), "{told}");
        let partials = outcome.events.iter().filter(|event| matches!(event, SttEvent::Partial(_))).count();
        assert!(partials >= 2 || provider == "whisper", "{told}");
    }
}

#[tokio::test]
async fn oddities_of_real_servers_cost_no_words() {
    let quirks = [
        ("deepgram", Quirk::SplitFinals),
        ("deepgram", Quirk::EmptySpeechFinal),
        ("deepgram", Quirk::NoSpeechFinal),
        ("deepgram", Quirk::NoFinalizeAnswer),
        ("deepgram_flux", Quirk::EagerTwice),
    ];
    let calls = quirks.map(|(provider, quirk)| async move {
        let doubles = doubles(&[quirk], None).await;
        (provider, quirk, call(config(provider, &doubles)).await)
    });
    for (provider, quirk, outcome) in futures_util::future::join_all(calls).await {
        let told = format!("{provider}, {quirk:?}: {outcome:#?}");
        assert_eq!(outcome.words(), ["id like a table for two", "tonight at eight"], "{told}");
        assert_eq!(outcome.failure, None, "{told}");
    }
}

#[tokio::test]
async fn faults_that_words_survive() {
    let faults = [(Fault::Duplicate, None), (Fault::BrokenJson, Some(Moment::During(2)))];
    let cases: Vec<_> = ALL
        .iter()
        .take(4)
        .flat_map(|provider| faults.iter().map(move |fault| (*provider, fault.clone())))
        .collect();
    let calls = cases.into_iter().map(|(provider, fault)| async move {
        let doubles = doubles(&[], Some(fault.clone())).await;
        (provider, fault, call(config(provider, &doubles)).await)
    });
    for (provider, fault, outcome) in futures_util::future::join_all(calls).await {
        let told = format!("{provider}, {fault:?}: {outcome:#?}");
        if provider == "vosk" && matches!(fault.0, Fault::Duplicate) {
            continue; // its answers have no numbers: nothing tells the second from the next
        }
        assert_eq!(outcome.words(), ["id like a table for two", "tonight at eight"], "{told}");
        assert_eq!(outcome.failure, None, "{told}");
    }
}

/// The double takes a millisecond for each byte, so only short messages come in time.
#[tokio::test]
async fn messages_in_pieces_are_read() {
    let doubles = doubles(&[], Some((Fault::Split, None))).await;
    let outcome = call(config("vosk", &doubles)).await;
    assert_eq!(outcome.words(), ["id like a table for two", "tonight at eight"], "{outcome:#?}");
}

#[tokio::test]
async fn faults_that_end_it_are_told_for_what_they_are() {
    use FailureKind::{Broken, Busy, Refused, TooSlow};
    let limited = Fault::RateLimited { retry_after: Some(30), retry_after_ms: None };
    let faults = [
        (Fault::Refuse, None, vec![Broken]),
        (Fault::Hang, None, vec![TooSlow]),
        (Fault::Unauthorized, None, vec![Refused]),
        (Fault::Quota, None, vec![Refused]),
        (limited, None, vec![Busy]),
        (Fault::ServerError, None, vec![Broken]),
        (Fault::Unavailable, None, vec![Broken, Busy]),
        (Fault::Cut, Some(Moment::After(2)), vec![Broken]),
        (Fault::Close { code: 1011, reason: "NET-0000".to_owned() }, Some(Moment::After(2)), vec![Broken]),
    ];
    let cases: Vec<_> =
        ALL.iter().flat_map(|provider| faults.iter().map(move |fault| (*provider, fault.clone()))).collect();
    let calls = cases.into_iter().map(|(provider, (fault, at, kinds))| async move {
        let doubles = doubles(&[], Some((fault.clone(), at))).await;
        (provider, fault, kinds, call(config(provider, &doubles)).await)
    });
    let mut wrong = Vec::new();
    for (provider, fault, kinds, outcome) in futures_util::future::join_all(calls).await {
        if provider == "whisper" && matches!(fault, Fault::Cut | Fault::Close { .. }) {
            continue; // an answer is a single event: it has come before
        }
        if outcome.failure.is_none_or(|kind| !kinds.contains(&kind)) {
            wrong.push(format!("{provider}, {fault:?}: {:?} {}", outcome.failure, outcome.message));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn silence_of_a_server_is_not_waited_out() {
    let doubles = doubles(&[], Some((Fault::Stall, Some(Moment::After(3))))).await;
    let outcome = call(config("deepgram", &doubles)).await;
    // Whatever partial there was is the final, in time.
    let (first, after) = &outcome.turns[0];
    assert!(!first.text.is_empty() && *after < Duration::from_millis(1_400), "{outcome:#?}");
    // Of the second turn it has said nothing at all: another may still hear it.
    let finals = outcome.events.iter().filter(|event| matches!(event, SttEvent::Final(_))).count();
    assert_eq!((finals, outcome.failure), (1, Some(FailureKind::TooSlow)), "{outcome:#?}");
}
