//! Peers of a call: those who open it wrongly, flood it, and don't listen.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::target::{Target, frame, media, parameter, start};
use crate::{Attack, attack};

const LAYER: &str = "stream";

const ECHO: &str = "+14155550101";
const PIZZA: &str = "+14155550110";

pub(crate) fn all() -> Vec<Attack> {
    [starts(), floods(), listeners()].into_iter().flatten().collect()
}

/// Streams that don't belong to a call. The server must end each.
fn starts() -> Vec<Attack> {
    let mut all = Vec::new();
    let other = "CA0000000000000000000000000000beef";
    let of = |name: &'static str, first: Vec<String>| {
        attack(LAYER, format!("begins with {name}"), move |target: Rc<Target>| {
            let first = first.clone();
            async move {
                let mut socket = target.upgrade("/media-stream").await?;
                for message in &first {
                    if socket.text(message).await.is_err() {
                        return Ok(());
                    }
                }
                let ended = socket.closed_within(Duration::from_millis(2_500)).await;
                if ended { Ok(()) } else { Err("the server goes on".to_owned()) }
            }
        })
    };
    let parameters: String = (0..2_000).map(|number| format!("\"p{number}\":\"v\",")).collect();
    all.push(of("a token of nobody", vec![start("MZ1", other, "AAAA")]));
    all.push(of("an empty token", vec![start("MZ1", other, "")]));
    all.push(of("a token of 30 kB", vec![start("MZ1", other, &"A".repeat(30_000))]));
    all.push(of(
        "2 000 parameters",
        vec![start("MZ1", other, "AAAA").replacen("\"token\"", &format!("{parameters}\"token\""), 1)],
    ));
    all.push(of("no token", vec![start("MZ1", other, "").replace("\"token\":\"\",", "")]));
    all.push(of("no call", vec![start("MZ1", "", "AAAA")]));
    all.push(of("a path as call", vec![start("MZ1", "../../etc/passwd", "AAAA")]));
    all.push(of("a path as stream", vec![start("../../x", other, "AAAA")]));
    all.push(of("another codec", vec![start("MZ1", other, "AAAA").replace("x-mulaw", "L16")]));
    all.push(of("another rate", vec![start("MZ1", other, "AAAA").replace("8000", "4294967295")]));
    all.push(of("no rate at all", vec![start("MZ1", other, "AAAA").replace("8000", "0")]));
    all.push(of(
        "1 000 channels",
        vec![start("MZ1", other, "AAAA").replace("\"channels\":1", "\"channels\":1000")],
    ));
    all.push(of("sound", vec![media("MZ1", 1, "20", "////"); 5]));
    all.push(of("stop", vec![r#"{"event":"stop"}"#.to_owned()]));
    all.push(of("a key", vec![r#"{"event":"dtmf","dtmf":{"digit":"1"}}"#.to_owned()]));
    all.push(of("nonsense", vec!["{}".to_owned(), "[]".to_owned(), "x".to_owned()]));
    all.push(attack(LAYER, "a token is used twice", |target: Rc<Target>| async move {
        let call = target.new_call();
        let document = target.document(ECHO, &call).await?;
        let token = parameter(&document, "token").ok_or("no token")?;
        let (mut first, mut second) =
            (target.upgrade("/media-stream").await?, target.upgrade("/media-stream").await?);
        first.text(&start("MZ00000000000000000000000000000001", &call, token)).await?;
        sleep(Duration::from_millis(50)).await;
        second.text(&start("MZ00000000000000000000000000000002", &call, token)).await?;
        let ended = second.closed_within(Duration::from_millis(2_500)).await;
        if ended { Ok(()) } else { Err("the second got in".to_owned()) }
    }));
    all.push(attack(LAYER, "a token of another call", |target: Rc<Target>| async move {
        let document = target.document(ECHO, &target.new_call()).await?;
        let token = parameter(&document, "token").ok_or("no token")?;
        let mut socket = target.upgrade("/media-stream").await?;
        socket.text(&start("MZ00000000000000000000000000000001", &target.new_call(), token)).await?;
        let ended = socket.closed_within(Duration::from_millis(2_500)).await;
        if ended { Ok(()) } else { Err("the other call got in".to_owned()) }
    }));
    all.push(attack(LAYER, "30 calls that begin and leave at once", |target: Rc<Target>| async move {
        for _ in 0..30 {
            drop(target.open(PIZZA, &target.new_call()).await?);
        }
        Ok(())
    }));
    all
}

/// Sends the same for a second, as fast as it is taken.
fn flood(name: impl Into<String>, to: &'static str, octets: impl Fn(&str) -> Vec<u8> + 'static) -> Attack {
    let octets = Rc::new(octets);
    attack(LAYER, name, move |target: Rc<Target>| {
        let octets = Rc::clone(&octets);
        async move {
            let mut opened = target.open(to, &target.new_call()).await?;
            let octets = octets(&opened.stream);
            let end = Instant::now() + Duration::from_secs(1);
            while Instant::now() < end {
                if opened.socket.raw(&octets).await.is_err() {
                    return Ok(());
                }
                tokio::task::yield_now().await;
            }
            let ended = opened.socket.closed_within(Duration::from_millis(2_500)).await;
            if ended { Ok(()) } else { Err("a flood went on for a second".to_owned()) }
        }
    })
}

fn texts(messages: impl Iterator<Item = String>) -> Vec<u8> {
    messages.flat_map(|message| frame(0x81, message.as_bytes())).collect()
}

fn floods() -> Vec<Attack> {
    let silence = "/".repeat(213) + "w==";
    let mut all = Vec::new();
    for to in [ECHO, PIZZA] {
        let whom = if to == ECHO { "the echo" } else { "an agent" };
        for (name, length) in [("frames", 1), ("frames of 100 ms", 5), ("frames of 1 s", 50)] {
            let payload = "/".repeat(213 * length / 4 * 4);
            all.push(flood(format!("{name} without pause to {whom}"), to, move |stream| {
                texts((0..100).map(|number| media(stream, number, &(number * 20).to_string(), &payload)))
            }));
        }
        all.push(flood(format!("leaps of 5 s to {whom}"), to, |stream| {
            texts((0..200).map(|number| media(stream, number, &(number * 5_000).to_string(), "")))
        }));
        all.push(flood(format!("pings to {whom}"), to, |_| frame(0x89, b"x").repeat(500)));
        all.push(flood(format!("large pings to {whom}"), to, |_| frame(0x89, &[b'x'; 125]).repeat(500)));
        all.push(flood(format!("keys to {whom}"), to, |_| {
            texts((0..200).map(|_| r#"{"event":"dtmf","dtmf":{"digit":"1"}}"#.to_owned()))
        }));
        all.push(flood(format!("marks to {whom}"), to, |_| {
            texts((0..200).map(|_| r#"{"event":"mark","mark":{"name":"x"}}"#.to_owned()))
        }));
        all.push(flood(format!("unknown events to {whom}"), to, |_| {
            texts((0..200).map(|_| r#"{"event":"x"}"#.to_owned()))
        }));
        all.push(flood(format!("texts of 60 kB to {whom}"), to, |_| {
            texts((0..10).map(|_| format!("{{\"event\":\"{}\"}}", "x".repeat(60_000))))
        }));
        all.push(flood(format!("deep arrays to {whom}"), to, |_| texts((0..50).map(|_| "[".repeat(10_000)))));
    }
    for calls in [5, 20] {
        let payload = silence.clone();
        all.push(attack(
            LAYER,
            format!("{calls} calls at ten times real time"),
            move |target: Rc<Target>| {
                let payload = payload.clone();
                async move {
                    let mut open = Vec::new();
                    for _ in 0..calls {
                        open.push(target.open(PIZZA, &target.new_call()).await?);
                    }
                    for number in 0..400 {
                        for call in &mut open {
                            let _sent = call.media(number, &payload).await;
                        }
                        sleep(Duration::from_millis(2)).await;
                    }
                    Ok(())
                }
            },
        ));
    }
    all
}

/// Peers that take nothing.
fn listeners() -> Vec<Attack> {
    let mut all = Vec::new();
    for (name, to, calls) in
        [("the echo", ECHO, 1), ("the echo, 10 times", ECHO, 10), ("an agent", PIZZA, 10)]
    {
        let silence = "ICAg".repeat(53) + "IA==";
        all.push(attack(LAYER, format!("who never reads: {name}"), move |target: Rc<Target>| {
            let silence = silence.clone();
            async move {
                let mut open = Vec::new();
                for _ in 0..calls {
                    open.push(target.open(to, &target.new_call()).await?);
                }
                for number in 0..100 {
                    for call in &mut open {
                        let _sent = call.media(number, &silence).await;
                    }
                    sleep(Duration::from_millis(15)).await;
                }
                Ok(())
            }
        }));
    }
    all.push(attack(LAYER, "marks are never sent back", |target: Rc<Target>| async move {
        let mut opened = target.open(PIZZA, &target.new_call()).await?;
        let silence = "/".repeat(213) + "w==";
        for number in 0..200 {
            if opened.media(number, &silence).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }));
    for (name, pause) in [("an octet a read", 1), ("an octet now and then", 10)] {
        all.push(attack(
            LAYER,
            format!("messages in single octets: {name}"),
            move |target: Rc<Target>| async move {
                let mut opened = target.open(ECHO, &target.new_call()).await?;
                let message = frame(0x81, media(&opened.stream.clone(), 1, "20", "////").as_bytes());
                for octet in message.iter().cycle().take(800 / pause as usize) {
                    opened.socket.raw(&[*octet]).await?;
                    sleep(Duration::from_millis(pause)).await;
                }
                Ok(())
            },
        ));
    }
    all
}
