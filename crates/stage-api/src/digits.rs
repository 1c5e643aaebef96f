//! Keys, kept out of logs and tapes.

use serde::{Deserialize, Serialize};

/// Keys the caller pressed, in order. `Debug` and tapes show only how many: a PIN reaches no log by accident.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Digits(String);

impl Digits {
    /// From key characters `0`–`9`, `*`, `#`, `A`–`D`; others are left out.
    #[must_use]
    pub fn new(keys: &str) -> Self {
        Self(keys.chars().filter(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')).collect())
    }

    /// The digits themselves. Keep them out of logs.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digits({})", "•".repeat(self.0.len()))
    }
}

impl Serialize for Digits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&"•".repeat(self.0.len()))
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What was masked comes back as so many ones: as many tones, as long a number.
        String::deserialize(deserializer).map(|keys| Self::new(&keys.replace('•', "1")))
    }
}
