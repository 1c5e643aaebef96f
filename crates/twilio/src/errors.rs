//! Twilio's error and warning codes that concern a voice server, in plain words (twilio.com/docs/api/errors).

/// What a code means and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwilioError {
    /// Twilio's number.
    pub code: u32,
    /// It only warns; the call goes on.
    pub warning: bool,
    /// What happened.
    pub meaning: &'static str,
    /// What to do.
    pub fix: &'static str,
}

const fn error(code: u32, meaning: &'static str, fix: &'static str) -> TwilioError {
    TwilioError { code, warning: false, meaning, fix }
}

const fn warning(code: u32, meaning: &'static str, fix: &'static str) -> TwilioError {
    TwilioError { code, warning: true, meaning, fix }
}

/// All that are known here, by code.
pub const ERRORS: &[TwilioError] = &[
    error(11100, "a URL is not valid", "write an absolute http(s) URL"),
    error(11200, "the webhook could not be fetched", "answer 200 with XML within 15 s"),
    error(11201, "the webhook took no connection in time", "open TCP port 443 to any address"),
    error(11202, "the webhook refused the connection", "start the server; check the port"),
    error(11205, "no connection to the webhook", "check that the address is public and the port open"),
    error(11206, "the webhook does not speak HTTP", "check port and scheme; look for a crash in its log"),
    error(11210, "the webhook's host name can't be resolved", "check the name and its DNS entry"),
    error(11215, "more than 10 redirects", "write the final URL in the console"),
    error(11220, "the TLS handshake failed", "allow TLS 1.2 and 1.3 with usual ciphers"),
    error(11235, "the certificate is for another host", "use a certificate for this name"),
    error(11236, "the certificate has expired", "renew it, and reload the server"),
    error(11237, "the certificate's chain is not trusted", "send the full chain of a public authority"),
    error(11750, "the TwiML is longer than 64 kB", "answer with the document only"),
    error(11770, "the body is empty though chunked", "send a body, or `Content-Length: 0`"),
    error(
        12100,
        "the TwiML can't be parsed",
        "fix the XML: often an unescaped `&`, or something before `<?xml`",
    ),
    error(12102, "the document's root is not `<Response>`", "wrap the verbs in `<Response>`"),
    warning(
        12200,
        "the TwiML has an element or attribute that Twilio doesn't know",
        "fix its spelling; case counts",
    ),
    error(12300, "the content type is not XML", "answer with `Content-Type: text/xml`"),
    error(31901, "no answer to the stream's connection request", "open port 443; check the tunnel"),
    error(31902, "the stream's connection was refused", "start the server; check the port"),
    error(31903, "the stream's connection broke", "look for crashes and idle timeouts of proxies"),
    error(31904, "the stream's host can't be reached", "use a public address in the TwiML"),
    error(31910, "TLS failed on the stream's connection", "serve wss with a trusted certificate"),
    error(
        31920,
        "the stream's handshake was not answered with 101",
        "check path, proxy and query string of the URL",
    ),
    error(31921, "the server closed the stream", "close only when the call is to go on with the next verb"),
    error(31922, "the stream's URL is not wss", "write `wss://`"),
    error(31923, "the stream's URL is malformed", "write an absolute `wss://host/path`"),
    error(
        31924,
        "the WebSocket protocol was violated",
        "send whole text frames; don't fragment control frames",
    ),
    warning(31930, "the server reads too slowly; caller audio was dropped", "never block the reader"),
    warning(
        31931,
        "more than 10 minutes of audio are queued; some was dropped",
        "send in step with the playout",
    ),
    error(31941, "the `track` is not valid", "`<Connect><Stream>` takes `inbound_track` only"),
    warning(31950, "a message could not be decoded", "send text frames, not binary ones"),
    warning(
        31951,
        "a message is not valid",
        "send `media`, `mark` and `clear` with their documented fields only",
    ),
    error(
        64101,
        "ConversationRelay's TwiML has a value that can't be",
        "check that voice, model and language belong to their provider, and that the account has it enabled",
    ),
    error(
        64102,
        "ConversationRelay could not connect to the WebSocket",
        "check the URL, its certificate, and that the upgrade is answered with 101",
    ),
    error(64103, "ConversationRelay failed inside", "try again"),
    error(64104, "the session reached its greatest length", "connect the call anew in the action's TwiML"),
    error(
        64105,
        "the WebSocket ended on the server's side",
        "send `end` to end a session; set `action` so that a lost one can go on",
    ),
    error(
        64106,
        "language, voice and provider don't go together",
        "check their combination in ConversationRelay's TwiML",
    ),
    warning(
        64107,
        "a message to ConversationRelay is not valid and was dropped; ten in a row end the session",
        "send `text`, `play`, `sendDigits`, `language` and `end` with their documented fields only",
    ),
    error(
        64108,
        "no sound came from the call for too long",
        "the call is gone, or its carrier stopped sending",
    ),
    error(64109, "too many sessions at once", "ask Twilio for more"),
    error(64110, "the account has ConversationRelay switched off", "accept its addendum in Twilio's console"),
    error(64114, "the recogniser's provider can't be reached", "take another `transcriptionProvider`"),
];

/// What a code means.
#[must_use]
pub fn lookup(code: u32) -> Option<&'static TwilioError> {
    ERRORS.binary_search_by_key(&code, |error| error.code).ok().and_then(|index| ERRORS.get(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_found() {
        assert!(ERRORS.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert_eq!(lookup(31920).map(|error| error.warning), Some(false));
        assert_eq!(lookup(1), None);
    }
}
