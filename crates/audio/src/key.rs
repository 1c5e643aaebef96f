//! A key of the telephone.

/// A key of the telephone's keypad: `0`–`9`, `*`, `#`, `A`–`D`. `Debug` doesn't show which.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(char);

impl Key {
    /// From its character; `None` if there is no such key.
    #[must_use]
    pub const fn new(key: char) -> Option<Self> {
        match key {
            '0'..='9' | '*' | '#' | 'A'..='D' => Some(Self(key)),
            'a'..='d' => Some(Self(key.to_ascii_uppercase())),
            _ => None,
        }
    }

    /// Its character. Keep it out of logs.
    #[must_use]
    pub const fn reveal(self) -> char {
        self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(•)")
    }
}
