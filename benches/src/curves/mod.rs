//! What is drawn in `docs/`: measured by programs, held by tests.

pub mod codec;
pub mod filters;
pub mod resample;
