//! `offhook vad` as a program: what it prints, what it draws, and what it says of files that it can't read.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/callers").join(name)
}

fn vad(arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.arg("vad").arg(file).args(arguments).env("NO_COLOR", "1").output().unwrap()
}

/// The last in words, for when it went well.
fn said(arguments: &[&str], name: &str) -> String {
    let output = vad(arguments, &fixture(name));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

// WebRTC's detector, whose answers don't change when our network is trained anew.
const PLAIN: [&str; 3] = ["--no-picture", "--detector", "webrtc"];

#[test]
fn in_words() {
    insta::assert_snapshot!("words", said(&PLAIN, "pause-800ms.wav"));
    insta::assert_snapshot!("keys", said(&PLAIN, "keys-in-band.wav"));
    insta::assert_snapshot!("ringback", said(&PLAIN, "ringback.wav"));
}

#[test]
fn as_json() {
    let lines = said(&[&PLAIN[..], &["--json"]].concat(), "pause-800ms.wav");
    insta::assert_snapshot!("json", lines);
    for (index, line) in lines.lines().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(speech) = value.get("speech") {
            assert_eq!(value["t_ms"], index * 20);
            assert!((0.0..=1.0).contains(&speech.as_f64().unwrap()));
        }
    }
}

#[test]
fn the_engines_own_detector_hears_a_turn_with_a_pause_as_two_talkspurts() {
    let lines = said(&["--no-picture", "--json"], "pause-800ms.wav");
    assert_eq!(lines.lines().filter(|line| line.starts_with(r#"{"talkspurt""#)).count(), 2, "{lines}");
}

#[test]
fn a_picture_is_drawn_beside_the_file_or_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("line.wav");
    std::fs::copy(fixture("pause-800ms.wav"), &file).unwrap();
    for (arguments, picture) in [(vec![], "line.vad.png"), (vec!["--picture", "there.png"], "there.png")] {
        let output = Command::new(env!("CARGO_BIN_EXE_offhook"))
            .current_dir(folder.path())
            .args(["vad", "line.wav"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success());
        let picture = std::fs::File::open(folder.path().join(picture)).unwrap();
        let mut reader = png::Decoder::new(std::io::BufReader::new(picture)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(frame.width, 1_600);
        // The talkspurts' blue is there.
        assert!(pixels.chunks_exact(3).filter(|pixel| *pixel == [0xE3, 0xF0, 0xF8]).count() > 1_000);
    }
}

#[test]
fn channels_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("both.wav");
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 24,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&file, spec).unwrap();
    for n in 0..96_000 {
        let tone = f64::from(n) * 1_000.0 / 16_000.0 * std::f64::consts::TAU;
        writer.write_sample(0).unwrap();
        writer.write_sample((tone.sin() * 4e6) as i32).unwrap();
    }
    writer.finalize().unwrap();
    let floor = |channel: &str| {
        let output = vad(&["--json", "--no-picture", "--channel", channel], &file);
        let text = String::from_utf8(output.stdout).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert!(last["summary"]["length_ms"].as_u64().unwrap().abs_diff(6_000) <= 1, "{last}");
        last["summary"]["noise_floor_dbov"].as_f64().unwrap()
    };
    assert!(floor("left") < -65.0 && floor("right") > -40.0 && floor("mix") > -40.0);
}

#[test]
fn what_it_cannot_read_is_told_with_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.wav");
    std::fs::write(&text, "not a sound").unwrap();
    let good = fixture("quiet.wav");
    for (arguments, file, why) in [
        (&[][..], Path::new("/nowhere/at/all.wav"), "can't read /nowhere/at/all.wav"),
        (&[], &text, "no RIFF WAVE"),
        (&["--channel", "right"], &good, "there is no right one"),
        (&["--detector", "best"], &good, "there is no detector"),
        (&["--threshold", "7"], &good, "not from 0 to 1"),
    ] {
        let output = vad(&[arguments, &["--no-picture"]].concat(), file);
        assert_eq!(output.status.code(), Some(2), "{why}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(why), "{told}");
    }
}
