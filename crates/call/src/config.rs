//! How a call behaves. Every field has a default; the agent's file overrides what it wants.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use offhook_endpoint::TalkspurtConfig;
use offhook_stage_api::Interruptible;

use crate::language::LanguageTexts;
use offhook_stage_api::Turn;

/// How a call behaves.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallConfig {
    /// What the agent does with what it hears. Whoever runs the call sets it.
    pub mode: CallMode,
    /// `[inbound]`: the caller's voice.
    pub inbound: InboundConfig,
    /// `[turn]`: when the caller is done.
    pub turn: TurnConfig,
    /// `[barge_in]`: when the caller speaks over the agent.
    pub barge_in: BargeInConfig,
    /// `[playout]`: how the agent's voice goes out.
    pub playout: PlayoutConfig,
    /// `[patience]`: what is said into a silence, and when.
    pub patience: PatienceConfig,
    /// `[dtmf]`: keys.
    pub dtmf: DtmfConfig,
    /// `[context]`: what the model is told of the call so far.
    pub context: ContextConfig,
    /// `[machine]`: when a mailbox answers. Tapes tell of it only where it isn't the default.
    #[serde(skip_serializing_if = "MachineConfig::is_default")]
    pub machine: MachineConfig,
    /// How the agent's tools behave in a call, by name. From the agent's file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, ToolManners>,
    /// The languages that the call may be switched to, by BCP 47 tag, with what the engine says in them. From the agent's file;
    /// the one that it begins in is among them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub languages: BTreeMap<String, LanguageTexts>,
}

/// How a tool behaves in a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolManners {
    /// Said while it works, if the reply that wants it said nothing itself. Default: the usual fillers, later.
    pub filler: Option<String>,
    /// Played over and over while it works, behind the filler: the URL of a sound that Twilio can fetch. Only in calls of text,
    /// whose sound is Twilio's. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// What becomes of it when the caller interrupts. Default `survive`.
    pub on_interruption: OnInterruption,
}

/// What becomes of a tool at work when the caller interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInterruption {
    /// It goes on; its result is told when it comes.
    #[default]
    Survive,
    /// It is given up.
    Cancel,
}

/// What the agent does with what it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallMode {
    /// It converses.
    #[default]
    Dialog,
    /// It sends the caller's own frames back through the whole path: a test of the line.
    Echo,
}

/// `[inbound]`: the caller's voice.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct InboundConfig {
    /// Gaps in Twilio's timestamps up to this length are filled, by concealment and then silence, so that the
    /// recogniser's time line stays the caller's. Longer ones restart the time line. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub max_gap: Duration,
    /// Tell the caller's voice from the agent's own, where the line returns it. Default true.
    pub echo_guard: bool,
    /// Voice activity.
    pub speech: TalkspurtConfig,
    /// Give the sound out for a recogniser or a turn model, frame by frame. Whoever runs the call sets it: false spares a frame's
    /// way to where nobody listens. Default true; on no tape, for tapes have no such outputs.
    #[serde(skip)]
    pub heard: bool,
}

impl Default for InboundConfig {
    fn default() -> Self {
        Self {
            max_gap: Duration::from_secs(5),
            echo_guard: true,
            speech: TalkspurtConfig::turn_taking(),
            heard: true,
        }
    }
}

