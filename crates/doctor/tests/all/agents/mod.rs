//! Agents behind the sockets: good ones, and each with one fault.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::server::Socket;

async fn text(socket: &mut Socket, value: &Value) {
    let _gone = socket.send(Message::Text(value.to_string().into())).await;
}

/// Waits for `start`; gives the stream's and the call's id.
async fn start(socket: &mut Socket) -> (String, String) {
    while let Some(Ok(message)) = socket.next().await {
        let value: Value = serde_json::from_str(&message.into_text().unwrap()).unwrap_or_default();
        if value["event"] == "start" {
            let id = |key: &str| value["start"][key].as_str().unwrap().to_owned();
            return (id("streamSid"), id("callSid"));
        }
    }
    panic!("no start");
}

/// Reads to the end: `stop`, or a closed socket.
async fn listen(socket: &mut Socket) {
    while let Some(Ok(message)) = socket.next().await {
        if message.to_text().is_ok_and(|text| text.contains(r#""event":"stop""#)) {
            break;
        }
    }
    let _closed = socket.close(None).await;
}

fn media(sid: &str, octets: &[u8]) -> Value {
    json!({"event": "media", "streamSid": sid, "media": {"payload": STANDARD.encode(octets)}})
}

fn speech() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/callers/booking-1.wav");
    std::fs::read(path).unwrap().split_off(58)
}

fn linear_speech() -> Vec<u8> {
    let mut samples = vec![0; speech().len()];
    offhook_mulaw::decode_slice(&speech(), &mut samples);
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// Sends messages once, then listens.
async fn once(mut socket: Socket, make: impl Fn(&str, &str) -> Vec<Value>) {
    let (stream, call) = start(&mut socket).await;
    for value in make(&stream, &call) {
        text(&mut socket, &value).await;
    }
    listen(&mut socket).await;
}

// ------------------------------------------------------------------------------------------------------- good ones

pub(crate) async fn echo(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    while let Some(Ok(message)) = socket.next().await {
        let value: Value = serde_json::from_str(message.to_text().unwrap_or("")).unwrap_or_default();
        if value["event"] == "media" {
            let back =
                json!({"event": "media", "streamSid": sid, "media": {"payload": value["media"]["payload"]}});
            text(&mut socket, &back).await;
        } else if value["event"] == "stop" {
            break;
        }
    }
    let _closed = socket.close(None).await;
}

/// Answers in frames of 100 ms, whenever the caller has spoken.
pub(crate) async fn listens_first(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    converse(&mut socket, &sid, Duration::ZERO).await;
    let _closed = socket.close(None).await;
}

/// Answers whenever the caller has spoken, so long after; to the end of the stream.
async fn converse(socket: &mut Socket, sid: &str, after: Duration) {
    let (mut heard, mut quiet) = (0, 0);
    while let Some(Ok(message)) = socket.next().await {
        let value: Value = serde_json::from_str(message.to_text().unwrap_or("")).unwrap_or_default();
        if value["event"] == "stop" {
            break;
        }
        let Some(payload) = value["media"]["payload"].as_str() else { continue };
        if STANDARD.decode(payload).unwrap().iter().all(|octet| *octet == 0xFF) {
            quiet += 1;
        } else {
            (heard, quiet) = (heard + 1, 0);
        }
        if heard > 20 && quiet > 15 {
            heard = 0;
            tokio::time::sleep(after).await;
            for frame in speech()[..8_000].chunks(800) {
                text(socket, &media(sid, frame)).await;
            }
        }
    }
}

/// Waits before it greets.
pub(crate) async fn greets_late(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    text(&mut socket, &media(&sid, &speech()[..8_000])).await;
    converse(&mut socket, &sid, Duration::ZERO).await;
    let _closed = socket.close(None).await;
}

/// Waits before it answers.
pub(crate) async fn answers_late(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    converse(&mut socket, &sid, Duration::from_millis(3_000)).await;
    let _closed = socket.close(None).await;
}

/// Greets at once, with a mark, and answers.
pub(crate) async fn greets(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    greet(&mut socket, &sid).await;
    converse(&mut socket, &sid, Duration::ZERO).await;
    let _closed = socket.close(None).await;
}

async fn greet(socket: &mut Socket, sid: &str) {
    for frame in speech()[..8_000].chunks(800) {
        text(socket, &media(sid, frame)).await;
    }
    text(socket, &json!({"event": "mark", "streamSid": sid, "mark": {"name": "greeting"}})).await;
}

/// Sends a long greeting in one message, clears when the caller speaks, and says nothing more.
pub(crate) async fn clears_and_is_silent(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    text(&mut socket, &media(&sid, &speech().repeat(5))).await;
    while let Some(Ok(message)) = socket.next().await {
        let value: Value = serde_json::from_str(message.to_text().unwrap_or("")).unwrap_or_default();
        if value["event"] == "stop" {
            break;
        }
        let loud = value["media"]["payload"].as_str().is_some_and(|payload| {
            STANDARD.decode(payload).unwrap().iter().any(|octet| *octet & 0x7F < 0x50)
        });
        if loud {
            text(&mut socket, &json!({"event": "clear", "streamSid": sid})).await;
        }
    }
    let _closed = socket.close(None).await;
}

/// Greets at length, falls silent when the caller speaks, and answers that.
pub(crate) async fn greets_at_length(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    text(&mut socket, &media(&sid, &speech().repeat(5))).await;
    let (mut heard, mut quiet) = (0, 0);
    while let Some(Ok(message)) = socket.next().await {
        let value: Value = serde_json::from_str(message.to_text().unwrap_or("")).unwrap_or_default();
        if value["event"] == "stop" {
            break;
        }
        let Some(payload) = value["media"]["payload"].as_str() else { continue };
        if STANDARD.decode(payload).unwrap().iter().any(|octet| *octet & 0x7F < 0x50) {
            (heard, quiet) = (heard + 1, 0);
            if heard == 3 {
                text(&mut socket, &json!({"event": "clear", "streamSid": sid})).await;
            }
        } else {
            quiet += 1;
        }
        if heard > 20 && quiet == 40 {
            text(&mut socket, &media(&sid, &speech()[..8_000])).await;
        }
    }
    let _closed = socket.close(None).await;
}

/// Says something, and ends the stream when it was played.
pub(crate) async fn says_goodbye(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    text(&mut socket, &media(&sid, &speech()[..8_000])).await;
    text(&mut socket, &json!({"event": "mark", "streamSid": sid, "mark": {"name": "bye"}})).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.to_text().is_ok_and(|text| text.contains("\"bye\"")) {
            break;
        }
    }
    let _closed = socket.close(None).await;
}

