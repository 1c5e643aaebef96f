//! Webhooks that aren't Twilio's, and Twilio's with what it never sends.

use std::fmt::Write;
use std::rc::Rc;

use offhook_twilio::webhook::{WebhookForm, incoming_call};

use crate::target::{ACCOUNT, Target, no_fault, refused};
use crate::{Attack, attack};

const LAYER: &str = "webhook";

const CALL: &str = "CA0000000000000000000000000000a77a";

const PATHS: [&str; 9] = [
    "/voice",
    "/after-stream",
    "/after-transfer",
    "/status",
    "/amd",
    "/stream-status",
    "/after-relay",
    "/app",
    "/after-app",
];

pub(crate) fn all() -> Vec<Attack> {
    [forged(), signatures(), forwarded(), floods(), signed()].into_iter().flatten().collect()
}

/// Forms of strangers, at each address.
fn forged() -> Vec<Attack> {
    let forms = [
        ("16 kB of a&", "a&".repeat(8_000)),
        ("64 kB of a&", "a&".repeat(32_000)),
        ("escapes", "%41=%42&".repeat(1_800)),
        ("broken escapes", "%=%4&%zz=".repeat(1_500)),
        ("one long value", format!("a={}", "b".repeat(16_000))),
        ("a call", "CallSid=CA00000000000000000000000000000001&From=%2B1".to_owned()),
    ];
    let mut all = Vec::new();
    for path in PATHS {
        for (name, form) in &forms {
            for (how, signature) in [
                ("unsigned", String::new()),
                ("forged", format!("X-Twilio-Signature: {}=\r\n", "A".repeat(27))),
            ] {
                let request = format!(
                    "POST {path} HTTP/1.1\r\nHost: x\r\n{signature}Content-Length: {}\r\n\r\n{form}",
                    form.len()
                );
                all.push(attack(LAYER, format!("{how}, {name} to {path}"), move |target: Rc<Target>| {
                    let request = request.clone();
                    async move { refused(&target.told(request.as_bytes()).await?) }
                }));
            }
        }
    }
    all
}

/// Signatures that are none.
fn signatures() -> Vec<Attack> {
    let settings = |text: &str| {
        format!("X-Twilio-Signature: {}=\r\nX-Twilio-Webhooks-Signature-Settings: {text}\r\n", "A".repeat(43))
    };
    [
        ("too short", "X-Twilio-Signature: AAAA\r\n".to_owned()),
        ("too long", format!("X-Twilio-Signature: {}\r\n", "A".repeat(10_000))),
        ("no base64", format!("X-Twilio-Signature: {}\r\n", "!".repeat(28))),
        ("two of them", format!("X-Twilio-Signature: {0}=\r\nX-Twilio-Signature: {0}=\r\n", "A".repeat(27))),
        ("an unknown key", settings("key=k,algorithm=HMAC_SHA256")),
        ("an unknown algorithm", settings("key=k,algorithm=none")),
        ("no algorithm", settings("key=k")),
        ("no key", settings("algorithm=HMAC_SHA256")),
        ("10 000 keys", settings(&"key=k,".repeat(1_500))),
        ("settings of nonsense", settings("=,=,=,;;;")),
        ("settings twice", settings("key=k,algorithm=HMAC_SHA256,key=l,algorithm=MD5")),
        ("SHA-1's length with settings", format!(
            "X-Twilio-Signature: {}=\r\nX-Twilio-Webhooks-Signature-Settings: key=k,algorithm=HMAC_SHA256\r\n",
            "A".repeat(27)
        )),
    ]
    .into_iter()
    .map(|(name, signature)| {
        let request = format!("POST /voice HTTP/1.1\r\nHost: x\r\n{signature}Content-Length: 3\r\n\r\na=b");
        attack(LAYER, format!("signature: {name}"), move |target: Rc<Target>| {
            let request = request.clone();
            async move { refused(&target.told(request.as_bytes()).await?) }
        })
    })
    .collect()
}

/// Whom a request says it comes from.
fn forwarded() -> Vec<Attack> {
    [
        "Forwarded: for=1.2.3.4;host=evil.example;proto=https".to_owned(),
        "Forwarded: for=\"[2001:db8::1]:4711\";by=203.0.113.43".to_owned(),
        "Forwarded: for=unknown".to_owned(),
        "Forwarded: for=_hidden, for=\"_SEVKISEK\"".to_owned(),
        "Forwarded: for=\"unclosed".to_owned(),
        "Forwarded: ;;;,,,===".to_owned(),
        "Forwarded: host=\"a\\\"b\"".to_owned(),
        format!("Forwarded: {}", "for=1.2.3.4,".repeat(1_000)),
        format!("Forwarded: {}", "for=1.2.3.4\r\nForwarded: ".repeat(50)),
        "X-Forwarded-For: 127.0.0.1".to_owned(),
        "X-Forwarded-For: ::1, 127.0.0.1".to_owned(),
        "X-Forwarded-For: 999.999.999.999".to_owned(),
        format!("X-Forwarded-For: {}", "10.0.0.1,".repeat(1_500)),
        "X-Forwarded-Host: evil.example".to_owned(),
        "X-Forwarded-Host: a, b, c".to_owned(),
        "X-Forwarded-Host: a\"/><Hangup/>".to_owned(),
        "X-Forwarded-Proto: gopher".to_owned(),
        "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 99999".to_owned(),
        "X-Forwarded-Port: -1".to_owned(),
        format!("X-Forwarded-Host: {}", "a".repeat(10_000)),
        "X-Real-IP: 127.0.0.1".to_owned(),
    ]
    .into_iter()
    .map(|header| {
        let shown: String = header.chars().take(50).collect();
        let signature = format!("X-Twilio-Signature: {}=\r\n", "A".repeat(27));
        let request =
            format!("POST /voice HTTP/1.1\r\nHost: x\r\n{signature}{header}\r\nContent-Length: 3\r\n\r\na=b");
        attack(LAYER, format!("it says {shown}"), move |target: Rc<Target>| {
            let request = request.clone();
            async move { refused(&target.told(request.as_bytes()).await?) }
        })
    })
    .collect()
}

