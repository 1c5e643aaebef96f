//! Twilio's identifiers. Made only by parsing; not interchangeable.

use std::sync::Arc;

/// Longest identifier taken from a peer, in bytes. Twilio's have 34.
const LONGEST: usize = 64;

/// Why something is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{what}` must be 1 to {LONGEST} ASCII letters, digits, `-` and `_`, e.g. {example}")]
pub struct BadSid {
    what: &'static str,
    example: &'static str,
}

macro_rules! sid {
    ($(#[$doc:meta])* $name:ident, $what:literal, $prefix:literal, $example:literal) => {
        $(#[$doc])*
        ///
        /// Test clients shorten theirs, so any 1 to 64 ASCII letters, digits, `-` and `_` are taken; Twilio's own have 34. Telnyx's, which
        /// speaks ConversationRelay too, are UUIDs, or begin with `v2:`.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads one.
            ///
            /// # Errors
            /// If it is empty, too long, or has characters that no identifier has.
            pub fn parse(sid: &str) -> Result<Self, BadSid> {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                // Telnyx's call control ids: "v2:T02ll…".
                let bare = sid.strip_prefix("v2:").or_else(|| sid.strip_prefix("v3:")).unwrap_or(sid);
                let good = !bare.is_empty() && sid.len() <= LONGEST && bare.bytes().all(plain);
                if good { Ok(Self(sid.into())) } else { Err(BadSid { what: $what, example: $example }) }
            }

            /// Whether it has the form that Twilio gives: the prefix and 32 hexadecimal digits.
            #[must_use]
            pub fn is_twilios(&self) -> bool {
                let digits = self.0.strip_prefix($prefix).unwrap_or("");
                digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            }

            /// As text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// As shared text.
            #[must_use]
            pub fn to_shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

sid!(
    /// Names a phone call: `CA` and 32 hex digits.
    CallSid, "callSid", "CA", "CA0123456789abcdef0123456789abcdef"
);
sid!(
    /// Names one media stream: `MZ` and 32 hex digits.
    StreamSid, "streamSid", "MZ", "MZ0123456789abcdef0123456789abcdef"
);
sid!(
    /// Names an account: `AC` and 32 hex digits.
    AccountSid, "accountSid", "AC", "AC0123456789abcdef0123456789abcdef"
);
sid!(
    /// Names one ConversationRelay session: `VX` and 32 hex digits.
    SessionSid, "sessionId", "VX", "VX0123456789abcdef0123456789abcdef"
);
