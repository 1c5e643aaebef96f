//! Media Streams messages of every wrong shape, to a call that has begun. None may end the process or cost another call.

use std::rc::Rc;
use std::time::Duration;

use crate::target::Target;
use crate::{Attack, attack};

const LAYER: &str = "messages";

/// Sends messages to a call of the agent by script, and gives them a moment.
fn sent(all: &mut Vec<Attack>, name: impl Into<String>, messages: Vec<String>) {
    let messages = Rc::new(messages);
    all.push(attack(LAYER, name, move |target: Rc<Target>| {
        let messages = Rc::clone(&messages);
        async move {
            let call = target.new_call();
            let mut opened = target.open("+14155550110", &call).await?;
            for message in messages.iter() {
                let message = message.replace("{stream}", &opened.stream).replace("{call}", &call);
                if opened.socket.text(&message).await.is_err() {
                    return Ok(());
                }
            }
            opened.last(Duration::from_millis(150)).await;
            Ok(())
        }
    }));
}

fn media(timestamp: &str, payload: &str) -> String {
    crate::target::media("{stream}", 5, timestamp, payload)
}

pub(crate) fn all() -> Vec<Attack> {
    let mut all = Vec::new();
    json(&mut all);
    sounds(&mut all);
    times(&mut all);
    events(&mut all);
    all
}

fn json(all: &mut Vec<Attack>) {
    let deep = |open: &str, close: &str, depth| format!("{}{}", open.repeat(depth), close.repeat(depth));
    for (name, text) in [
        ("nothing", String::new()),
        ("a brace", "{".to_owned()),
        ("null", "null".to_owned()),
        ("a number", "1e999".to_owned()),
        ("a string", "\"media\"".to_owned()),
        ("an array", "[{\"event\":\"media\"}]".to_owned()),
        ("an array of 10 000", format!("[{}0]", "0,".repeat(10_000))),
        ("10 000 arrays deep", deep("[", "]", 10_000)),
        ("10 000 objects deep", deep("{\"a\":", "}", 5_000)),
        ("arrays deep in an event", format!("{{\"event\":\"media\",\"media\":{}}}", deep("[", "]", 10_000))),
        ("arrays that never close", "[".repeat(30_000)),
        ("an event that is a number", "{\"event\":5}".to_owned()),
        ("an event that is null", "{\"event\":null}".to_owned()),
        ("an event of 30 kB", format!("{{\"event\":\"{}\"}}", "a".repeat(30_000))),
        ("an event in capitals", "{\"event\":\"MEDIA\"}".to_owned()),
        ("an event twice", "{\"event\":\"media\",\"event\":\"stop\"}".to_owned()),
        (
            "2 000 fields",
            format!(
                "{{{}\"event\":\"media\"}}",
                (0..2_000).map(|n| format!("\"a{n}\":{n},")).collect::<String>()
            ),
        ),
        ("the same field 5 000 times", format!("{{{}\"event\":\"media\"}}", "\"a\":1,".repeat(5_000))),
        ("half a surrogate", "{\"event\":\"\\ud800\"}".to_owned()),
        ("surrogates the wrong way", "{\"event\":\"\\udc00\\ud800\"}".to_owned()),
        ("a zero", "{\"event\":\"media\\u0000\"}".to_owned()),
        ("a byte order mark", "\u{feff}{\"event\":\"media\"}".to_owned()),
        ("controls", "{\"event\":\"\u{1}\u{1b}[2J\"}".to_owned()),
        ("a comment", "{/* */\"event\":\"media\"}".to_owned()),
        ("single quotes", "{'event':'media'}".to_owned()),
        ("NaN", "{\"event\":\"media\",\"media\":{\"timestamp\":NaN}}".to_owned()),
        (
            "a number of 30 000 digits",
            format!("{{\"event\":\"media\",\"sequenceNumber\":{}}}", "9".repeat(30_000)),
        ),
        ("an exponent of 400", "{\"event\":\"media\",\"sequenceNumber\":1e400}".to_owned()),
        ("something behind it", "{\"event\":\"connected\"} {\"event\":\"stop\"}".to_owned()),
        ("HTML", "<html><body>502 Bad Gateway</body></html>".to_owned()),
    ] {
        sent(all, format!("JSON: {name}"), vec![text]);
    }
}

