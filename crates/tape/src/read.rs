//! A tape's text as lines.

use serde::Deserialize;

use crate::wire::{Header, Line, VERSION};

/// Why a tape can't be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A line is damaged.
    #[error("line {line} of the tape can't be read: {why}")]
    Damaged {
        /// Counted from one.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// It is of a ConversationRelay call.
    #[error(
        "the tape is of a ConversationRelay call: Twilio decided when its turns were over, so other settings change nothing"
    )]
    OfText,
    /// Another version.
    #[error(
        "the tape has format {found}, this build reads format {VERSION}: replay it with Offhook {build}, the release that wrote it"
    )]
    Version {
        /// The tape's.
        found: u32,
        /// The build that wrote it.
        build: String,
    },
}

/// A tape's header and its lines; of a tape whose last line is cut off, those before it.
///
/// # Errors
/// If the tape can't be read.
pub fn lines(tape: &str) -> Result<(Header, Vec<Line>), ReplayError> {
    let (header, lines) = open(tape)?;
    let mut all = Vec::new();
    for line in lines {
        match line {
            Ok((_, line)) => all.push(line),
            Err(NoLine::CutShort) => break,
            Err(NoLine::Damaged(error)) => return Err(error),
        }
    }
    Ok((header, all))
}

/// What the tape says of itself.
///
/// # Errors
/// If it is no tape, or one of another version.
pub fn header(tape: &str) -> Result<Header, ReplayError> {
    open(tape).map(|(header, _)| header)
}

/// A line, counted from zero, can't be used.
pub(crate) fn damaged(line: usize, why: impl Into<String>) -> ReplayError {
    ReplayError::Damaged { line: line + 1, why: why.into() }
}

/// Why there is no further line.
pub(crate) enum NoLine {
    /// The last one was cut off.
    CutShort,
    Damaged(ReplayError),
}

/// Lines with their places, counted from zero.
pub(crate) type Lines<'a> = Box<dyn Iterator<Item = Result<(usize, Line), NoLine>> + 'a>;

/// What headers of all versions have.
#[derive(Deserialize)]
struct AnyHeader {
    tape: u32,
    #[serde(default)]
    build: String,
}

/// Reads the header, and gives the lines.
pub(crate) fn open(tape: &str) -> Result<(Header, Lines<'_>), ReplayError> {
    let mut lines = tape.lines().enumerate().peekable();
    let (_, first) = lines.next().ok_or_else(|| damaged(0, "it is empty"))?;
    let any: AnyHeader = serde_json::from_str(first).map_err(|error| damaged(0, error.to_string()))?;
    if any.tape != VERSION {
        return Err(ReplayError::Version { found: any.tape, build: any.build });
    }
    let header: Header = serde_json::from_str(first).map_err(|error| damaged(0, error.to_string()))?;
    let whole = tape.ends_with('\n');
    let lines = std::iter::from_fn(move || {
        let (index, text) = lines.next()?;
        let last = lines.peek().is_none();
        Some(match serde_json::from_str(text) {
            Ok(line) => Ok((index, line)),
            Err(_) if last && !whole => Err(NoLine::CutShort),
            Err(error) => Err(NoLine::Damaged(damaged(index, error.to_string()))),
        })
    });
    Ok((header, Box::new(lines)))
}
