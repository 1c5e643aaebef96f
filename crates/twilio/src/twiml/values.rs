//! Values that ConversationRelay's attributes may have.

use serde::Deserialize;

macro_rules! values {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $value)] $variant),*
        }

        impl $name {
            /// As Twilio writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $value),* }
            }
        }
    };
}

values!(
    /// What interrupts, or is told of.
    Interrupts {
        /// Nothing.
        None = "none",
        /// Keys.
        Dtmf = "dtmf",
        /// Speech.
        Speech = "speech",
        /// Both.
        Any = "any",
    }
);
values!(
    /// How readily speech interrupts.
    Sensitivity {
        /// After some words.
        Low = "low",
        /// In between.
        Medium = "medium",
        /// At once.
        High = "high",
    }
);
values!(
    /// Whose voice.
    TtsProvider {
        /// Google.
        Google = "Google",
        /// Amazon Polly.
        Amazon = "Amazon",
        /// ElevenLabs.
        ElevenLabs = "ElevenLabs",
    }
);
values!(
    /// Whose recogniser.
    TranscriptionProvider {
        /// Google.
        Google = "Google",
        /// Deepgram.
        Deepgram = "Deepgram",
    }
);

/// Values of ConversationRelay's attributes that take only some.
pub(super) const RELAY_VALUES: &[(&str, &[&str])] = &[
    ("welcomeGreetingInterruptible", INTERRUPTS),
    ("ttsProvider", &["Google", "Amazon", "ElevenLabs"]),
    ("transcriptionProvider", &["Google", "Deepgram"]),
    ("deepgramSmartFormat", BOOL),
    ("interruptible", INTERRUPTS),
    ("interruptSensitivity", &["low", "medium", "high"]),
    ("dtmfDetection", BOOL),
    ("reportInputDuringAgentSpeech", INTERRUPTS),
    ("preemptible", BOOL),
    ("elevenlabsTextNormalization", &["on", "auto", "off"]),
    ("partialPrompts", BOOL),
    ("ignoreBackchannel", BOOL),
    ("profanityFilter", BOOL),
    ("partialPromptOnHangup", BOOL),
    ("asrSmartFormat", BOOL),
    ("ttsTextNormalization", &["on", "auto", "off"]),
    ("applicationReconnect", BOOL),
    ("echoPromptFiltering", BOOL),
    ("turnDetection", BOOL),
];

const BOOL: &[&str] = &["true", "false"];
/// The booleans mean `any` and `none`.
const INTERRUPTS: &[&str] = &["none", "dtmf", "speech", "any", "true", "false"];
