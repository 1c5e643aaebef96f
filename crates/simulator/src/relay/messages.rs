//! What Twilio sends, exactly as Twilio writes it.

use offhook_twilio::{AccountSid, CallSid};
use serde_json::{Value, json};

/// Whose session it is.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The account.
    pub account: &'a AccountSid,
    /// The call.
    pub call: &'a CallSid,
    /// The session: `VX…`.
    pub session: &'a str,
    /// Who calls.
    pub from: &'a str,
    /// Who is called.
    pub to: &'a str,
    /// It was connected before.
    pub again: bool,
}

/// The first message, with what the TwiML gave as parameters.
#[must_use]
pub fn setup(who: &Who<'_>, parameters: &[(String, String)]) -> String {
    let parameters: serde_json::Map<String, Value> =
        parameters.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    json!({
        "type": "setup",
        "sessionId": who.session,
        "accountSid": who.account.as_str(),
        "parentCallSid": "",
        "callSid": who.call.as_str(),
        "from": who.from,
        "to": who.to,
        "forwardedFrom": "",
        "callType": "PSTN",
        "callerName": "",
        "direction": "inbound",
        "callStatus": if who.again { "IN_PROGRESS" } else { "RINGING" },
        "customParameters": parameters,
    })
    .to_string()
}

/// What the caller said; more follows if it is not the `last`.
#[must_use]
pub fn prompt(text: &str, lang: &str, last: bool) -> String {
    json!({"type": "prompt", "voicePrompt": text, "lang": lang, "last": last}).to_string()
}

/// A key.
#[must_use]
pub fn dtmf(key: char) -> String {
    json!({"type": "dtmf", "digit": key.to_string()}).to_string()
}

/// The caller spoke over the agent, of whom so much was heard.
#[must_use]
pub fn interrupt(heard: &str, after_ms: u64) -> String {
    json!({"type": "interrupt", "utteranceUntilInterrupt": heard, "durationUntilInterruptMs": after_ms})
        .to_string()
}

/// What happens on the line.
#[must_use]
pub fn info(name: &str, value: &str) -> String {
    json!({"type": "info", "name": name, "value": value}).to_string()
}

/// A message of the server's can't be used.
#[must_use]
pub fn refused(message: &str) -> String {
    let description = format!("Invalid message received, code: 64107, {message}");
    json!({"type": "error", "description": description}).to_string()
}

#[cfg(test)]
mod tests {
    use offhook_twilio::relay::{Inbound, Info, parse};

    use super::*;

    #[test]
    fn our_own_server_understands_them() {
        let (account, call) = (AccountSid::parse("AC1").unwrap(), CallSid::parse("CA1").unwrap());
        let who = Who { account: &account, call: &call, session: "VX1", from: "+1", to: "+2", again: false };
        let text = setup(&who, &[("token".into(), "x".into())]);
        assert!(matches!(parse(&text), Ok(Inbound::Setup(setup)) if setup.parameters["token"] == "x"));
        assert!(matches!(parse(&prompt("hi", "en-US", true)), Ok(Inbound::Prompt { last: true, .. })));
        assert_eq!(parse(&dtmf('5')), Ok(Inbound::Dtmf { digit: '5' }));
        assert!(matches!(parse(&interrupt("Our", 460)), Ok(Inbound::Interrupt { .. })));
        assert_eq!(parse(&info("agentSpeaking", "on")), Ok(Inbound::Info(Info::AgentSpeaking(true))));
        assert!(matches!(parse(&refused("{}")), Ok(Inbound::Error { .. })));
    }
}
