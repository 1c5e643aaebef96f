//! Tapes: a call recorded, read back and replayed.
//!
//! A tape is JSON Lines: a header, then everything that went into the state machine and everything that came out of it,
//! each with its time in microseconds on the call's clock. Keys are masked. `docs/tape.md` describes the format.
//!
//! - `wire`: the lines; `input`, `output` and `tts` what stands in them, `mask` what must not
//! - `line`, `convert`: what is on tape of each kind of call
//! - `read`: from text to lines; `pack`, `sound`: packed tapes
//! - `replay`: the same inputs again, and whether the outputs are the same
//! - `reenact`: the same caller again, under other settings
#![forbid(unsafe_code)]

mod convert;
mod input;
mod line;
mod mask;
mod output;
mod pack;
mod read;
mod reenact;
mod replay;
mod sound;
mod tts;
mod wire;

pub use input::{MaskedKey, WireInput, WireRelayInput};
pub use line::{SoundOut, TapedLine};
pub use output::{WireLlm, WireOutput, WireRelayOutput, WireStt, WireVoice};
pub use pack::{Packer, packed, unpacked};
pub use read::{ReplayError, header, lines};
pub use reenact::{Outcome, as_taped, percentile, reenact};
pub use replay::{Divergence, Replayed, Replayer, accept, replay};
pub use tts::WireTts;
pub use wire::{
    CORE, Header, Line, Transport, VERSION, note_input, note_output, text, write_header, write_input,
    write_output,
};
