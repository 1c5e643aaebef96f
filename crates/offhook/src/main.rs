//! The voice engine that answers the phone.
fn main() {}
