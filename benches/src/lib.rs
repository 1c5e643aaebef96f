//! What the benches share: stages that are probes, other people's resamplers, and how a conversion is measured.
//!
//! The benches themselves live in `benches/`.

pub mod curves;
pub mod diagram;
pub mod peers;
pub mod probes;
