//! How a conversation behaves. Every field has a default; the agent's file overrides what it wants.

use std::collections::BTreeMap;
use std::time::Duration;

use offhook_stage_api::{Entry, Interruptible};
use serde::{Deserialize, Serialize};

use crate::phrases::LanguagePhrases;
pub use crate::phrases::Phrases;

/// How a conversation behaves, whatever line carries it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConversationConfig {
    /// `[turn]`: when the caller is done.
    pub turn: TurnConfig,
    /// `[barge_in]`: when the caller speaks over the agent.
    pub barge_in: BargeInConfig,
    /// `[timeouts]`: how long who may be silent.
    pub timeouts: Timeouts,
    /// `[phrases]`: what the engine itself says.
    pub phrases: Phrases,
    /// `[dtmf]`: keys.
    pub dtmf: DtmfConfig,
    /// `[history]`: how much of the conversation the model gets.
    pub history: HistoryConfig,
    /// `[voicemail]`: when a mailbox answers.
    pub voicemail: VoicemailConfig,
    /// `[tool_limits]`: how long a model may go on calling tools.
    pub tool_limits: ToolLimits,
    /// The model follows the call: it gets keys one by one, words and voices as they come and go, and may speak unasked.
    /// The server sets it, for agents whose words come from an application.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
    /// Such a model is told what has been heard while it is said, too, some five times a second. The server sets it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follows_words: bool,
    /// What a carrier that listens itself is told of the words that are expected: its message, with `{hints}` in the place of the words.
    /// The server sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hints_message: Option<String>,
    /// How the agent's tools behave in a call, by name. From the agent's file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, ToolBehaviour>,
    /// BCP 47 tag of the language in which the call begins: how text is cut and read. From the agent's file; empty: English.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// The languages that the call may be switched to, by BCP 47 tag, with the engine's phrases in them. From the agent's file;
    /// the one that the call begins in is among them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub languages: BTreeMap<String, LanguagePhrases>,
}

/// How a tool behaves in a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolBehaviour {
    /// Said while it runs, if the reply that wants it said nothing itself. Default: the usual fillers, later.
    pub filler: Option<String>,
    /// Played over and over while it runs, after the filler: the URL of a sound that Twilio can fetch. Only on ConversationRelay,
    /// where the sound is Twilio's. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// What becomes of it when the caller interrupts. Default `survive`.
    pub on_interruption: OnInterruption,
}

/// What becomes of a running tool when the caller interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInterruption {
    /// It goes on; the model gets its result.
    #[default]
    Survive,
    /// It is cancelled.
    Cancel,
}

/// `[tool_limits]`: how long a model may go on calling tools before it has to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolLimits {
    /// Requests in one turn whose answer may be another tool call. The next one has to be answered in words. Default 8.
    pub max_steps: u32,
    /// Times that the same tool may be called with the same arguments in one turn. Default 2.
    pub max_equal_calls: u32,
}

impl Default for ToolLimits {
    fn default() -> Self {
        Self { max_steps: 8, max_equal_calls: 2 }
    }
}

/// `[turn]`: when the caller is done. Waits are counted from the end of the speech.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TurnConfig {
    /// Request replies before the turn's end is certain, and hold them. Default true.
    pub speculate: bool,
    /// Silence after which a reply may be requested, if `speculate`. Long enough for the recogniser's partial transcript to have the last
    /// word: a request on fewer words is thrown away and costs money. Default 160 ms.
    #[serde(with = "humantime_serde")]
    pub eager: Duration,
    /// Least silence that ends a turn, when everything says that it is complete. Default 250 ms.
    #[serde(with = "humantime_serde")]
    pub min_silence: Duration,
    /// Silence that ends a turn whose words look neither complete nor incomplete. Default 350 ms.
    #[serde(with = "humantime_serde")]
    pub plain: Duration,
    /// Silence before the answer to such a turn is heard; until then the turn can be reopened. Default 600 ms.
    #[serde(with = "humantime_serde")]
    pub answer_after: Duration,
    /// Silence that ends a turn during a dictated number. Default 1.2 s.
    #[serde(with = "humantime_serde")]
    pub dictation: Duration,
    /// Silence that ends a turn whose words lack the full stop that this recogniser sets. Default 1.5 s.
    #[serde(with = "humantime_serde")]
    pub unpunctuated: Duration,
    /// Silence that ends a turn whatever the words say, unless they plainly stop short. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub max_silence: Duration,
    /// Silence that ends a turn whose words plainly stop short: "a table for two and", four digits of seven. Default 3 s.
    #[serde(with = "humantime_serde")]
    pub unfinished: Duration,
    /// A turn that has lasted so long ends at its next pause of `min_silence`, whatever its words say: the agent has enough to answer.
    /// Default 2 min.
    #[serde(with = "humantime_serde")]
    pub longest: Duration,
    /// Lengthen the wait for callers who have been seen to pause within their turns. Default true.
    pub adapt: bool,
    /// Ask a turn model at each pause. The session sets it, if there is one.
    pub model: bool,
    /// Speech shorter than this without a recognised word is noise and gets no answer. Default 400 ms.
    #[serde(with = "humantime_serde")]
    pub shortest_wordless: Duration,
    /// Sound that lasts this long without a word, from a recogniser that sends partial transcripts, is noise: it neither holds the floor
    /// nor reopens a turn. Default 700 ms.
    #[serde(with = "humantime_serde")]
    pub noise_after: Duration,
    /// The recogniser is known to send partial transcripts; else that is learnt from its first. Set from the agent's recognisers.
    pub partials: bool,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self {
            speculate: true,
            eager: Duration::from_millis(160),
            min_silence: Duration::from_millis(250),
            plain: Duration::from_millis(350),
            answer_after: Duration::from_millis(600),
            dictation: Duration::from_millis(1_200),
            unpunctuated: Duration::from_millis(1_500),
            max_silence: Duration::from_secs(2),
            unfinished: Duration::from_secs(3),
            longest: Duration::from_secs(120),
            adapt: true,
            model: false,
            shortest_wordless: Duration::from_millis(400),
            noise_after: Duration::from_millis(700),
            partials: false,
        }
    }
}