/// Many at once.
fn floods() -> Vec<Attack> {
    let forged = format!("X-Twilio-Signature: {}=\r\n", "A".repeat(27));
    let form = "a=bcdefgh&".repeat(150) + &"x".repeat(10_000);
    let mut all = Vec::new();
    for (name, head, body) in [
        ("unsigned", String::new(), "a=b".to_owned()),
        ("unsigned with 11 kB", String::new(), form.clone()),
        ("forged", forged.clone(), "a=b".to_owned()),
        ("forged with 11 kB", forged.clone(), form),
        ("forged with 199 parameters", forged, "a=b&".repeat(199)),
        ("wrong tokens", "Authorization: Bearer x\r\n".to_owned(), String::new()),
    ] {
        let path = if name == "wrong tokens" { "GET /calls" } else { "POST /voice" };
        let request = format!(
            "{path} HTTP/1.1\r\nHost: x\r\n{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        all.push(attack(LAYER, format!("500 of them, {name}"), move |target: Rc<Target>| {
            let request = request.clone();
            async move {
                for _ in 0..25 {
                    let all = (0..20).map(|_| target.told(request.as_bytes()));
                    for answer in futures_util::future::join_all(all).await {
                        refused(&answer?)?;
                    }
                }
                Ok(())
            }
        }));
    }
    all
}

/// What Twilio would have to sign, and never would.
fn signed() -> Vec<Attack> {
    let mut forms: Vec<(String, WebhookForm)> = Vec::new();
    let usual = || incoming_call(CALL, ACCOUNT, "+14155550100", "+14155550101");
    let with = |name: &str, value: &str| {
        let form = usual();
        form.params().iter().fold(WebhookForm::default(), |made, (key, old)| {
            made.with(key, if key == name { value } else { old })
        })
    };
    for sid in ["", "CA", "../../Messages", "CA/../x", "CA0", "\0", &"A".repeat(64), "CA<x>", "CA\r\nX: y"] {
        forms.push((format!("CallSid {sid:?}"), with("CallSid", sid)));
    }
    for number in
        ["", "anonymous", "+266696687", "sip:a@b", "\u{202e}1", "+1\r\n+2", "'; DROP TABLE calls;--"]
    {
        forms.push((format!("From {number:?}"), with("From", number)));
    }
    forms.push(("From of 10 kB".to_owned(), with("From", &"9".repeat(10_000))));
    forms.push(("To of 10 kB".to_owned(), with("To", &"9".repeat(10_000))));
    let many = (0..150).fold(usual(), |form, number| form.with(&format!("SipHeader_X-{number}"), "value"));
    forms.push(("150 SIP headers".to_owned(), many));
    let mut long = String::new();
    (0..1_000).for_each(|number| write!(long, "<Say>{number}</Say>").unwrap());
    forms.push(("a SIP header of TwiML".to_owned(), usual().with("SipHeader_X-Twiml", &long)));
    forms.push(("each parameter twice".to_owned(), usual().with("CallSid", "CA1").with("From", "x")));
    let mut all = Vec::new();
    for (name, form) in forms {
        all.push(attack(LAYER, format!("signed: {name}"), move |target: Rc<Target>| {
            let form = form.clone();
            async move { no_fault(&target.signed("/voice", &form).await?) }
        }));
    }
    for path in [
        "/status",
        "/amd",
        "/stream-status",
        "/after-stream?again=99999999999",
        "/after-relay",
        "/after-transfer",
    ] {
        all.push(attack(
            LAYER,
            format!("signed: nonsense to {path}"),
            move |target: Rc<Target>| async move {
                let form = WebhookForm::default()
                    .with("CallSid", CALL)
                    .with("SequenceNumber", "-1")
                    .with("CallDuration", "NaN")
                    .with("HandoffData", &"{".repeat(5_000))
                    .with("StreamEvent", "\u{1b}[2J")
                    .with("AnsweredBy", "nobody");
                no_fault(&target.signed(path, &form).await?)
            },
        ));
    }
    all.push(attack(LAYER, "signed: 300 calls that never open a stream", |target: Rc<Target>| async move {
        for _ in 0..15 {
            let all = (0..20).map(|_| {
                let form = incoming_call(&target.new_call(), ACCOUNT, "+14155550100", "+14155550101");
                let target = Rc::clone(&target);
                async move { target.signed("/voice", &form).await }
            });
            for answer in futures_util::future::join_all(all).await {
                no_fault(&answer?)?;
            }
        }
        Ok(())
    }));
    all
}
