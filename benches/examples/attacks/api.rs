//! The API: what its owner may ask by mistake, and what nobody may ask.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::target::{API_TOKEN, Target, no_fault, refused};
use crate::{Attack, attack};

const LAYER: &str = "api";

pub(crate) fn all() -> Vec<Attack> {
    let mut all = Vec::new();
    bodies(&mut all);
    names(&mut all);
    queries(&mut all);
    agents(&mut all);
    listeners(&mut all);
    all
}

fn owner(
    all: &mut Vec<Attack>,
    name: impl Into<String>,
    (method, path): (&str, &str),
    body: impl Into<Vec<u8>>,
) {
    let (method, path, body) = (method.to_owned(), path.to_owned(), body.into());
    all.push(attack(LAYER, name, move |target: Rc<Target>| {
        let (method, path, body) = (method.clone(), path.clone(), body.clone());
        async move { no_fault(&target.owner(&method, &path, &body).await?) }
    }));
}

fn bodies(all: &mut Vec<Attack>) {
    let bodies: [(&str, Vec<u8>); 14] = [
        ("nothing", Vec::new()),
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a number", b"1e999".to_vec()),
        ("half an object", b"{\"to\":".to_vec()),
        ("30 000 arrays deep", b"[".repeat(30_000)),
        ("objects deep", b"{\"parameters\":".repeat(4_000)),
        ("no UTF-8", b"{\"to\":\"\xff\"}".to_vec()),
        ("65 kB", [b"{\"to\":\"".to_vec(), vec![b'1'; 65_000], b"\"}".to_vec()].concat()),
        ("1 MB", vec![b' '; 1 << 20]),
        (
            "5 000 parameters",
            format!(
                "{{\"to\":\"+14155550100\",\"parameters\":{{{}\"a\":\"b\"}}}}",
                (0..4_000).map(|n| format!("\"p{n}\":\"v\",")).collect::<String>()
            )
            .into_bytes(),
        ),
        ("wrong types", b"{\"to\":5,\"text\":[],\"digits\":{},\"seconds\":\"x\"}".to_vec()),
        ("a number that may not be called", b"{\"to\":\"+19005550100\"}".to_vec()),
        ("a number of letters", b"{\"to\":\"\\u0000../../x\"}".to_vec()),
    ];
    for (name, body) in bodies {
        for path in ["/calls", "/calls/test", "/agents/check", "/speech", "/v1/deletions"] {
            owner(all, format!("{name} to {path}"), ("POST", path), body.clone());
        }
    }
    for what in ["say", "take-over", "transfer", "dtmf"] {
        let path = format!("/calls/CA{:032x}/{what}", 0xF000);
        owner(
            all,
            format!("{what} of 60 kB to a call in progress"),
            ("POST", &path),
            format!(
                "{{\"text\":\"{}\",\"to\":\"x\",\"digits\":\"{}\"}}",
                "a".repeat(30_000),
                "1".repeat(20_000)
            ),
        );
        owner(all, format!("{what} of nothing to a call in progress"), ("POST", &path), "{}");
    }
}

fn names(all: &mut Vec<Attack>) {
    let long = "A".repeat(4_000);
    for sid in [
        "..",
        "%2e%2e%2f",
        "%00",
        "CA",
        "*",
        "CA%20x",
        "'%20OR%201=1--",
        "%ff",
        "CA0000000000000000000000000000000G",
        &long,
    ] {
        let shown: String = sid.chars().take(30).collect();
        for (method, path) in [
            ("GET", format!("/calls/{sid}")),
            ("DELETE", format!("/calls/{sid}")),
            ("GET", format!("/v1/tapes/{sid}")),
            ("GET", format!("/v1/tapes/{sid}/sound")),
            ("GET", format!("/v1/history/{sid}")),
            ("DELETE", format!("/v1/history/{sid}")),
            ("GET", format!("/calls/{sid}/events")),
        ] {
            let what = path.replace(sid, "…");
            owner(all, format!("{method} {what} of {shown:?}"), (method, &path), "");
        }
    }
}

