//! What Twilio sends, exactly as Twilio writes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use serde_json::{Value, json};

/// Writes one stream's messages; counts them.
#[derive(Debug)]
pub struct Messages {
    account: AccountSid,
    call: CallSid,
    stream: StreamSid,
    sequence: u64,
    chunk: u64,
}

/// The first timestamp is not zero: captures show 155 and 171 ms.
const FIRST_TIMESTAMP_MS: u64 = 155;

impl Messages {
    /// For one stream.
    #[must_use]
    pub const fn new(account: AccountSid, call: CallSid, stream: StreamSid) -> Self {
        Self { account, call, stream, sequence: 0, chunk: 0 }
    }

    fn next(&mut self) -> String {
        self.sequence += 1;
        self.sequence.to_string()
    }

    /// The first message.
    #[must_use]
    pub fn connected() -> String {
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#.to_owned()
    }

    /// The second, with the `<Parameter>`s.
    pub fn start(&mut self, parameters: &[(String, String)]) -> String {
        let parameters: serde_json::Map<String, Value> =
            parameters.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        json!({
            "event": "start",
            "sequenceNumber": self.next(),
            "start": {
                "accountSid": self.account.as_str(),
                "streamSid": self.stream.as_str(),
                "callSid": self.call.as_str(),
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": parameters,
            },
            "streamSid": self.stream.as_str(),
        })
        .to_string()
    }

    /// Sound, in the field order of the captures.
    pub fn media(&mut self, octets: &[u8]) -> String {
        self.chunk += 1;
        let timestamp = FIRST_TIMESTAMP_MS + (self.chunk - 1) * 20;
        format!(
            r#"{{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{}","timestamp":"{timestamp}","payload":"{}"}},"streamSid":"{}"}}"#,
            self.next(),
            self.chunk,
            STANDARD.encode(octets),
            self.stream,
        )
    }

    /// A key was pressed.
    pub fn dtmf(&mut self, key: char) -> String {
        json!({
            "event": "dtmf",
            "streamSid": self.stream.as_str(),
            "sequenceNumber": self.next(),
            "dtmf": {"track": "inbound_track", "digit": key.to_string()},
        })
        .to_string()
    }

    /// A mark comes back.
    pub fn mark(&mut self, name: &str) -> String {
        json!({
            "event": "mark",
            "sequenceNumber": self.next(),
            "streamSid": self.stream.as_str(),
            "mark": {"name": name},
        })
        .to_string()
    }

    /// The last.
    pub fn stop(&mut self) -> String {
        json!({
            "event": "stop",
            "sequenceNumber": self.next(),
            "stop": {"accountSid": self.account.as_str(), "callSid": self.call.as_str()},
            "streamSid": self.stream.as_str(),
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_twilio::stream::{Inbound, parse};

    #[test]
    fn our_own_server_understands_them() {
        let sid = |sid| (AccountSid::parse("AC1"), CallSid::parse("CA1"), StreamSid::parse(sid));
        let (Ok(account), Ok(call), Ok(stream)) = sid("MZ1") else { panic!() };
        let mut messages = Messages::new(account, call, stream);
        assert!(matches!(parse(&Messages::connected()), Ok(Inbound::Connected { .. })));
        let start = messages.start(&[("a".into(), "b".into())]);
        assert!(matches!(parse(&start), Ok(Inbound::Start(start)) if start.parameters["a"] == "b"));
        let media = messages.media(&[0xFF; 160]);
        assert!(media.starts_with(r#"{"event":"media","sequenceNumber":"2","media":{"track":"inbound","chunk":"1","timestamp":"155""#));
        assert!(matches!(parse(&media), Ok(Inbound::Media(media)) if media.timestamp_ms == Some(155)));
        assert_eq!(parse(&messages.dtmf('5')), Ok(Inbound::Dtmf { digit: '5' }));
        assert_eq!(parse(&messages.mark("x\"y")), Ok(Inbound::Mark { name: "x\"y".into() }));
        assert_eq!(parse(&messages.stop()), Ok(Inbound::Stop));
    }
}
