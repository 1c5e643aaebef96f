//! Kept tapes: what they tell, how they sound, and what would have been if.

use std::path::PathBuf;

use anyhow::Context;
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

fn find(sid: &str, calls: &Within<'_>) -> Result<PathBuf, Answer> {
    calls
        .tape(sid)
        .ok_or_else(|| refusal(StatusCode::NOT_FOUND, "unknown", "no tape was kept of such a call"))
}

/// Reads and works on a thread for such things: a long tape takes a second.
async fn with_tape<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&str) -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Answer> {
    let reading = move || {
        let size = std::fs::metadata(&path).context("the tape can't be read")?.len();
        anyhow::ensure!(size <= LONGEST, "the tape is too long to be shown here: `offhook explain` can");
        let tape = offhook_tape::unpacked(std::fs::read(&path).context("the tape can't be read")?)?;
        work(&tape)
    };
    match tokio::task::spawn_blocking(reading).await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(error)) => Err(wrong(&format!("{error:#}"))),
        Err(_) => Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, "broken", "reading the tape broke")),
    }
}

/// `GET /v1/tapes/{sid}`: why the call went as it did, turn by turn.
pub(super) async fn story(sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let story = with_tape(find(sid, calls)?, explain::as_json).await?;
    Ok(as_json(StatusCode::OK, &story))
}

/// `GET /v1/tapes/{sid}/sound`: WAV, G.711 μ-law, caller left, agent right, as the parties heard each other.
pub(super) async fn sound(sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let wav = with_tape(find(sid, calls)?, explain::as_wav).await?;
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
    let path = find(sid, calls)?;
    let Changes { set } = parse(&body(request).await?)?;
    let outcomes: Value = with_tape(path, move |tape| what_if::as_json(tape, &set)).await?;
    Ok(as_json(StatusCode::OK, &outcomes))
}
