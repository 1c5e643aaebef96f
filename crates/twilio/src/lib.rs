//! What Twilio says and wants: Media Streams messages, TwiML, signatures, error codes. Types and pure functions.
