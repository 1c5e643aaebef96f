//! From an utterance's text to requests for its sound.

use std::sync::Arc;

use offhook_speakable::SentenceCutter;
use offhook_stage_api::{SpeakRequest, UtteranceId};

/// An utterance whose text is still being written.
#[derive(Debug)]
struct Writing {
    id: UtteranceId,
    cutter: SentenceCutter,
    /// It is one phrase of the engine's own, spoken as it is.
    phrase: bool,
    language: Option<Arc<str>>,
}

/// Cuts the text of utterances into pieces that can be spoken on their own.
#[derive(Debug)]
pub(crate) struct Voice {
    /// BCP 47 tag of the language in which the call began.
    language: String,
    writing: Vec<Writing>,
}

/// A piece to be spoken, but for its segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) last: bool,
    pub(crate) language: Option<Arc<str>>,
}

impl Piece {
    pub(crate) fn request(
        self,
        utterance: UtteranceId,
        segment: offhook_stage_api::SegmentId,
    ) -> SpeakRequest {
        SpeakRequest {
            utterance,
            segment,
            text: self.text,
            last: self.last,
            language: self.language,
            recording: None,
        }
    }
}

impl Voice {
    pub(crate) const fn new(language: String) -> Self {
        Self { language, writing: Vec::new() }
    }

    pub(crate) fn open(&mut self, id: UtteranceId, phrase: bool, language: Option<Arc<str>>) {
        let cutter = SentenceCutter::new(language.as_deref().unwrap_or(&self.language));
        self.writing.push(Writing { id, cutter, phrase, language });
    }

    /// More text: the next piece that can be spoken. Call it with no text until it gives none.
    pub(crate) fn append(&mut self, id: UtteranceId, text: &str) -> Option<Piece> {
        let writing = self.writing.iter_mut().find(|writing| writing.id == id)?;
        if writing.phrase {
            return (!text.is_empty()).then(|| Piece {
                text: text.trim().to_owned(),
                last: true,
                language: writing.language.clone(),
            });
        }
        writing.cutter.push(text);
        let text = writing.cutter.next_piece()?;
        Some(Piece { text, last: false, language: writing.language.clone() })
    }

    /// No more text comes: what is left of it, piece by piece. Call it until it gives none; then the utterance is forgotten.
    pub(crate) fn close(&mut self, id: UtteranceId) -> Option<Piece> {
        let place = self.writing.iter().position(|writing| writing.id == id)?;
        let writing = self.writing.get_mut(place)?;
        let Some(text) = writing.cutter.rest() else {
            self.forget(id);
            return None;
        };
        Some(Piece { text, last: writing.cutter.is_empty(), language: writing.language.clone() })
    }

    /// Forgets an utterance.
    pub(crate) fn forget(&mut self, id: UtteranceId) {
        self.writing.retain(|writing| writing.id != id);
        if self.writing.is_empty() {
            self.writing = Vec::new(); // most of a call nothing is written
        }
    }
}
