//! Tapes: a call recorded, read back and replayed.
//!
//! A tape is JSON Lines: a header, then everything that went into the state machine and everything that came out of it,
//! each with its time in microseconds on the call's clock. Keys are masked. `docs/tape.md` describes the format.
#![forbid(unsafe_code)]

mod pack;
mod reenact;
mod relay;
mod replay;
mod wire;

pub use pack::{packed, unpacked};
pub use reenact::{Outcome, as_taped, percentile, reenact};
pub use relay::{WireRelayInput, WireRelayOutput, write_relay_input, write_relay_output};
pub use replay::{Divergence, ReplayError, Replayed, accept, header, lines, replay};
pub use wire::{
    Header, Line, MaskedKey, Transport, VERSION, WireInput, WireOutput, write_header, write_input,
    write_output,
};
