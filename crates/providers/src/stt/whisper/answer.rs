//! Answers of transcription services, in all the forms that they have been seen in.

use offhook_stages::StageError;
use serde_json::Value;

use super::STAGE;
use super::judge::Answer;
use crate::net::sse::Sse;
use crate::net::stream_failure;

/// Where services that aren't of OpenAI's kind have the transcript: Deepgram's and Gladia's uploads.
const ELSEWHERE: [&str; 2] =
    ["/results/channels/0/alternatives/0/transcript", "/result/transcription/full_transcript"];

/// Reads an answer. `plain`: it says that it is bare text.
///
/// # Errors
/// It has no transcript.
pub(super) fn parse(body: &[u8], plain: bool) -> Result<Answer, StageError> {
    let text = String::from_utf8_lossy(body);
    if plain && !text.trim_start().starts_with('{') {
        return Ok(Answer::plain(text.into_owned()));
    }
    let garbage = |what: &str| StageError::Garbage { stage: STAGE.to_owned(), what: what.to_owned() };
    let Ok(value) = serde_json::from_str::<Value>(&text) else {
        return match stream(body)? {
            Some(text) => Ok(Answer::plain(text)),
            None => Err(garbage("an answer that is neither JSON nor text")),
        };
    };
    if value.get("text").is_none_or(Value::is_null) {
        let elsewhere = ELSEWHERE.iter().find_map(|place| value.pointer(place)?.as_str());
        if let Some(text) = elsewhere {
            return Ok(Answer::plain(text.to_owned()));
        }
        // Some servers say 200 and mean no.
        return Err(garbage(if value.get("error").is_some_and(|error| !error.is_null()) {
            "an error in place of a transcript"
        } else {
            "an answer without a transcript"
        }));
    }
    serde_json::from_value(value).map_err(|_| garbage("a transcript of an unknown form"))
}

/// A transcript that is streamed though nobody asked for it: its pieces, or better, its end.
fn stream(body: &[u8]) -> Result<Option<String>, StageError> {
    let mut sse = Sse::default();
    sse.push(body);
    let (mut pieces, mut segments, mut any) = (String::new(), Vec::new(), false);
    while let Some(event) = sse.next_event().or_else(|| sse.finish()) {
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else { continue };
        let text = |name: &str| data[name].as_str().unwrap_or("");
        any = true;
        match text("type") {
            "transcript.text.delta" => pieces.push_str(text("delta")),
            "transcript.text.segment" => segments.push(text("text").trim().to_owned()),
            "transcript.text.done" => return Ok(Some(text("text").to_owned())),
            _ => {
                if let Some(error) = data.get("error").filter(|error| !error.is_null()) {
                    return Err(stream_failure(STAGE, error));
                }
            }
        }
    }
    if any && pieces.is_empty() && segments.is_empty() {
        return Ok(None);
    }
    let whole = if pieces.is_empty() { segments.join(" ") } else { pieces };
    Ok(any.then_some(whole))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::judge::judge;
    use super::*;

    fn read(body: &str, plain: bool) -> String {
        judge(&parse(body.as_bytes(), plain).unwrap(), Duration::from_secs(60), "").0
    }

    #[test]
    fn answers_of_all_kinds_are_read() {
        let streamed = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Yes\"}\n\n\
                        data: {\"type\":\"transcript.text.delta\",\"delta\":\", sir\"}\n\ndata: [DONE]\n\n";
        let segments = "data: {\"type\":\"transcript.text.segment\",\"text\":\" Yes.\"}\n\n\
                        data: {\"type\":\"transcript.text.segment\",\"text\":\" No.\"}\n\n";
        for (body, plain, text) in [
            (
                r#"{"text":"I'd like to move my appointment.","usage":{"type":"tokens","input_tokens":14}}"#,
                false,
                "I'd like to move my appointment.",
            ),
            (r#"{"text":" I'd like to\n"}"#, false, "I'd like to"),
            (r#"{"text":"yes","x_groq":{"id":"req_01j"}}"#, true, "yes"),
            ("yes\n", true, "yes"),
            (r#"{"results":{"channels":[{"alternatives":[{"transcript":"a table"}]}]}}"#, false, "a table"),
            (r#"{"result":{"transcription":{"full_transcript":"a table"}}}"#, false, "a table"),
            (r#"{"text":"a table","segments":[{"start":0.1,"end":0.4}]}"#, false, "a table"),
            (streamed, false, "Yes, sir"),
            (segments, false, "Yes. No."),
        ] {
            assert_eq!(read(body, plain), text, "{body}");
        }
        for body in [r#"{"error":{"message":"no"}}"#, "{}", "<html>", "", r#"{"id":"1"}"#] {
            assert!(matches!(parse(body.as_bytes(), false), Err(StageError::Garbage { .. })), "{body}");
        }
    }

    /// See `llm/tests/recordings.rs` for where they are.
    #[test]
    fn every_recorded_transcription_is_read() {
        let Some(folder) = crate::llm::recorded::folder() else {
            eprintln!("skipped: there are no recordings at ../shared/recordings");
            return;
        };
        let mut read_ones = 0;
        for (name, octets) in crate::llm::recorded::all(&folder) {
            let transcribes = name.contains("transcription") || name.ends_with("gladia-result.json");
            if !transcribes || name.ends_with(".jsonl") {
                continue;
            }
            let text = read(&String::from_utf8(octets).unwrap(), false);
            assert!(text.split_whitespace().count() > 3, "{name}: {text}");
            read_ones += 1;
        }
        eprintln!("{read_ones} transcriptions were read");
    }
}
