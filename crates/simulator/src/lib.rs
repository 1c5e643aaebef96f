//! Twilio's side of a call, simulated: fetches TwiML, streams audio, plays out, returns marks, measures.