/// `[barge_in]`: when the caller speaks over the agent.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BargeInConfig {
    /// What interrupts replies. Default `yes`.
    pub reply: Interruptible,
    /// What interrupts the greeting. Default `yes`.
    pub greeting: Interruptible,
    /// Speech of this length over the agent lowers its voice until it is clear what the speech is. Default 160 ms.
    #[serde(with = "humantime_serde")]
    pub confirm: Duration,
    /// Speech of this length without words is an interruption, if the recogniser sends no partial transcripts. Default 900 ms.
    #[serde(with = "humantime_serde")]
    pub certain: Duration,
    /// After shorter speech, how long to wait for its words before the agent's voice is raised again. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub resolve: Duration,
    /// What listeners say without asking for the floor; also one after the other ("oh, okay").
    pub backchannels: Vec<String>,
}

impl Default for BargeInConfig {
    fn default() -> Self {
        let backchannels = [
            "mm-hm",
            "mm hm",
            "mhm",
            "mmhmm",
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
            "yes",
            "sure",
            "i see",
            "got it",
            "gotcha",
            "alright",
            "all right",
            "great",
            "good",
            "cool",
            "fine",
            "perfect",
            "wow",
            "really",
            "of course",
            "thanks",
            "thank you",
            "that's right",
            "that's fine",
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

/// `[timeouts]`: how long who may be silent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// How long the caller may be silent before a check-in. Default 8 s.
    #[serde(with = "humantime_serde")]
    pub caller_silent: Duration,
    /// How long the caller may wait for a reply's sound, from the end of the speech, before a filler; also for a tool, for a turn's
    /// words, and for the rest of a reply that has run dry. Default 1.5 s.
    #[serde(with = "humantime_serde")]
    pub reply_late: Duration,
    /// How long it may take after the filler before an apology takes its place. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub reply_very_late: Duration,
    /// How long the voice may take to begin one of the engine's own phrases before it is given up. Default 3 s.
    #[serde(with = "humantime_serde")]
    pub voice_late: Duration,
    /// Greatest length of a call. Default 1 h.
    #[serde(with = "humantime_serde")]
    pub longest_call: Duration,
    /// How long no media may come before the call is given up. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub no_media: Duration,
    /// How long a transfer that was asked for may take to come about. Default 20 s.
    #[serde(with = "humantime_serde")]
    pub transfer: Duration,
    /// How long a lost connection is waited for. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub reconnect: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            caller_silent: Duration::from_secs(8),
            reply_late: Duration::from_millis(1_500),
            reply_very_late: Duration::from_secs(5),
            voice_late: Duration::from_secs(3),
            longest_call: Duration::from_secs(3_600),
            no_media: Duration::from_secs(15),
            transfer: Duration::from_secs(20),
            reconnect: Duration::from_secs(30),
        }
    }
}

/// `[dtmf]`: keys.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
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

/// `[history]`: how much of the conversation the model gets.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryConfig {
    /// When the entries' text grows past so many characters, the oldest are shortened into a summary. Default 24 000.
    pub most_chars: usize,
    /// What was said before this stream, when a caller comes back from a transfer that nobody took. The agent goes on from there
    /// and greets nobody. The server sets it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Entry>,
    /// The stream before broke off: the caller hears that, and again what was said last.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut_off: bool,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { most_chars: 24_000, before: Vec::new(), cut_off: false }
    }
}

/// `[voicemail]`: when a mailbox answers, and a message is to be left.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct VoicemailConfig {
    /// How long its beep is waited for while its greeting goes on; then the message is said all the same. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub beep_within: Duration,
    /// How long its silence must last after speech for a greeting that ends without a beep. Default 4 s.
    #[serde(with = "humantime_serde")]
    pub silence: Duration,
    /// A mailbox may answer: its beep is listened for from the answer on, as it may come before the verdict that it is one.
    /// The server sets it.
    pub expected: bool,
}

impl Default for VoicemailConfig {
    fn default() -> Self {
        Self { beep_within: Duration::from_secs(30), silence: Duration::from_secs(4), expected: false }
    }
}