// ----------------------------------------------------------------------------------------------------- broken ones

/// Greets, and is deaf.
pub(crate) async fn greets_only(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    greet(&mut socket, &sid).await;
    listen(&mut socket).await;
}

/// Sound in some other spelling.
pub(crate) async fn says(socket: Socket, octets: Vec<u8>) {
    once(socket, move |sid, _| octets.chunks(4_000).map(|frame| media(sid, frame)).collect()).await;
}

/// The same in messages of 20 ms.
pub(crate) async fn says_in_frames(socket: Socket, octets: Vec<u8>) {
    once(socket, move |sid, _| octets.chunks(160).map(|frame| media(sid, frame)).collect()).await;
}

/// 16-bit samples for 24 kHz behind a soft hiss; floats; hexadecimal digits; base64 in base64; zeros for silence; samples of 8, 24
/// and 32 bits; inverted bits; the greatest level.
pub(crate) fn other_spellings() -> [(Vec<u8>, &'static str); 11] {
    let mut samples = vec![0; speech().len()];
    offhook_mulaw::decode_slice(&speech(), &mut samples);
    let hiss = (0..15_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 29) as i16 - 4);
    let linear = hiss.chain(samples.iter().flat_map(|x| [*x; 3])).flat_map(i16::to_le_bytes).collect();
    let floats = samples.iter().flat_map(|x| (f32::from(*x) / 32_768.0).to_le_bytes()).collect();
    let each = |octets: fn(i16) -> Vec<u8>| samples.iter().flat_map(|x| octets(*x)).collect::<Vec<u8>>();
    let hex: String = speech().iter().map(|octet| format!("{octet:02x}")).collect();
    [
        (linear, "Fails linear-pcm"),
        (floats, "Fails linear-pcm"),
        (hex.into_bytes(), "Fails encoded-twice"),
        (STANDARD.encode(speech()).into_bytes(), "Fails encoded-twice"),
        ([&speech()[..8_000], &[0; 4_000], &speech()[..8_000]].concat(), "Fails zeros-for-silence"),
        (each(|x| vec![((x >> 8) + 128) as u8]), "Fails linear-pcm"),
        (each(|x| (i32::from(x) << 8).to_le_bytes()[..3].to_vec()), "Fails linear-pcm"),
        (each(|x| (i32::from(x) << 16).to_le_bytes().to_vec()), "Fails linear-pcm"),
        (each(|x| vec![!offhook_mulaw::encode(x)]), "Fails mulaw-inverted"),
        (each(|x| vec![offhook_mulaw::encode(x).reverse_bits()]), "Fails bit-order"),
        (each(|x| vec![offhook_mulaw::encode(x.saturating_mul(30))]), "Risky clipped"),
    ]
}

