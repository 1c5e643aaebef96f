//! Posts forged webhooks to a server, so many a second, and tells what it answered: a load that must cost calls nothing.
//!
//! `forge ADDRESS:PORT REQUESTS-A-SECOND SECONDS`. Every second request has no signature, the others have one that is wrong, and a
//! form of 12 kB. `benches/forged.sh` measures an echo meanwhile.
#![allow(clippy::print_stdout, reason = "a program")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Connections that send at the same time.
const CONNECTIONS: u64 = 20;

type Counts = BTreeMap<String, u64>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().ok_or("the server's address is missing")?;
    let rate: u64 = args.next().ok_or("requests a second are missing")?.parse()?;
    let seconds: u64 = args.next().ok_or("seconds are missing")?.parse()?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let pause = Duration::from_micros(1_000_000 * CONNECTIONS / rate.max(1));
    let senders = (0..CONNECTIONS).map(|number| {
        let address = address.clone();
        tokio::spawn(async move { send(&address, pause, number, end).await })
    });
    let mut all = Counts::new();
    for sender in senders.collect::<Vec<_>>() {
        for (status, count) in sender.await? {
            *all.entry(status).or_default() += count;
        }
    }
    println!("{all:?}");
    Ok(())
}

/// Sends on one connection after the other: the server closes them.
async fn send(address: &str, pause: Duration, number: u64, end: Instant) -> Counts {
    let mut counts = Counts::new();
    let mut ticks = interval_at(Instant::now() + pause * u32::try_from(number).unwrap_or(0) / 20, pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut wire = None;
    let (mut piece, mut turn) = (vec![0; 4_096], number);
    while Instant::now() < end {
        ticks.tick().await;
        turn += 1;
        let told = match exchange(&mut wire, address, turn, &mut piece).await {
            Ok(status) => status,
            Err(_) => {
                wire = None;
                "broken".to_owned()
            }
        };
        *counts.entry(told).or_default() += 1;
    }
    counts
}

async fn exchange(
    wire: &mut Option<TcpStream>,
    address: &str,
    turn: u64,
    piece: &mut [u8],
) -> std::io::Result<String> {
    let stream = match wire {
        Some(stream) => stream,
        None => wire.insert(TcpStream::connect(address).await?),
    };
    let (signature, form) = if turn.is_multiple_of(2) {
        (String::new(), "CallSid=CA1".to_owned())
    } else {
        (
            format!("X-Twilio-Signature: {}=\r\n", "A".repeat(27)),
            "a=bcdefgh&".repeat(150) + &"x".repeat(10_500),
        )
    };
    let request = format!(
        "POST /voice HTTP/1.1\r\nHost: {address}\r\n{signature}Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let count = stream.read(piece).await?;
    let answer = String::from_utf8_lossy(piece.get(..count).unwrap_or_default()).into_owned();
    if count == 0 || answer.to_ascii_lowercase().contains("connection: close") {
        *wire = None;
    }
    Ok(answer.split(' ').nth(1).unwrap_or("closed").to_owned())
}
