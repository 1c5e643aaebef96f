//! Cleans a text while it arrives.

use crate::language::Language;
use crate::scan::Scan;
use crate::text::Speakable;

/// What of a stream can be said now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// What to say, and what it stands for in `written`.
    pub text: Speakable,
    /// The part of the stream that it stands for. All pieces' parts are the stream.
    pub written: String,
}

impl Piece {
    /// Adds the stream's next piece.
    pub fn append(&mut self, next: &Self) {
        self.text.append(&next.text, self.written.len());
        self.written.push_str(&next.written);
    }
}

/// Makes a stream of text speakable, token by token: for a carrier that speaks itself, as ConversationRelay does.
///
/// What is given out together is what [`speakable`](crate::speakable) makes of the whole, however the stream is cut. Only
/// what may still change is held back: a word until it ends, a number until it is known what it counts. A thought that turns
/// out to be one only by its end (`…</think>`) is taken back as far as it wasn't given out; for models that always begin
/// with one there is [`Cleaner::after_thought`].
#[derive(Debug)]
pub struct Cleaner {
    scan: Scan,
    /// Written text that wasn't given out.
    written: String,
    /// Where it begins.
    from: usize,
}

impl Cleaner {
    /// Cleans a stream in the language of this BCP 47 tag.
    #[must_use]
    pub fn new(language: &str) -> Self {
        Self { scan: Scan::new(Language::new(language)), written: String::new(), from: 0 }
    }

    /// Cleans the stream of a model that begins with a thought without saying so: nothing is given out before `</think>`.
    #[must_use]
    pub fn after_thought(language: &str) -> Self {
        let mut cleaner = Self::new(language);
        cleaner.scan.hide("</think>");
        cleaner
    }

    /// Takes more of the stream, and gives what of it can be said.
    pub fn push(&mut self, text: &str) -> Piece {
        self.written.push_str(text);
        self.scan.push(text);
        self.give()
    }

    /// Gives what was held back, because the stream has come to a stop; it may yet go on.
    pub fn flush(&mut self) -> Piece {
        self.scan.flush();
        self.give()
    }

    /// Gives what was held back. The next text begins a stream of its own, in the same language.
    pub fn finish(&mut self) -> Piece {
        self.scan.finish();
        let piece = self.give();
        self.scan = self.scan.again();
        self.from = 0;
        piece
    }

    /// Written text that is held back.
    #[must_use]
    pub fn held(&self) -> &str {
        &self.written
    }

    /// Whether anything was given out that a voice says.
    #[must_use]
    pub const fn spoke(&self) -> bool {
        self.scan.spoke()
    }

    fn give(&mut self) -> Piece {
        let (text, to) = self.scan.take(self.from);
        let length = to.saturating_sub(self.from);
        let rest = self.written.split_off(length.min(self.written.len()));
        let written = std::mem::replace(&mut self.written, rest);
        self.from = to;
        self.scan.forget();
        Piece { text, written }
    }
}
