//! Calls whose model, voice, recogniser or tools have gone bad. The five good calls, and the process, don't notice.

use std::rc::Rc;
use std::time::Duration;

use crate::relay;
use crate::target::Target;
use crate::vendors::{DONE, EVENTS, Mode, call_of, content};
use crate::{Attack, attack};

/// So long each call lasts.
const LASTS: Duration = Duration::from_millis(1_200);

pub(crate) fn all() -> Vec<Attack> {
    [models(), tokens(), voices(), recognisers(), tools()].into_iter().flatten().collect()
}

fn once(first: impl Into<Vec<u8>>) -> Mode {
    Mode { first: first.into(), ..Mode::default() }
}

fn endless(first: impl Into<Vec<u8>>, again: impl Into<Vec<u8>>) -> Mode {
    Mode { first: first.into(), again: again.into(), ..Mode::default() }
}

fn slowly(first: impl Into<Vec<u8>>, again: impl Into<Vec<u8>>) -> Mode {
    Mode { pause: Duration::from_millis(5), ..endless(first, again) }
}

/// A call to a number while its service is in this mode.
fn call(layer: &'static str, name: String, number: &'static str, mode: Mode, asks_tool: bool) -> Attack {
    attack(layer, name, move |target: Rc<Target>| {
        let mode = mode.clone();
        async move {
            target.vendors.set(mode, asks_tool);
            let mut opened = target.open(number, &target.new_call()).await?;
            opened.last(LASTS).await;
            if target.vendors.asked() > 0 {
                Ok(())
            } else {
                Err("the attack did not reach the call".to_owned())
            }
        }
    })
}

/// A session of text, in which a prompt has the model asked.
fn session(name: String, mode: Mode) -> Attack {
    attack("text model", name, move |target: Rc<Target>| {
        let mode = mode.clone();
        async move {
            target.vendors.set(mode, false);
            let mut socket = relay::open(&target, "+14155550136").await?;
            socket.text(&relay::prompt("hello", true)).await?;
            socket.closed_within(LASTS).await;
            if target.vendors.asked() > 0 {
                Ok(())
            } else {
                Err("the attack did not reach the call".to_owned())
            }
        }
    })
}

/// HTTP answers that no service gives; those of models and those of voices.
fn answers() -> Vec<(&'static str, Mode)> {
    let ok = "HTTP/1.1 200 OK\r\n";
    vec![
        ("nothing, and closes", once("")),
        ("nothing, and stays", Mode { hangs: true, ..Mode::default() }),
        ("half a status line", Mode { hangs: true, ..once("HTTP/1.1 2") }),
        ("no HTTP", once("SSH-2.0-OpenSSH_9.7\r\n")),
        ("zeros without end", endless("", vec![0; 8_192])),
        ("a header without end", endless(ok, "A: b\r\n".repeat(1_000))),
        ("a header line without end", endless("HTTP/1.1 200 OK\r\nA: ", vec![b'a'; 8_192])),
        ("informational answers without end", endless("", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100))),
        ("a redirect to itself", once("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")),
        (
            "a redirect to this machine",
            once("HTTP/1.1 307 Found\r\nLocation: http://127.0.0.1:22/\r\nContent-Length: 0\r\n\r\n"),
        ),
        (
            "an error without end",
            endless("HTTP/1.1 500 Oh\r\nContent-Type: text/plain\r\n\r\n", vec![b'e'; 8_192]),
        ),
        (
            "a refusal of 1 MB",
            once(
                [b"HTTP/1.1 400 No\r\nContent-Length: 1000000\r\n\r\n".to_vec(), vec![b'n'; 1_000_000]]
                    .concat(),
            ),
        ),
        (
            "retry in 10^18 s",
            once("HTTP/1.1 429 Slow\r\nRetry-After: 1000000000000000000\r\nContent-Length: 0\r\n\r\n"),
        ),
        ("two lengths", once("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\na")),
        (
            "a length of 2^63",
            endless("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", vec![b'a'; 8_192]),
        ),
        (
            "a chunk of 2^63",
            endless(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
                vec![b'a'; 8_192],
            ),
        ),
        (
            "single octets in chunks",
            endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n".repeat(2_000)),
        ),
        (
            "gzip that is none",
            once("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone"),
        ),
        (
            "HTML",
            once("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"),
        ),
        (
            "terminal controls",
            once("HTTP/1.1 400 \u{1b}[2J\r\nContent-Length: 8\r\n\r\n\u{1b}]0;x\u{7}\u{1b}"),
        ),
    ]
}

