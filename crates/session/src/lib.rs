//! One call's socket, clock and stage tasks: the only loop.
