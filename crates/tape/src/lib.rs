//! Tapes: a call recorded, read back and replayed.