fn models() -> Vec<Attack> {
    let mut all = Vec::new();
    for (name, mode) in answers() {
        all.push(call("model", format!("answers {name}"), "+14155550131", mode, false));
    }
    for (name, mode) in [
        ("data lines without end", endless(EVENTS, "data: \n\n".repeat(1_000))),
        ("one data line without end", endless(format!("{EVENTS}data: "), vec![b'x'; 8_192])),
        ("comments without end", endless(EVENTS, ": ping\n".repeat(1_000))),
        ("newlines without end", endless(EVENTS, "\n".repeat(8_192))),
        ("empty deltas without end", endless(EVENTS, content("").repeat(50))),
        ("words without end", endless(EVENTS, content("word ").repeat(50))),
        ("words without end, slowly", slowly(EVENTS, content("word "))),
        ("sentences without end", endless(EVENTS, content("This goes on. ").repeat(50))),
        ("sentences without end, slowly", slowly(EVENTS, content("This goes on. "))),
        ("letters without a blank, without end", endless(EVENTS, content("aaaaaaaaaa").repeat(50))),
        ("JSON, deep", once(format!("{EVENTS}data: {}\n\n{DONE}", "[".repeat(100_000)))),
        ("JSON, broken, without end", endless(EVENTS, "data: {\"choices\":[{\n\n".repeat(500))),
        (
            "choices without end",
            once(format!("{EVENTS}data: {{\"choices\":[{}{{}}]}}\n\n{DONE}", "{},".repeat(100_000))),
        ),
        (
            "no UTF-8",
            once(
                [EVENTS.as_bytes(), b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n"]
                    .concat(),
            ),
        ),
        (
            "tool arguments of 5 MB",
            once(format!("{EVENTS}{}{DONE}", call_of("look", &"x".repeat(5_000_000)))),
        ),
        ("tool arguments without end", endless(EVENTS, call_of("look", &"x".repeat(1_000)).repeat(10))),
        ("tools without end", endless(EVENTS, call_of("nobody", "{}").repeat(50))),
        ("a tool of 1 MB", once(format!("{EVENTS}{}{DONE}", call_of(&"t".repeat(1_000_000), "{}")))),
        (
            "a transfer to anybody",
            once(format!("{EVENTS}{}{DONE}", call_of("transfer_call", "{\"to\":\"+19005550100\"}"))),
        ),
        (
            "10 000 keys to press",
            once(format!(
                "{EVENTS}{}{DONE}",
                call_of("send_dtmf", &format!("{{\"digits\":\"{}\"}}", "1".repeat(10_000)))
            )),
        ),
        (
            "an index of 10^18",
            once(format!(
                "{EVENTS}{}{DONE}",
                call_of("look", "{}").replace("\"index\":0", "\"index\":1000000000000000000")
            )),
        ),
        ("thought without end", endless(EVENTS, content("<think> hmm ").repeat(50))),
    ] {
        all.push(call("model", format!("sends {name}"), "+14155550131", mode.clone(), false));
        all.push(session(format!("sends {name}"), mode));
    }
    all
}

/// What a model says in one piece.
fn tokens() -> Vec<Attack> {
    let mut all = Vec::new();
    for (name, text) in [
        ("1 MB without a blank", "a".repeat(1_000_000)),
        ("100 kB without a blank", "a".repeat(100_000)),
        ("75 000 sentences", "Hi. ".repeat(75_000)),
        ("18 000 slashes", "1/".repeat(9_000)),
        ("30 000 digits", "7".repeat(30_000)),
        ("prices", "$1.".repeat(3_000)),
        ("dates", "1/2/3456, ".repeat(3_000)),
        ("numbers with commas", "1,000,000,000,000,000,000,".repeat(1_000)),
        ("minus signs", "-".repeat(50_000)),
        ("full stops", ".".repeat(50_000)),
        ("question marks", "?!".repeat(30_000)),
        ("brackets", "[(".repeat(30_000)),
        ("markdown", "**__``~~##".repeat(8_000)),
        ("a table", "| a | b |\n|---|---|\n".repeat(4_000)),
        ("code", "```\nfn main() {}\n".repeat(4_000)),
        ("links", "[a](http://x.example/?a=b&c=d) ".repeat(3_000)),
        ("HTML", "<b><i><a href='x'>".repeat(4_000)),
        ("entities", "&amp;&#x41;&lt;".repeat(5_000)),
        ("SSML", "<speak><break time='100s'/><prosody rate='x-slow'>".repeat(1_000)),
        ("emoji", "😀👩‍👩‍👧‍👦🇩🇪".repeat(3_000)),
        ("accents upon accents", format!("a{}", "\u{301}".repeat(50_000))),
        ("text the other way", "\u{202e}abc\u{202d}".repeat(5_000)),
        ("zeros", "\0".repeat(50_000)),
        ("controls", "\u{1}\u{7f}\u{85}\u{1b}[2J".repeat(5_000)),
        ("blanks of all kinds", "\u{2003}\u{3000}\u{200b}\u{feff}".repeat(8_000)),
        ("newlines", "\n".repeat(50_000)),
        ("Chinese", "你好世界".repeat(10_000)),
        ("Roman numerals", "MMMCMXCIX ".repeat(5_000)),
        ("abbreviations", "Dr. St. Mr. Jan. ".repeat(5_000)),
        ("addresses", "a@b.c http://d.e/f 1.2.3.4 ".repeat(3_000)),
        ("thought that ends and never began", "</think>".repeat(5_000)),
        ("formats", "%s%n%x%d{}{0}${x}".repeat(3_000)),
        ("letters of mathematics", "𝔥𝔢𝔩𝔩𝔬 ½⅓²³∑∫ ".repeat(3_000)),
    ] {
        let mode = once(format!("{EVENTS}{}{DONE}", content(&text)));
        all.push(call("model", format!("says {name}"), "+14155550131", mode.clone(), false));
        all.push(session(format!("says {name}"), mode));
    }
    all
}

fn voices() -> Vec<Attack> {
    let mut all = Vec::new();
    for (name, mode) in answers() {
        all.push(call("voice", format!("answers {name}"), "+14155550132", mode, false));
    }
    let wav = |rate: u32, channels: u16, bits: u16, size: u32| {
        let mut header = b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\n\r\nRIFF".to_vec();
        header.extend(size.to_le_bytes());
        header.extend(b"WAVEfmt \x10\0\0\0\x01\0");
        header.extend(channels.to_le_bytes());
        header.extend(rate.to_le_bytes());
        header.extend(rate.wrapping_mul(u32::from(channels)).wrapping_mul(2).to_le_bytes());
        header.extend(channels.wrapping_mul(2).to_le_bytes());
        header.extend(bits.to_le_bytes());
        header.extend(b"data");
        header.extend(size.to_le_bytes());
        header
    };
    let noise: Vec<u8> =
        (0..8_192_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sound = "HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\n\r\n";
    for (name, mode) in [
        ("sound without end", endless(sound, noise.clone())),
        ("silence without end", endless(sound, vec![0; 8_192])),
        ("an odd octet", once(format!("{sound}a"))),
        ("WAV of 3 GB", endless(wav(24_000, 1, 16, 3_000_000_000), noise.clone())),
        ("WAV at 0 Hz", endless(wav(0, 1, 16, 1_000_000), noise.clone())),
        ("WAV at 4 GHz", endless(wav(u32::MAX, 1, 16, 1_000_000), noise.clone())),
        ("WAV at 1 Hz", endless(wav(1, 1, 16, 1_000_000), noise.clone())),
        ("WAV with no channel", endless(wav(24_000, 0, 16, 1_000_000), noise.clone())),
        ("WAV with 65 535 channels", endless(wav(24_000, u16::MAX, 16, 1_000_000), noise.clone())),
        ("WAV of 0 bits", endless(wav(24_000, 1, 0, 1_000_000), noise.clone())),
        ("WAV of 65 535 bits", endless(wav(24_000, 1, u16::MAX, 1_000_000), noise.clone())),
        ("MP3", once([sound.as_bytes(), b"ID3\x04\0\0\0\0\0\0", &noise[..]].concat())),
        ("JSON", once(format!("{sound}{{\"error\":\"no\"}}"))),
        ("clicks at full scale", endless(sound, b"\xff\x7f\x00\x80".repeat(2_048))),
    ] {
        all.push(call("voice", format!("sends {name}"), "+14155550132", mode, false));
    }
    for (name, mode) in sockets(|json| json) {
        all.push(call("voice", format!("its socket: {name}"), "+14155550133", mode, false));
    }
    for (name, text) in [
        ("sound of 1 MB", format!("{{\"audio\":\"{}\",\"contextId\":\"1\"}}", "/".repeat(1_000_000))),
        ("no base64", "{\"audio\":\"!!!\"}".to_owned()),
        ("times of nonsense", "{\"audio\":\"////\",\"alignment\":{\"chars\":[\"a\"],\"charStartTimesMs\":[-1,1e300],\"charDurationsMs\":[]}}".to_owned()),
    ] {
        all.push(call("voice", format!("its socket: {name} without end"), "+14155550133", endless("", framed(text.as_bytes())), false));
    }
    all
}

/// A server's text frame.
fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frame = crate::target::frame(0x81, payload);
    // Servers don't mask: the bit goes, and the mask of zeros.
    frame[1] &= 0x7F;
    let head = frame.len() - payload.len();
    frame.drain(head - 4..head);
    frame
}

/// What any socket of a service may do.
fn sockets(text: fn(&'static str) -> &'static str) -> Vec<(&'static str, Mode)> {
    vec![
        ("closes at once", once([0x88, 0])),
        ("closes with nonsense", once([0x88, 2, 0xff, 0xff])),
        ("says nothing", Mode { hangs: true, ..Mode::default() }),
        (
            "a frame of 2^62",
            endless([&[0x81, 0x7F][..], &(1_u64 << 62).to_be_bytes()].concat(), vec![b' '; 8_192]),
        ),
        ("pings without end", endless("", [0x89, 0].repeat(1_000))),
        ("fragments without end", endless([0x01, 1, b'{'], [0x00, 1, b' '].repeat(1_000))),
        ("binary without end", endless("", [&[0x82, 126, 4, 0][..], &[7; 1_024]].concat())),
        ("objects without end", endless("", framed(text("{}").as_bytes()).repeat(200))),
        ("half an object without end", endless("", framed(b"{\"type\":").repeat(200))),
        ("arrays, deep, without end", endless("", framed("[".repeat(20_000).as_bytes()))),
        ("a masked frame", once([0x81, 0x82, 1, 2, 3, 4, b'z', b'z'])),
        ("no UTF-8", once([0x81, 2, 0xff, 0xfe])),
        ("text of 5 MB", once(framed(&vec![b' '; 5_000_000]))),
    ]
}

fn recognisers() -> Vec<Attack> {
    let mut all = Vec::new();
    for (name, mode) in sockets(|json| json) {
        all.push(call("recogniser", name.to_owned(), "+14155550134", mode, false));
    }
    let heard = |text: &str, start: &str, last: bool| {
        framed(
            format!(
                r#"{{"type":"Results","channel_index":[0,1],"duration":1.0,"start":{start},"is_final":{last},"speech_final":{last},"channel":{{"alternatives":[{{"transcript":"{text}","confidence":0.99,"words":[{{"word":"a","start":{start},"end":1e9,"confidence":2}}]}}]}}}}"#
            )
            .as_bytes(),
        )
    };
    for (name, again, slow) in [
        ("finals without end", heard("hello", "0.0", true), false),
        ("finals without end, slowly", heard("hello there", "0.0", true), true),
        ("partials without end", heard("hello", "0.0", false), false),
        ("partials without end, slowly", heard("hello there", "0.0", false), true),
        ("transcripts of 60 kB without end", heard(&"word ".repeat(12_000), "0.0", true), false),
        ("transcripts of 1 MB without end", heard(&"word ".repeat(200_000), "0.0", true), false),
        ("transcripts of emoji", heard(&"😀".repeat(5_000), "0.0", true), true),
        ("transcripts of controls", heard(&"\\u001b[2J\\u0000".repeat(1_000), "0.0", true), true),
        ("words before the call", heard("hello", "-1e9", true), true),
        ("words in a million years", heard("hello", "1e15", true), true),
        ("words at infinity", heard("hello", "1e999", true), true),
        ("words that last for ever", heard("hello", "0.0", true), true),
        ("speech began without end", framed(br#"{"type":"SpeechStarted","timestamp":0.0}"#), false),
        ("utterances end without end", framed(br#"{"type":"UtteranceEnd","last_word_end":0.0}"#), false),
        ("metadata without end", framed(br#"{"type":"Metadata","request_id":"x"}"#), false),
        ("errors without end", framed(br#"{"type":"Error","description":"x","message":"y"}"#), false),
    ] {
        let mode = if slow { slowly("", again) } else { endless("", again) };
        all.push(call("recogniser", name.to_owned(), "+14155550134", mode, false));
    }
    all
}

fn tools() -> Vec<Attack> {
    let mut all = Vec::new();
    let ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let body = |body: &str| once(format!("{ok}Content-Length: {}\r\n\r\n{body}", body.len()));
    let mut modes = answers();
    modes.extend([
        ("a string of 5 MB", body(&format!("\"{}\"", "x".repeat(5_000_000)))),
        ("arrays, deep", body(&"[".repeat(100_000))),
        ("objects without end", endless(format!("{ok}\r\n["), "{},".repeat(1_000))),
        ("an order to say 1 MB", body(&format!("{{\"say\":\"{}\"}}", "a ".repeat(500_000)))),
        ("an order to say slashes", body(&format!("{{\"say\":\"{}\"}}", "1/".repeat(9_000)))),
        ("an order to transfer", body("{\"action\":{\"transfer\":\"+19005550100\"}}")),
        ("an order of nonsense", body("{\"action\":\"explode\",\"say\":5,\"context\":[]}")),
        ("no UTF-8", once([ok.as_bytes(), b"Content-Length: 4\r\n\r\n\"\xff\xfe\""].concat())),
        ("controls", body("\"\\u0000\\u001b[2J\"")),
    ]);
    for (name, mode) in &modes {
        all.push(call("tool", format!("answers {name}"), "+14155550135", mode.clone(), true));
    }
    let result = |result: &str| body(&format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{result}}}"));
    let tools = format!(
        "{{\"tools\":[{}{{}}]}}",
        "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}},".repeat(20_000)
    );
    modes.extend([
        ("20 000 tools", result(&tools)),
        ("a description of 1 MB", result(&format!("{{\"tools\":[{{\"name\":\"t\",\"description\":\"{}\",\"inputSchema\":{{}}}}]}}", "x".repeat(1_000_000)))),
        ("a schema that refers to itself", result("{\"tools\":[{\"name\":\"t\",\"inputSchema\":{\"$ref\":\"#\"}}]}")),
        ("a schema elsewhere", result("{\"tools\":[{\"name\":\"t\",\"inputSchema\":{\"$ref\":\"http://127.0.0.1:22/\"}}]}")),
        ("a pattern that never ends", result("{\"tools\":[{\"name\":\"t\",\"inputSchema\":{\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"(a+)+(a+)+(a+)+$\"}}}}]}")),
        ("pages without end", result("{\"tools\":[],\"nextCursor\":\"again\"}")),
        ("another version", result("{\"protocolVersion\":\"9999-99-99\",\"capabilities\":{}}")),
    ]);
    for (name, mode) in modes {
        all.push(attack(
            "mcp",
            format!("answers {name} while agents are loaded again"),
            move |target: Rc<Target>| {
                let mode = mode.clone();
                async move {
                    target.vendors.set(mode, false);
                    let process =
                        rustix::process::Pid::from_raw(i32::try_from(target.process).unwrap()).unwrap();
                    rustix::process::kill_process(process, rustix::process::Signal::HUP)
                        .map_err(|error| error.to_string())?;
                    tokio::time::sleep(LASTS).await;
                    if target.vendors.asked() > 0 {
                        Ok(())
                    } else {
                        Err("the attack did not reach the agent".to_owned())
                    }
                }
            },
        ));
    }
    all
}