/// 100 ms of the voice each 200 ms.
pub(crate) async fn stutters(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    for piece in speech().chunks(800) {
        text(&mut socket, &media(&sid, piece)).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    converse(&mut socket, &sid, Duration::ZERO).await;
    let _closed = socket.close(None).await;
}

/// Speaks on and on, in step with the playing.
pub(crate) async fn talks_on(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    let mut due = tokio::time::interval(Duration::from_millis(100));
    for piece in speech().repeat(8).chunks(800) {
        due.tick().await;
        text(&mut socket, &media(&sid, piece)).await;
    }
    listen(&mut socket).await;
}

/// Greets, and closes in good order when it is spoken to.
pub(crate) async fn closes_when_spoken_to(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    text(&mut socket, &media(&sid, &speech()[..8_000])).await;
    let mut heard = 0;
    while let Some(Ok(message)) = socket.next().await {
        let value: Value = serde_json::from_str(message.to_text().unwrap_or("")).unwrap_or_default();
        let Some(payload) = value["media"]["payload"].as_str() else { continue };
        heard += usize::from(STANDARD.decode(payload).unwrap().iter().any(|octet| *octet & 0x7F < 0x50));
        if heard > 10 {
            break;
        }
    }
    let _closed = socket.close(None).await;
}

/// The payload beside `media`, not in it.
pub(crate) async fn payload_beside(socket: Socket) {
    let sound = STANDARD.encode(speech());
    once(socket, move |sid, _| vec![json!({"event": "media", "streamSid": sid, "payload": sound})]).await;
}

/// The two halves of each 40 ms exchanged.
pub(crate) fn exchanged() -> Vec<u8> {
    let more = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/callers/pizza-2.wav"));
    let voice = [speech(), more.unwrap().split_off(58)].concat();
    voice.chunks_exact(320).flat_map(|two| [&two[160..], &two[..160]].concat()).collect()
}

pub(crate) async fn mute(mut socket: Socket) {
    listen(&mut socket).await;
}

pub(crate) async fn sends_silence(socket: Socket) {
    once(socket, |sid, _| vec![media(sid, &[0xFF; 8_000]); 3]).await;
}

pub(crate) async fn never_reads(socket: Socket) {
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(socket);
}

pub(crate) async fn binary(mut socket: Socket) {
    start(&mut socket).await;
    let _gone = socket.send(Message::Binary(speech().into())).await;
    listen(&mut socket).await;
}

pub(crate) async fn not_json(mut socket: Socket) {
    start(&mut socket).await;
    let _gone = socket.send(Message::Text("Internal error".into())).await;
    listen(&mut socket).await;
}

pub(crate) async fn without_stream_sid(socket: Socket) {
    let sound = STANDARD.encode(speech());
    once(socket, move |_, _| vec![json!({"event": "media", "media": {"payload": sound}})]).await;
}

pub(crate) async fn with_call_sid(socket: Socket) {
    once(socket, |_, call| vec![media(call, &speech())]).await;
}

pub(crate) async fn other_event(socket: Socket) {
    let sound = STANDARD.encode(speech());
    once(socket, move |sid, _| vec![json!({"event": "audio", "streamSid": sid, "audio": sound})]).await;
}

pub(crate) async fn extra_fields(socket: Socket) {
    let sound = STANDARD.encode(&speech()[..8_000]);
    once(socket, move |sid, _| {
        vec![json!({"event": "media", "streamSid": sid, "media": {"payload": sound, "track": "outbound"}})]
    })
    .await;
}

pub(crate) async fn url_safe_base64(socket: Socket) {
    let sound = URL_SAFE.encode(speech());
    once(socket, move |sid, _| {
        vec![json!({"event": "media", "streamSid": sid, "media": {"payload": sound}})]
    })
    .await;
}

pub(crate) async fn mark_without_name(socket: Socket) {
    once(socket, |sid, _| vec![media(sid, &speech()[..8_000]), json!({"event": "mark", "streamSid": sid})])
        .await;
}

pub(crate) async fn wav(socket: Socket) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/callers/booking-1.wav");
    let file = std::fs::read(path).unwrap();
    once(socket, move |sid, _| vec![media(sid, &file)]).await;
}

