//! The form that Twilio posts to a voice webhook ("TwiML for Programmable Voice", twilio.com/docs/voice/twiml).

/// A webhook's parameters: all of them, in order, blanks and repetitions kept, because all are signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookForm {
    params: Vec<(String, String)>,
}

impl WebhookForm {
    /// Reads `application/x-www-form-urlencoded`, from a body or a query string. Anything at all is a form.
    #[must_use]
    pub fn parse(encoded: &[u8]) -> Self {
        Self { params: form_urlencoded::parse(encoded).into_owned().collect() }
    }

    /// The parameters, decoded.
    #[must_use]
    pub fn params(&self) -> &[(String, String)] {
        &self.params
    }

    /// A parameter's value; `None` if it is missing or blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As a body.
    #[must_use]
    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.params).finish()
    }
}

/// What Twilio posts first for an inbound call, with the blanks that it really has.
#[must_use]
pub fn incoming_call(call_sid: &str, account_sid: &str, from: &str, to: &str) -> WebhookForm {
    [
        ("AccountSid", account_sid),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", call_sid),
        ("CallStatus", "ringing"),
        ("Called", to),
        ("CalledCity", ""),
        ("CalledCountry", "US"),
        ("CalledState", ""),
        ("CalledZip", ""),
        ("Caller", from),
        ("CallerCity", ""),
        ("CallerCountry", "US"),
        ("CallerState", ""),
        ("CallerZip", ""),
        ("Direction", "inbound"),
        ("From", from),
        ("FromCity", ""),
        ("FromCountry", "US"),
        ("FromState", ""),
        ("FromZip", ""),
        ("StirVerstat", "TN-Validation-Passed-C"),
        ("To", to),
        ("ToCity", ""),
        ("ToCountry", "US"),
        ("ToState", ""),
        ("ToZip", ""),
    ]
    .iter()
    .fold(WebhookForm::default(), |form, (name, value)| form.with(name, value))
}

/// A URL, from where a document stands and what it says (RFC 3986, 5.2, without dots in paths).
#[must_use]
pub fn join_url(base: &str, reference: &str) -> String {
    if reference.contains("://") {
        return reference.to_owned();
    }
    let Some((scheme, rest)) = base.split_once("://") else { return reference.to_owned() };
    if let Some(rest) = reference.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.split(['?', '#']).next().unwrap_or("");
    match reference.chars().next() {
        None => base.to_owned(),
        Some('/') => format!("{scheme}://{authority}{reference}"),
        Some('?') => format!("{scheme}://{authority}{path}{reference}"),
        Some(_) => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{reference}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_joined() {
        for (base, reference, joined) in [
            ("https://h/a/b?x=1", "c", "https://h/a/c"),
            ("https://h/a", "/c?d", "https://h/c?d"),
            ("https://h/a?x=1", "?y=2", "https://h/a?y=2"),
            ("https://h", "c", "https://h/c"),
            ("https://h/a", "//g/c", "https://g/c"),
            ("https://h/a", "http://g", "http://g"),
            ("https://h/a?x", "", "https://h/a?x"),
        ] {
            assert_eq!(join_url(base, reference), joined);
        }
    }

    #[test]
    fn blanks_repetitions_and_odd_characters_survive() {
        let form =
            incoming_call("CA1", "AC1", "+14155550100", "+14155550101").with("X", "a&b=ü ").with("X", "2");
        let back = WebhookForm::parse(form.encode().as_bytes());
        assert_eq!(back, form);
        assert_eq!(back.get("CallerCity"), None);
        assert!(back.params().iter().any(|(name, value)| name == "CallerCity" && value.is_empty()));
        assert_eq!(back.get("From"), Some("+14155550100"));
    }
}