fn queries(all: &mut Vec<Attack>) {
    for query in [
        "limit=-1",
        "limit=18446744073709551616",
        "limit=0",
        "limit=x",
        "cursor=AAAA",
        "cursor=%00",
        "after=x&before=y",
        "since=9999-99-99",
        "since=+262143-01-01T00:00:00Z",
        "from=%27%20OR%201=1--",
        "text=%25%25%25%25%25%25",
        "text=%22%22%22*%22",
        "words=NEAR(a%20b)",
        "a=b&a=b&a=b",
        "%",
        "=&=&=",
    ] {
        for path in ["/v1/history", "/calls", "/v1/report"] {
            owner(all, format!("{path}?{query}"), ("GET", &format!("{path}?{query}")), "");
        }
    }
}

fn agents(all: &mut Vec<Attack>) {
    let toml = |text: &str| format!("{{\"toml\":{0},\"text\":{0},\"agent\":{0}}}", quoted(text));
    for (name, text) in [
        ("no TOML", "[[[".to_owned()),
        ("arrays, deep", format!("a = {}", "[".repeat(10_000))),
        ("tables, deep", format!("[{}a]", "a.".repeat(10_000))),
        ("a line of 60 kB", format!("a = \"{}\"", "x".repeat(60_000))),
        (
            "2 000 slots",
            "[agent]\nname = \"x\"\n".to_owned()
                + &"[[slot]]\nname = \"a\"\nkind = \"choice\"\nask = \"?\"\nvalues = [[\"a\"]]\n".repeat(700),
        ),
        (
            "a choice of 5 000",
            format!(
                "[agent]\nname = \"x\"\n[[slot]]\nname = \"a\"\nkind = \"choice\"\nask = \"?\"\nvalues = [{}]\n",
                "[\"one two three\"],".repeat(3_000)
            ),
        ),
        (
            "a file of the machine's",
            "[agent]\nname = \"x\"\ninstructions_file = \"/etc/passwd\"\n".to_owned(),
        ),
        ("an environment variable", "[agent]\nname = \"$OFFHOOK_API_TOKEN\"\n".to_owned()),
    ] {
        owner(all, format!("an agent with {name}"), ("POST", "/agents/check"), text.clone());
        owner(all, format!("an agent in JSON with {name}"), ("POST", "/agents/check"), toml(&text));
    }
    for (name, text) in [
        ("18 000 slashes", "1/".repeat(9_000)),
        ("20 000 digits", "7".repeat(20_000)),
        ("prices", "$1.".repeat(3_000)),
        ("a word of 20 kB", "a".repeat(20_000)),
        ("5 000 sentences", "Hi. ".repeat(5_000)),
        ("emoji", "😀".repeat(3_000)),
        ("controls", "\u{1}\u{2}\u{1b}".repeat(1_000)),
        ("nothing", String::new()),
    ] {
        owner(
            all,
            format!("speech of {name}"),
            ("POST", "/speech"),
            format!("{{\"text\":{},\"voice\":\"slt\"}}", quoted(&text)),
        );
    }
}

/// Those who listen to events and never read.
fn listeners(all: &mut Vec<Attack>) {
    for path in [
        "/events",
        "/calls/CA0000000000000000000000000000f000/events",
        "/calls/CA0000000000000000000000000000f000/listen",
    ] {
        all.push(attack(
            LAYER,
            format!("100 listeners of {path} that never read"),
            move |target: Rc<Target>| async move {
                let mut open = Vec::new();
                for _ in 0..100 {
                    let mut wire = target.connect().await?;
                    let request = format!(
                        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_TOKEN}\r\n\r\n"
                    );
                    let _sent = tokio::io::AsyncWriteExt::write_all(&mut wire, request.as_bytes()).await;
                    open.push(wire);
                }
                sleep(Duration::from_secs(1)).await;
                Ok(())
            },
        ));
    }
    all.push(attack(LAYER, "200 questions at once", |target: Rc<Target>| async move {
        let all = (0..200).map(|_| target.owner("GET", "/calls", b""));
        for answer in futures_util::future::join_all(all).await {
            no_fault(&answer?)?;
        }
        Ok(())
    }));
    all.push(attack(LAYER, "500 wrong tokens at once", |target: Rc<Target>| async move {
        let request =
            b"GET /calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nConnection: close\r\n\r\n";
        for _ in 0..10 {
            let all = (0..50).map(|_| target.told(request));
            for answer in futures_util::future::join_all(all).await {
                refused(&answer?)?;
            }
        }
        Ok(())
    }));
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