/// `[turn]`: when the caller is done.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TurnConfig {
    /// Begin replies before the turn's end is certain, and hold them. Default true.
    pub speculate: bool,
    /// Begin replies even while the caller speaks, when the words so far make a whole sentence: at most twice a turn, and
    /// only with `speculate`. Default true.
    #[serde(skip_serializing_if = "is_true")]
    pub early: bool,
    /// Silence after which a reply may be begun. Default 120 ms.
    #[serde(with = "humantime_serde")]
    pub eager: Duration,
    /// Least silence that ends a turn, taken when all says that it is complete. Default 250 ms.
    #[serde(with = "humantime_serde")]
    pub floor: Duration,
    /// Silence that ends a turn whose words neither look complete nor incomplete. Default 550 ms.
    #[serde(with = "humantime_serde")]
    pub plain: Duration,
    /// Silence that ends a turn in the midst of a dictated number. Default 1.2 s.
    #[serde(with = "humantime_serde")]
    pub dictation: Duration,
    /// Silence that ends a turn whose words lack the full stop that this recogniser sets. Default 1.5 s.
    #[serde(with = "humantime_serde")]
    pub unpunctuated: Duration,
    /// Silence that ends a turn whatever the words say, unless they plainly stop short. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub ceiling: Duration,
    /// Silence that ends a turn whose words plainly stop short: "a table for two and", four digits of seven. Pauses within
    /// turns reach 2.5 s. Default 3 s.
    #[serde(with = "humantime_serde")]
    pub unfinished: Duration,
    /// Ask a turn model at each pause. Whoever runs the call sets it, if there is one.
    pub model: bool,
    /// Speech shorter than this without a recognised word is noise and gets no answer. Default 400 ms.
    #[serde(with = "humantime_serde")]
    pub shortest_wordless: Duration,
}

/// Tapes tell of a setting only where it isn't the default.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_true(value: &bool) -> bool {
    *value
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self {
            speculate: true,
            early: true,
            eager: Duration::from_millis(120),
            floor: Duration::from_millis(250),
            plain: Duration::from_millis(550),
            dictation: Duration::from_millis(1_200),
            unpunctuated: Duration::from_millis(1_500),
            ceiling: Duration::from_secs(2),
            unfinished: Duration::from_secs(3),
            model: false,
            shortest_wordless: Duration::from_millis(400),
        }
    }
}

/// `[barge_in]`: when the caller speaks over the agent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BargeInConfig {
    /// What interrupts replies. Default `yes`.
    pub reply: Interruptible,
    /// What interrupts the greeting. Default `yes`.
    pub greeting: Interruptible,
    /// Speech of this length empties Twilio's buffer; less only holds back what isn't sent yet. Default 160 ms.
    #[serde(with = "humantime_serde")]
    pub confirm: Duration,
    /// Speech of this length is an interruption, words or not. Default 900 ms.
    #[serde(with = "humantime_serde")]
    pub certain: Duration,
    /// After shorter speech, how long to wait for its words before the agent goes on. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub resolve: Duration,
    /// What listeners say that doesn't ask for the floor.
    pub backchannels: Vec<String>,
}

impl Default for BargeInConfig {
    fn default() -> Self {
        let backchannels = [
            "mm-hm",
            "mm hm",
            "mhm",
            "mm",
            "mmm",
            "hmm",
            "hm",
            "uh-huh",
            "uh huh",
            "huh",
            "ah",
            "oh",
            "okay",
            "ok",
            "right",
            "yeah",
            "yep",
            "sure",
            "i see",
            "got it",
            "alright",
            "all right",
            "great",
            "good",
            "cool",
        ];
        Self {
            reply: Interruptible::Yes,
            greeting: Interruptible::Yes,
            confirm: Duration::from_millis(160),
            certain: Duration::from_millis(900),
            resolve: Duration::from_millis(500),
            backchannels: backchannels.map(str::to_owned).to_vec(),
        }
    }
}

/// `[playout]`: how the agent's voice goes out.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlayoutConfig {
    /// How much sound may be sent ahead of its playing. Default 400 ms; at most 60 s.
    #[serde(with = "humantime_serde")]
    pub lead: Duration,
    /// Sound is sent in batches of this length, so that a call wakes less often. Default 60 ms.
    #[serde(with = "humantime_serde")]
    pub batch: Duration,
    /// How long to wait for the mark after the last words before hanging up all the same. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub mark_timeout: Duration,
    /// The level of the agent's voice in dBov, while it speaks. Default −18.
    pub level: f32,
}

impl Default for PlayoutConfig {
    fn default() -> Self {
        Self {
            lead: Duration::from_millis(400),
            batch: Duration::from_millis(60),
            mark_timeout: Duration::from_secs(2),
            level: -18.0,
        }
    }
}

