//! Whether sound can be all of a text.

use std::time::Duration;

use offhook_speakable::speakable;

/// No voice speaks faster than 80 letters a second, which is five times as fast as people do; of short texts nothing is
/// expected but some sound.
const FASTEST: Duration = Duration::from_micros(12_500);
const SENTENCE: u32 = 20;

/// Whether sound of this length can't be all of the text, although a voice says so: providers end broken answers in good order, too.
/// A chain asks the next voice then, and a cache must not keep it.
#[must_use]
pub fn stops_short(text: &str, language: &str, sound: Duration) -> bool {
    let count = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
    // Code, thoughts and the like aren't spoken, so that they make no sound.
    let spoken = speakable(text, language);
    let letters = u32::try_from(count(text).min(count(&spoken))).unwrap_or(u32::MAX);
    letters > 0 && sound.is_zero() || letters >= SENTENCE && sound < FASTEST * letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_is_not_all_of_a_sentence() {
        let text = "Blue Door restaurant, good day.";
        let short = |text: &str, ms| stops_short(text, "en-US", Duration::from_millis(ms));
        assert!(short(text, 0) && short(text, 60) && !short(text, 1_500));
        assert!(!short("Yes.", 60) && short("Yes.", 0));
        assert!(!short("…", 0), "nothing can be spoken");
    }
}
