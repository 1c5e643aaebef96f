//! Whole calls at any latency: a scene is played against a call under virtual time, and books are kept of what it does.
//!
//! The books know inputs and outputs alone; what must hold is worked out from those.

mod books;
mod media;
mod play;
mod relay;
mod scene;
mod shrink;
mod stages;

pub use books::Books;
pub use media::{Media, Word};
pub use play::{Later, Outcome, Side, Way, World, configure, play};
pub use relay::Relay;
pub use scene::{Does, Ear, End, Scene, Setup, Step, Take, Work};
pub use shrink::shrink;