pub(crate) async fn mp3(socket: Socket) {
    let mut file = vec![0x55; 4_000];
    file[..4].copy_from_slice(&[0xFF, 0xFB, 0x90, 0]);
    file[417..421].copy_from_slice(&[0xFF, 0xFB, 0x90, 0]);
    once(socket, move |sid, _| vec![media(sid, &file)]).await;
}

pub(crate) async fn linear(socket: Socket) {
    once(socket, |sid, _| linear_speech().chunks(640).map(|frame| media(sid, frame)).collect()).await;
}

pub(crate) async fn a_law(socket: Socket) {
    let speech: Vec<u8> = speech()[..4_000].iter().map(|octet| octet ^ 0x2A).collect();
    once(socket, move |sid, _| vec![media(sid, &[vec![0xD5; 1_600], speech.clone()].concat())]).await;
}

pub(crate) async fn overflows(socket: Socket) {
    let minute = speech().repeat(21);
    once(socket, move |sid, _| vec![media(sid, &minute); 11]).await;
}

pub(crate) async fn closes(mut socket: Socket) {
    start(&mut socket).await;
    let _closed = socket.close(None).await;
}

pub(crate) async fn fails_after_greeting(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    text(&mut socket, &media(&sid, &speech()[..8_000])).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let frame = CloseFrame { code: CloseCode::Error, reason: "KeyError: 'OPENAI_API_KEY'".into() };
    let _closed = socket.close(Some(frame)).await;
}

pub(crate) async fn drops(mut socket: Socket) {
    start(&mut socket).await;
}

pub(crate) async fn never_clears(socket: Socket) {
    once(socket, |sid, _| vec![media(sid, &speech().repeat(5))]).await;
}

pub(crate) async fn lingers(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    text(&mut socket, &media(&sid, &speech()[..8_000])).await;
    converse(&mut socket, &sid, Duration::ZERO).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// A frame with a bit that only extensions may set (RFC 6455, 5.2).
pub(crate) async fn compresses(socket: Socket) {
    writes(socket, &[0xC1, 0x02, 0xAA, 0x02]).await;
}

/// A frame that is masked, as only clients may.
pub(crate) async fn masks(socket: Socket) {
    writes(socket, &[0x81, 0x82, 1, 2, 3, 4, b'{' ^ 1, b'}' ^ 2]).await;
}

async fn writes(mut socket: Socket, octets: &[u8]) {
    start(&mut socket).await;
    socket.get_mut().write_all(octets).await.unwrap();
    listen(&mut socket).await;
}

pub(crate) async fn greets_and_never_reads(mut socket: Socket) {
    let (sid, _) = start(&mut socket).await;
    text(&mut socket, &media(&sid, &speech()[..8_000])).await;
    std::future::pending::<()>().await;
}

/// Speech with so many times its samples a second, at once or in step with its playing.
pub(crate) async fn at_rate(mut socket: Socket, times: usize, paced: bool) {
    let (sid, _) = start(&mut socket).await;
    let mut samples = vec![0; speech().len()];
    offhook_mulaw::decode_slice(&speech(), &mut samples);
    let between = |pair: &[i16]| {
        let (one, next) = (i32::from(pair[0]), i32::from(pair[1]));
        (0..times as i32)
            .map(move |part| (one + (next - one) * part / times as i32) as i16)
            .collect::<Vec<_>>()
    };
    let more: Vec<i16> = samples.windows(2).flat_map(between).collect();
    let mut octets = vec![0; more.len()];
    offhook_mulaw::encode_slice(&more, &mut octets);
    let mut due = tokio::time::interval(Duration::from_millis(20));
    for frame in octets.chunks(160 * times) {
        if paced {
            due.tick().await;
        }
        text(&mut socket, &media(&sid, frame)).await;
    }
    converse(&mut socket, &sid, Duration::ZERO).await;
    let _closed = socket.close(None).await;
}
