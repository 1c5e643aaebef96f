//! Names of things inside a call. Each counts from one within its call; none is interchangeable with another.

use serde::{Deserialize, Serialize};

macro_rules! counted_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.wrapping_add(1))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

counted_id!(
    /// One attempt to answer the caller: a request to the language model and all that follows from it. A
    /// speculative attempt that was thrown away and the one that replaced it have different ids.
    ReplyId,
    "r"
);
counted_id!(
    /// One thing that the agent says: text, audio, and what of it was heard.
    UtteranceId,
    "u"
);
counted_id!(
    /// A speakable piece of an utterance, usually a sentence: what one text-to-speech request covers.
    SegmentId,
    "s"
);
counted_id!(
    /// The count of `clear`s sent. Marks carry it, so that echoes caused by a `clear` don't count as heard.
    Generation,
    "g"
);
