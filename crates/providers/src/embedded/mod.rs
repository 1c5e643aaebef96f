//! Stages that run on this machine, in C libraries loaded when they are first needed.
//!
//! The libraries are loaded at run time, so that Offhook builds and runs without them; a stage that lacks its library
//! says which package to install. Their work is done on a bounded pool of OS threads, never on a call's worker.

mod flite;
mod flite_ffi;
mod library;
mod pocketsphinx;
mod pool;
mod sphinx_ffi;

pub use flite::{Flite, SynthResult, Voice};
pub use pocketsphinx::{PocketSphinx, Recognised, SphinxOptions};
pub use pool::{NativePool, native_jobs};
