//! What is kept of calls: one document per call, in SQLite or PostgreSQL, found by number, agent, time, outcome and words.
//!
//! A [`Store`] takes documents from any thread and never makes it wait: a thread of its own writes them in batches. While the
//! database is away they wait in a bounded spool on disk, and are replayed from there; a document is known by its call's id and
//! revision, so that it is in the database once however often it is replayed.
//!
//! - `document`: the document of a call, version 1; its JSON Schema is `docs/call-document.schema.json`
//! - `redact`: what is taken out of documents before anything is written
//! - `database`: what SQLite and PostgreSQL have in common; `migrate` their schema
//! - `report`: what many calls were like
//! - `row`, `save`, `query`, `delete`: documents in and out of a database
//! - `spool`, `writer`, `store`: threads
#![forbid(unsafe_code)]

mod database;
mod delete;
mod document;
mod migrate;
mod query;
mod redact;
mod report;
mod row;
mod save;
mod seal;
mod spool;
mod store;
#[cfg(test)]
mod tests;
mod time;
mod words;
mod writer;

pub use database::{Location, StoreError};
pub use delete::{Receipt, Subject};
pub use document::{
    Answer, Cost, Direction, Document, Event, Latency, Leg, Outcome, Problem, Speaker, State, ToolUse,
    Transport, Turn, Usage, VERSION, schema,
};
pub use query::{Cursor, Filter, Listed, Page};
pub use redact::Redaction;
pub use report::{Hour, Provider, Report, Stage, Worst};
pub use seal::{Keys, SealError, Sealer};
pub use store::{Archive, Pending, Settings, Store, open};
pub use time::{parse_instant, rfc3339};
pub use writer::Counters;
