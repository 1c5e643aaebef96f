//! Keys, kept out of logs.

use std::fmt;

/// A provider's key. `Debug` and `Display` show that there is one, never what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a key; white space around it, as files and shells leave it, is dropped.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self(key.trim().to_owned())
    }

    /// The key itself, for the header that it travels in. Keep it out of logs and errors.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(•••)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

/// Headers that carry keys.
const HEADERS: [&str; 6] =
    ["authorization", "x-api-key", "xi-api-key", "api-key", "ocp-apim-subscription-key", "x-goog-api-key"];
/// Query parameters that carry keys.
const PARAMETERS: [&str; 4] = ["token", "api_key", "key", "access_token"];
/// Shorter words aren't keys, and masking them would spoil sentences.
const SHORTEST: usize = 8;

/// What of a request must not be told: the keys in its headers and its query.
pub(crate) fn secrets_of(uri: &http::Uri, headers: &http::HeaderMap) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in headers {
        if (HEADERS.contains(&name.as_str()) || value.is_sensitive())
            && let Ok(value) = value.to_str()
        {
            found.extend(value.split_whitespace().map(str::to_owned));
        }
    }
    for (name, value) in uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('=')) {
        if PARAMETERS.contains(&name) {
            found.push(value.to_owned());
        }
    }
    found.retain(|word| word.len() >= SHORTEST);
    found
}

/// A provider's text without keys. Providers like to quote the key that they refuse, whole or with stars in its middle.
pub(crate) fn mask(text: &str, secrets: &[String]) -> String {
    let mut masked = text.to_owned();
    for secret in secrets {
        masked = masked.replace(secret, "•••");
    }
    if !masked.contains("**") {
        return masked;
    }
    let words = masked.split_inclusive(char::is_whitespace);
    words
        .map(|word| {
            if !word.contains("**") {
                return word.to_owned();
            }
            let space = if word.ends_with(char::is_whitespace) { " " } else { "" };
            format!("•••{space}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = Secret::new(" sk-verysecret-1234\n");
        assert_eq!(key.expose(), "sk-verysecret-1234");
        assert_eq!(format!("{key:?} {key}"), "Secret(•••) •••");
    }

    #[test]
    fn what_a_provider_quotes_is_masked() {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", "Bearer sk-verysecret-1234".parse().unwrap());
        let uri = "wss://x.example/v1?model=a&token=tok-abcdefgh".parse().unwrap();
        let secrets = secrets_of(&uri, &headers);
        let text = "Incorrect API key: sk-verysecret-1234 (sk-ve****1234). You sent tok-abcdefgh.";
        assert_eq!(mask(text, &secrets), "Incorrect API key: ••• ••• You sent •••.");
    }
}
