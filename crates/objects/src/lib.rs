//! Calls' files in an S3-compatible bucket.
//!
//! Calls are written to a folder, as ever; when a call is over, its files are uploaded and their copies in the folder deleted. While
//! the bucket is away the folder is the spool, bounded in octets. One thread does all of it: no call, and no worker, waits for a bucket.
//!
//! - `bucket`: put, get, list, delete; `http`: what carries the requests
//! - `mover`: the thread
//! - `journal`: deletions that the bucket has yet to take
#![forbid(unsafe_code)]

mod bucket;
mod http;
mod journal;
mod mover;

pub use bucket::{Bucket, BucketError, BucketSettings, Object};
pub use mover::{Ask, Counters, Deleted, Known, Objects, Settings};
