//! Files of all kinds, and servers of all kinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use offhook_audio::SampleRate;
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{AudioChunk, Recording, SpeakRequest, TtsCommand, TtsEvent};
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Tts, Tx, WhenFull, bounded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::decode::decode;
use super::fetch::LARGEST;
use super::{PlayingTts, fetch};

fn wav(rate: u32, seconds: u32) -> Vec<u8> {
    let count = rate * seconds;
    let mut wav = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend(rate.to_le_bytes());
    wav.extend([0, 0, 0, 0, 2, 0, 16, 0]);
    // More than a kilobyte of remarks before the sound.
    wav.extend(b"LIST\xd0\x07\0\0");
    wav.extend([b'a'; 2_000]);
    wav.extend(b"data");
    wav.extend((count * 2).to_le_bytes());
    wav.extend((0..count).flat_map(|n| (((f64::from(n) * 0.1).sin() * 8_000.0) as i16).to_le_bytes()));
    wav
}

/// A tenth of a second and more of a tone, as `lame` writes it: MPEG 2 layer III, 16 kHz, one channel.
fn mp3() -> Vec<u8> {
    include_bytes!("tone.mp3").to_vec()
}

#[test]
fn what_twilio_plays_is_played_and_the_rest_is_named() {
    let played = |octets: &[u8], kind: &str, path: &str| decode(octets, Some(kind), path);
    for rate in [8_000, 16_000, 22_050, 44_100, 48_000] {
        let sound = played(&wav(rate, 1), "application/octet-stream", "/hold").unwrap();
        assert!(sound.len().abs_diff(8_000) < 100, "{rate}: {}", sound.len());
        assert!(sound.iter().any(|sample| sample.unsigned_abs() > 4_000), "{rate}");
    }
    let tone = played(&mp3(), "audio/mpeg", "/tone.mp3").unwrap();
    assert!((4_000..6_500).contains(&tone.len()), "{}", tone.len());
    assert!(tone.iter().any(|sample| sample.unsigned_abs() > 1_000));
    let octets = vec![0x20; 1_600];
    for (kind, path) in
        [("audio/basic", "/x"), ("audio/x-mulaw; rate=8000", "/x"), ("binary/octet-stream", "/a.ulaw")]
    {
        assert_eq!(played(&octets, kind, path).unwrap().len(), 1_600, "{kind} {path}");
    }
    let header: Vec<u8> =
        [24_u32, u32::MAX, 1, 8_000, 1].iter().flat_map(|word| word.to_be_bytes()).collect();
    let sun = [b".snd".as_slice(), &header, &octets].concat();
    assert_eq!(played(&sun, "audio/basic", "/x.au").unwrap().len(), 1_600);
    for (octets, kind, what) in [
        (&b"OggS-------"[..], "audio/ogg", "Ogg"),
        (b"fLaC-------", "audio/flac", "FLAC"),
        (b"<html>no such file", "audio/mpeg", "HTML"),
        (b"FORM----AIFF", "audio/aiff", "AIFF"),
        (b"", "audio/wav", "audio/wav"),
        (b"not sound", "audio/mpeg", "no MP3"),
    ] {
        let refused = played(octets, kind, "/x").unwrap_err();
        assert!(refused.contains(what), "{refused}");
    }
    assert!(played(&wav(8_000, 301), "audio/wav", "/x").unwrap_err().contains("longer than 5 minutes"));
    // Cut off and broken anywhere: never more than an error.
    for cut in (0..mp3().len()).step_by(37) {
        let mut broken = mp3();
        broken[cut] ^= 0x5A;
        broken.truncate(mp3().len() - cut / 2);
        let _sound = played(&broken, "audio/mpeg", "/x");
    }
}

/// A server that answers each path in its way. Gives its address, and how many requests came.
async fn server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut buffer = [0; 2_048];
                let read = stream.read(&mut buffer).await.unwrap();
                let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
                let path = request.split(' ').nth(1).unwrap();
                let head = |status: &str, more: &str| {
                    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{more}\r\n")
                };
                let sent = match path {
                    "/hold.wav" => {
                        let body = wav(8_000, 1);
                        let length = format!("Content-Type: audio/wav\r\nContent-Length: {}\r\n", body.len());
                        [head("200 OK", &length).into_bytes(), body].concat()
                    }
                    "/away" => head("302 Found", "Location: /hold.wav\r\nContent-Length: 0\r\n").into_bytes(),
                    "/inside" => {
                        head("302 Found", "Location: http://169.254.169.254/x\r\nContent-Length: 0\r\n")
                            .into_bytes()
                    }
                    "/round" => head("302 Found", "Location: /round\r\nContent-Length: 0\r\n").into_bytes(),
                    "/large" => head("200 OK", &format!("Content-Length: {}\r\n", LARGEST + 1)).into_bytes(),
                    "/endless" => {
                        let mut sent = head("200 OK", "Content-Type: audio/basic\r\n").into_bytes();
                        sent.resize(LARGEST + 4_096, 0x20);
                        sent
                    }
                    "/mute" => {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                        Vec::new()
                    }
                    _ => head("404 Not Found", "Content-Length: 0\r\n").into_bytes(),
                };
                let _gone = stream.write_all(&sent).await;
            });
        }
    });
    (base, asked)
}

