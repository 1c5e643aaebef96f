//! A document as it goes into the database, and into the spool: what is searched by in columns, all of it in one piece.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::database::StoreError;
use crate::document::{Direction, Document, Event, Speaker, State, Transport, Turn};
use crate::seal::Keys;
use crate::words;

/// zstd's level: documents pack to a fifth.
const LEVEL: i32 = 3;
/// A document's longest JSON text, unpacked: a call of 4 h has some 10 MB.
const LONGEST: usize = 256 * 1024 * 1024;

/// A document, ready to be written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The document without turns' text, events and fields: what columns are made of.
    pub(crate) head: Document,
    pub(crate) counts: Counts,
    /// The words to find it by.
    pub(crate) words: String,
    /// Both numbers, sealed, if there are keys: the head then has what stands for them.
    #[serde(default, with = "maybe_base64")]
    pub(crate) numbers: Option<Vec<u8>>,
    /// All of it.
    #[serde(with = "in_base64")]
    pub(crate) document: Vec<u8>,
}

mod in_base64 {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

mod maybe_base64 {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| STANDARD.decode(text).map_err(serde::de::Error::custom)).transpose()
    }
}

impl Row {
    pub(crate) fn of(document: Document, keys: Option<&Keys>) -> Result<Self, StoreError> {
        let refused = |why: String| StoreError::Refused(why);
        let json = serde_json::to_vec(&document).map_err(|error| refused(error.to_string()))?;
        let packed = zstd::encode_all(json.as_slice(), LEVEL).map_err(|error| refused(error.to_string()))?;
        let mut words = words::index(texts(&document));
        let counts = Counts::of(&document);
        let mut head = document;
        head.events = Vec::new();
        head.parameters = std::collections::BTreeMap::new();
        head.goal = None;
        head.errors.iter_mut().for_each(|error| error.message = String::new());
        head.turns.iter_mut().for_each(|turn| {
            turn.text = String::new();
            turn.planned = None;
        });
        if let Some(outcome) = &mut head.outcome {
            outcome.fields.clear();
            outcome.evidence = String::new();
        }
        head.transferred_to = None;
        let Some(keys) = keys else {
            return Ok(Self { head, counts, words, numbers: None, document: packed });
        };
        let sealed = |plain: &[u8]| keys.seal(plain).map_err(|error| refused(error.to_string()));
        words = words
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(|word| keys.hidden(word))
            .collect::<Vec<_>>()
            .join(" ");
        let numbers =
            serde_json::to_vec(&[&head.from, &head.to]).map_err(|error| refused(error.to_string()))?;
        head.from = keys.hidden(&head.from);
        head.to = keys.hidden(&head.to);
        Ok(Self { head, counts, words, numbers: Some(sealed(&numbers)?), document: sealed(&packed)? })
    }

    pub(crate) fn id(&self) -> &str {
        &self.head.id
    }
}

/// Everything that can be searched for by its words.
fn texts(document: &Document) -> impl Iterator<Item = &str> {
    let turns = document.turns.iter().map(|turn| turn.text.as_str());
    let outcome = document.outcome.iter().flat_map(|outcome| {
        let fields = outcome.fields.values().filter_map(|value| value.as_str());
        fields.chain([outcome.evidence.as_str()])
    });
    let errors = document.errors.iter().map(|error| error.message.as_str());
    turns.chain(outcome).chain(errors).chain(document.goal.as_deref())
}

/// Reads what [`Row::document`] holds.
pub(crate) fn read(id: &str, piece: &[u8], keys: Option<&Keys>) -> Result<Document, StoreError> {
    let damaged = |why: String| StoreError::Damaged { id: id.to_owned(), why };
    let packed = Keys::open(keys, piece).map_err(|error| damaged(error.to_string()))?;
    let mut json = Vec::new();
    let decoder = zstd::Decoder::new(packed.as_slice()).map_err(|error| damaged(error.to_string()))?;
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    std::io::Read::read_to_end(&mut std::io::Read::take(decoder, limit), &mut json)
        .map_err(|error| damaged(error.to_string()))?;
    serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))
}

/// What lists show of a call, counted from its document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) interruptions: u64,
    pub(crate) false_interruptions: u64,
    pub(crate) fillers: u64,
    pub(crate) apologies: u64,
}

impl Counts {
    fn of(document: &Document) -> Self {
        let kind = |wanted: &str| {
            let is = |turn: &&Turn| turn.kind.as_deref() == Some(wanted);
            count(document.turns.iter().filter(is).count())
        };
        let stage = |wanted: &str| {
            let is = |event: &&Event| {
                event.event == "barge_in"
                    && event.more.get("stage").and_then(|stage| stage.as_str()) == Some(wanted)
            };
            count(document.events.iter().filter(is).count())
        };
        Self {
            interruptions: count(document.turns.iter().filter(|turn| turn.interrupted).count()),
            false_interruptions: stage("resumed"),
            fillers: kind("filler"),
            apologies: kind("apology"),
        }
    }
}

pub(crate) fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Over => "over",
            Self::Lost => "lost",
        }
    }
}

impl Direction {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl Transport {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MediaStreams => "media-streams",
            Self::ConversationRelay => "conversation-relay",
        }
    }
}

impl Speaker {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Agent => "agent",
        }
    }
}
