//! Kept tapes: what they tell, how they sound, and what would have been if.

use axum::extract::Request;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::calls::{body, parse, wrong};
use super::{as_json, refusal};
use crate::calls::Within;
use crate::serve::http::{Answer, typed};
use crate::{explain, what_if};

/// Tapes longer than this are for the command line: 64 MiB, some hours.
const LONGEST: u64 = 64 * 1024 * 1024;

async fn find(sid: &str, calls: &Within<'_>) -> Result<Vec<u8>, Answer> {
    match calls.tape(sid, LONGEST).await {
        Ok(Some(tape)) => Ok(tape),
        Ok(None) => Err(refusal(StatusCode::NOT_FOUND, "unknown", "no tape was kept of such a call")),
        Err(error) => Err(wrong(&format!("the tape can't be shown here, `offhook explain` may: {error:#}"))),
    }
}

/// Works on it on a thread for such things: a long tape takes a second.
async fn with_tape<T: Send + 'static>(
    tape: Vec<u8>,
    work: impl FnOnce(&str) -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Answer> {
    match tokio::task::spawn_blocking(move || work(&offhook_tape::unpacked(tape)?)).await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(error)) => Err(wrong(&format!("{error:#}"))),
        Err(_) => Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, "broken", "reading the tape broke")),
    }
}

/// `GET /v1/tapes/{sid}`: why the call went as it did, turn by turn.
pub(super) async fn story(sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let story = with_tape(find(sid, calls).await?, explain::as_json).await?;
    Ok(as_json(StatusCode::OK, &story))
}

/// `GET /v1/tapes/{sid}/sound`: WAV, G.711 μ-law, caller left, agent right, as the parties heard each other.
pub(super) async fn sound(sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let wav = with_tape(find(sid, calls).await?, explain::as_wav).await?;
    Ok(typed(StatusCode::OK, "audio/wav", wav))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    /// `setting=value`, of `[call]`.
    #[serde(default)]
    set: Vec<String>,
}

/// `POST /v1/tapes/{sid}/what-if`: the caller calls again, under other settings.
pub(super) async fn what_if(request: Request, sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let tape = find(sid, calls).await?;
    let Changes { set } = parse(&body(request).await?)?;
    let outcomes: Value = with_tape(tape, move |tape| what_if::as_json(tape, &set)).await?;
    Ok(as_json(StatusCode::OK, &outcomes))
}
