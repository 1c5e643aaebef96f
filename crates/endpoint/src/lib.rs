//! From 20 ms frames to speech events: voice activity, talkspurts, DTMF and call-progress tones.
