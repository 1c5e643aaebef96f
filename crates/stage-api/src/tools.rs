//! Names of the tools that the engine has of its own.

/// Ends the call once the reply was heard. No arguments, but for applications that say what is to come after: [`HANDOFF`].
pub const END_CALL: &str = "end_call";
/// Argument of [`END_CALL`]: text that what comes after the call gets as it is.
pub const HANDOFF: &str = "handoff";
/// Hands the caller to another number: argument `to`, a number or SIP address.
pub const TRANSFER: &str = "transfer_call";
/// Presses keys: argument `digits`.
pub const SEND_DTMF: &str = "send_dtmf";
/// Lets the caller key a number: arguments `min` and `max`, both counts of digits.
pub const COLLECT_DIGITS: &str = "collect_digits";
/// Changes the language: argument `language`, a BCP 47 tag.
pub const SWITCH_LANGUAGE: &str = "switch_language";
/// Reports what came of a call that had a goal: arguments `verdict`, `fields` and `evidence`.
pub const REPORT: &str = "report_outcome";

/// All of them: no agent may declare a tool of such a name.
pub const ALL: [&str; 6] = [END_CALL, TRANSFER, SEND_DTMF, COLLECT_DIGITS, REPORT, SWITCH_LANGUAGE];
