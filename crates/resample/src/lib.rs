//! Streaming, frame-synchronous sample rate conversion for telephone audio with small known delay.