/// `[patience]`: what is said into a silence, and when. An empty list or text says nothing.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PatienceConfig {
    /// The agent's first words. Unset: the model or script greets.
    pub greeting: Option<String>,
    /// How long the caller may be silent. Default 8 s.
    #[serde(with = "humantime_serde")]
    pub caller_silent: Duration,
    /// What is said then, one after the other.
    pub check_ins: Vec<String>,
    /// What is said before hanging up when no check-in helped.
    pub farewell: String,
    /// How long the caller may wait for a reply from the end of speech on, and the turn for its words. Default 1.5 s.
    #[serde(with = "humantime_serde")]
    pub reply_late: Duration,
    /// What is said then, in turns.
    pub fillers: Vec<String>,
    /// How long a reply may take after the filler. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub reply_very_late: Duration,
    /// What is said then, and when a reply can't be had.
    pub apology: String,
    /// What is said when a connection of text broke and the call goes on over another. Tapes tell of it only where it isn't the
    /// default.
    #[serde(skip_serializing_if = "is_usual_reconnected")]
    pub reconnected: String,
    /// Greatest length of a call. Default 1 h.
    #[serde(with = "humantime_serde")]
    pub longest_call: Duration,
    /// What is said before hanging up then.
    pub too_long: String,
    /// How long no media may come before the call is given up. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub no_media: Duration,
}

const RECONNECTED: &str = "Sorry, we were cut off for a moment.";

fn is_usual_reconnected(text: &str) -> bool {
    text == RECONNECTED
}

impl Default for PatienceConfig {
    fn default() -> Self {
        Self {
            greeting: None,
            caller_silent: Duration::from_secs(8),
            check_ins: vec![
                "Hello? Are you still there?".into(),
                "Sorry, I can't hear you. Are you there?".into(),
            ],
            farewell: "I can't hear anything, so I'll hang up now. Goodbye.".into(),
            reply_late: Duration::from_millis(1_500),
            fillers: vec!["One moment, please.".into(), "Just a second.".into()],
            reply_very_late: Duration::from_secs(5),
            apology: "I'm sorry, something went wrong on my side. Could you say that again?".into(),
            reconnected: RECONNECTED.into(),
            longest_call: Duration::from_secs(3_600),
            too_long: "I'm afraid our time is up. Thank you for calling. Goodbye.".into(),
            no_media: Duration::from_secs(15),
        }
    }
}

/// `[dtmf]`: keys.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DtmfConfig {
    /// How long after a key the next one may come. Default 1.5 s.
    #[serde(with = "humantime_serde")]
    pub gap: Duration,
    /// How long the whole number may take from its first key. Default 20 s.
    #[serde(with = "humantime_serde")]
    pub total: Duration,
    /// The key that ends a number. Default `#`; not part of the number.
    pub terminator: Option<char>,
    /// As many keys as this are a whole number. Default 32.
    pub most: usize,
    /// Listen for keys in the sound, for streams that don't report them. Default false: Twilio reports them.
    pub in_band: bool,
}

impl Default for DtmfConfig {
    fn default() -> Self {
        Self {
            gap: Duration::from_millis(1_500),
            total: Duration::from_secs(20),
            terminator: Some('#'),
            most: 32,
            in_band: false,
        }
    }
}

/// `[context]`: what the model is told of the call so far.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContextConfig {
    /// When the turns' text grows past so many characters, the oldest are rolled up into a summary. Default 24 000.
    pub most_chars: usize,
    /// What was said before this stream, when a caller comes back from a transfer that nobody took. The agent goes on from there
    /// and greets nobody. Whoever runs the call sets it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Turn>,
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self { most_chars: 24_000, before: Vec::new() }
    }
}

/// `[machine]`: when a mailbox answers, and a message is to be left.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MachineConfig {
    /// How long its beep is waited for while its greeting goes on; then the message is said all the same. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub beep_within: Duration,
    /// How long its silence must last after speech for a greeting that ends without a beep. Default 4 s.
    #[serde(with = "humantime_serde")]
    pub silence: Duration,
    /// A mailbox may answer: its beep is listened for from the answer on, as it may come before anybody tells that it is one.
    /// Whoever runs the call sets it.
    pub expected: bool,
}

impl MachineConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for MachineConfig {
    fn default() -> Self {
        Self { beep_within: Duration::from_secs(30), silence: Duration::from_secs(4), expected: false }
    }
}