fn sounds(all: &mut Vec<Attack>) {
    for (name, payload) in [
        ("nothing", String::new()),
        ("an octet", "/w==".to_owned()),
        ("seven octets", "/////////w==".to_owned()),
        ("no base64", "!!!!".repeat(50)),
        ("base64 of URLs", "-_-_".repeat(53)),
        ("without padding", "/".repeat(213)),
        ("with too much padding", "/w======".to_owned()),
        ("padding in the midst", "/w==/w==".repeat(20)),
        ("with blanks", "//// ".repeat(40)),
        ("with newlines", "////\\n".repeat(40)),
        ("with bits left over", "/".repeat(214) + "=="),
        ("30 kB", "/".repeat(40_000)),
        ("of escapes", "\\u002f".repeat(216)),
        ("of emoji", "😀".repeat(50)),
        ("of other letters", "а".repeat(216)),
    ] {
        sent(all, format!("sound: {name}"), vec![media("40", &payload)]);
        sent(all, format!("sound: 200 times {name}"), vec![media("40", &payload); 200]);
    }
    for (name, text) in [
        ("a payload that is a number", r#"{"event":"media","media":{"payload":5},"streamSid":"{stream}"}"#),
        (
            "a payload that is an array",
            r#"{"event":"media","media":{"payload":[0,1]},"streamSid":"{stream}"}"#,
        ),
        ("no payload", r#"{"event":"media","media":{},"streamSid":"{stream}"}"#),
        ("no media", r#"{"event":"media","streamSid":"{stream}"}"#),
        ("media that is null", r#"{"event":"media","media":null,"streamSid":"{stream}"}"#),
        (
            "the agent's own track",
            r#"{"event":"media","media":{"track":"outbound","payload":"////"},"streamSid":"{stream}"}"#,
        ),
        (
            "another stream's",
            r#"{"event":"media","media":{"payload":"////"},"streamSid":"MZ00000000000000000000000000000000"}"#,
        ),
    ] {
        sent(all, format!("sound: {name}"), vec![text.to_owned(); 30]);
    }
}

fn times(all: &mut Vec<Attack>) {
    for stamp in [
        "-1",
        "0",
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775807",
        "1e3",
        "",
        "abc",
        "1.5",
        "0x10",
    ] {
        sent(
            all,
            format!("time: {stamp:?}"),
            vec![media("20", "////"), media(stamp, "////"), media("40", "////")],
        );
    }
    let leaps = |of: fn(u64) -> u64| (0..200).map(|number| media(&of(number).to_string(), "////")).collect();
    sent(all, "time: leaps of 5 s", leaps(|number| number * 5_000));
    sent(all, "time: leaps of a year", leaps(|number| number * 31_536_000_000));
    sent(all, "time: backwards", leaps(|number| 1_000_000 - number * 20));
    sent(all, "time: back and forth", leaps(|number| number % 2 * 5_000));
    sent(all, "time: stands still", leaps(|_| 20));
    sent(all, "time: pages of noise", leaps(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let numbered = |number: &str| media("40", "////").replace("\"5\"", number);
    for number in ["\"-1\"", "\"18446744073709551616\"", "5", "null", "[]", "\"five\""] {
        sent(all, format!("sequence: {number}"), vec![numbered(number); 3]);
    }
}

fn events(all: &mut Vec<Attack>) {
    let dtmf = |digit: &str| {
        format!(
            r#"{{"event":"dtmf","streamSid":"{{stream}}","dtmf":{{"track":"inbound_track","digit":"{digit}"}}}}"#
        )
    };
    for digit in ["", "12", "x", "\\u0000", "\u{0661}", "😀", "#"] {
        sent(all, format!("key: {digit:?}"), vec![dtmf(digit)]);
    }
    sent(all, "key: of 30 kB", vec![dtmf(&"1".repeat(30_000))]);
    sent(all, "key: 1 000 of them", vec![dtmf("1"); 1_000]);
    sent(all, "key: 5 000 of them", vec![dtmf("1"); 5_000]);
    let mark =
        |name: &str| format!(r#"{{"event":"mark","streamSid":"{{stream}}","mark":{{"name":"{name}"}}}}"#);
    for name in ["", "nobody", "0", "18446744073709551615", "\\u0000"] {
        sent(all, format!("mark: {name:?}"), vec![mark(name)]);
    }
    sent(all, "mark: of 30 kB", vec![mark(&"m".repeat(30_000))]);
    sent(all, "mark: 5 000 of nobody's", vec![mark("nobody"); 5_000]);
    sent(all, "mark: 1 000 guessed", (0..1_000).map(|number| mark(&number.to_string())).collect());
    for (name, text) in [
        ("unknown", r#"{"event":"weather"}"#),
        ("unknown, with media", r#"{"event":"weather","media":{"payload":"////"}}"#),
        ("unknown, with a stop", r#"{"event":"weather","stop":{}}"#),
        ("connected once more", r#"{"event":"connected","protocol":"Call","version":"9.9.9"}"#),
        ("ours: clear", r#"{"event":"clear","streamSid":"{stream}"}"#),
    ] {
        sent(all, format!("event: {name}"), vec![text.to_owned()]);
        sent(all, format!("event: 1 000 times {name}"), vec![text.to_owned(); 1_000]);
    }
    let start = crate::target::start("{stream}", "{call}", "again");
    sent(all, "event: a second start", vec![start.clone()]);
    sent(all, "event: 100 starts", vec![start; 100]);
    let foreign = crate::target::start("MZ1", "CA1", "again");
    sent(all, "event: another call's start", vec![foreign]);
    sent(
        all,
        "event: stop, and then more",
        [vec![r#"{"event":"stop"}"#.to_owned()], vec![media("40", "////"); 500]].concat(),
    );
}
