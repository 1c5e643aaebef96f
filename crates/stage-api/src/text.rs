//! How text is cut for speaking.

/// A first piece may end at a comma if it has at least so many characters, as long as the sentence isn't whole yet: some 0.8 s
/// of speech, in which the rest is written and spoken.
pub const SHORTEST_CLAUSE: usize = 12;
