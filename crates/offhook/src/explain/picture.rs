//! The story as a picture: who spoke when, what was heard, and how long each wait was.

use std::path::Path;

use super::sound::Sound;
use super::story::Story;
use super::words;
use crate::timeline::{Lane, Timeline};

/// Draws it and writes it as PNG.
pub(super) fn draw(path: &Path, title: &str, story: &Story, sound: &Sound) -> anyhow::Result<()> {
    let mut picture = Timeline::new(title, story.length_ms);
    let speech: Vec<(u64, u64, &str)> = story
        .chapters
        .iter()
        .flat_map(|chapter| {
            let text = chapter.turn.as_ref().map_or("", |turn| turn.text.as_str());
            chapter
                .speech
                .iter()
                .enumerate()
                .map(move |(index, (from, until))| (*from, *until, if index == 0 { text } else { "" }))
        })
        .collect();
    for (index, (from, until, text)) in speech.iter().enumerate() {
        // A turn's words may reach over its own pauses.
        let later = speech.iter().skip(index + 1).find(|(_, _, text)| !text.is_empty());
        let next = later.map_or(story.length_ms, |(from, ..)| *from);
        picture.span(Lane::Caller, (*from, *until, next), text);
    }
    let said: Vec<_> = story.chapters.iter().flat_map(|chapter| &chapter.said).collect();
    for (index, one) in said.iter().enumerate() {
        let next = said.get(index + 1).map_or(story.length_ms, |next| next.from_ms);
        picture.span(Lane::Agent, (one.from_ms, one.until_ms, next), &one.heard);
    }
    picture.wave(Lane::Caller, &sound.caller);
    picture.wave(Lane::Agent, &sound.agent);
    for (index, chapter) in story.chapters.iter().enumerate() {
        let later = story.chapters.iter().skip(index + 1).find_map(|chapter| chapter.turn.as_ref());
        let next = later.map_or(u64::MAX, |turn| turn.speech_end_ms);
        if let Some(turn) = &chapter.turn {
            let answered = chapter.reply.map(|reply| turn.speech_end_ms + reply.first_frame_ms);
            let until = answered.unwrap_or(turn.decided_ms);
            let waited = until.saturating_sub(turn.speech_end_ms);
            let why = words::evidence(turn.evidence);
            picture.bracket((turn.speech_end_ms, until, next), &format!("{waited} ms: {why}"));
        }
        if let Some(at) = chapter.barge_in_ms {
            picture.barge_in(at);
        }
    }
    picture.save(path)
}
