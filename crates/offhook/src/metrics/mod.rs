//! What is counted, as Prometheus reads it. Counts alone: no number, no name, no word of a call.
//!
//! - `calls`: what happens in calls, counted as it happens
//! - `kept`: documents in the store, files in the bucket, traces
//! - `pacing`: how late frames were sent, added when a call is over
//! - `providers`: how each provider fares, over all calls
//! - `process`: this process, and the disk that it writes to

mod calls;
mod kept;
mod pacing;
mod process;
mod providers;

pub(crate) use calls::CallMetrics;
pub(crate) use kept::Kept;
pub(crate) use pacing::Pacing;
pub(crate) use process::{Disk, Process};
pub(crate) use providers::Providers;

/// One label.
pub(crate) type Label = [(&'static str, String); 1];