#[tokio::test]
async fn recordings_are_fetched_within_bounds_and_once() {
    let (base, asked) = server().await;
    let app = "ws://127.0.0.1:8081/relay";
    let url = format!("{base}/hold.wav");
    let (one, other) = tokio::join!(fetch(&url, app), fetch(&url, app));
    let AudioChunk::Pcm { rate, samples } = one.unwrap() else { panic!("not linear") };
    assert_eq!((rate, samples.len()), (SampleRate::HZ_8000, 8_000));
    assert!(other.is_ok() && fetch(&url, app).await.is_ok());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(fetch(&format!("{base}/away"), app).await.is_ok());
    for (path, code, what) in [
        ("/gone", 11_200, "404"),
        ("/inside", 11_100, "169.254.169.254"),
        ("/round", 11_200, "more than 3 times"),
        ("/large", 11_200, "larger than 10 MB"),
        ("/endless", 11_200, "larger than 10 MB"),
    ] {
        let refused = fetch(&format!("{base}{path}"), app).await.unwrap_err();
        assert_eq!(refused.code, code, "{path}: {refused}");
        assert!(refused.what.contains(what), "{path}: {refused}");
    }
    // What failed once may be there the next time.
    let before = asked.load(Ordering::Relaxed);
    assert!(fetch(&format!("{base}/gone"), app).await.is_err());
    assert_eq!(asked.load(Ordering::Relaxed), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let (base, _) = server().await;
    let began = tokio::time::Instant::now();
    let refused = fetch(&format!("{base}/mute"), "ws://127.0.0.1/").await.unwrap_err();
    assert_eq!(refused.code, 11_200, "{refused}");
    assert!(began.elapsed() < Duration::from_secs(12));
}

/// A voice that says how long each text is.
struct Counting;

impl Tts for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn voice(&self) -> &str {
        "one"
    }

    fn run(
        &self,
        _call: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let TtsCommand::Speak(request) = command else { continue };
                assert!(request.recording.is_none(), "it was asked to speak a recording");
                let done = TtsEvent::Done { utterance: request.utterance, segment: request.segment };
                if events.send(done).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }
}

fn speak(utterance: u32, recording: Option<Recording>) -> TtsCommand {
    TtsCommand::Speak(SpeakRequest {
        utterance: UtteranceId(utterance),
        segment: SegmentId(0),
        text: String::new(),
        last: true,
        language: None,
        recording: recording.map(Arc::new),
    })
}

#[tokio::test(start_paused = true)]
async fn a_recording_comes_as_it_is_heard_and_stops_when_it_is_cut_off() {
    let (to, commands) = bounded(64, WhenFull::PushBack);
    let (events, from) = bounded(4_096, WhenFull::PushBack);
    let run = tokio::spawn(PlayingTts::new(Arc::new(Counting)).run(CallInfo::default(), commands, events));
    let second: Arc<[i16]> = vec![500; 8_000].into();
    let sound = Some(AudioChunk::Pcm { rate: SampleRate::HZ_8000, samples: second });
    let played =
        |times| Recording { sound: sound.clone(), ..Recording::at("https://a.example/x.wav", times) };
    to.offer(speak(1, Some(played(1_000)))).unwrap();
    to.offer(speak(2, None)).unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    to.offer(TtsCommand::Cancel { utterance: UtteranceId(1) }).unwrap();
    to.offer(speak(3, Some(played(3)))).unwrap();
    to.offer(speak(4, Some(Recording::at("https://a.example/x.wav", 1)))).unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    drop(to);
    run.await.unwrap().unwrap();
    let mut given = [Duration::ZERO; 5];
    let mut ends = Vec::new();
    while let Ok(event) = from.try_recv() {
        let (UtteranceId(of), _) = event.of();
        match event {
            TtsEvent::Audio { chunk, .. } => given[of as usize] += chunk.duration(),
            TtsEvent::Done { .. } => ends.push((of, true)),
            TtsEvent::Failed { .. } => ends.push((of, false)),
            TtsEvent::Words { .. } => panic!("a recording has no words"),
        }
    }
    // Twenty seconds were heard, and five are on their way; it never ends by itself.
    assert!((24..=26).contains(&given[1].as_secs()), "{given:?}");
    assert_eq!(given[3], Duration::from_secs(3));
    assert_eq!(ends, [(2, true), (4, false), (3, true)]);
}
