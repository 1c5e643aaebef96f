//! Lines of words, in the embedded voice.

use offhook_providers::embedded::{Flite, NativePool, Voice};
use offhook_simulator::{Say, Script};

use crate::wav::at_8_khz;

/// Gives the lines that are words a sound, if the embedded voice is there. Without it they can be said to servers of text.
pub(super) fn in_words(mut script: Script) -> Script {
    let words = script.lines().iter().enumerate().filter(|(_, line)| line.say == Say::Words);
    let words: Vec<(usize, String)> = words.map(|(index, line)| (index, line.text.clone())).collect();
    if words.is_empty() {
        return script;
    }
    match Flite::new(Voice::default(), NativePool::new("speak", 1, 16)) {
        Err(error) => tracing::debug!(%error, "there is no embedded voice"),
        Ok(voice) => {
            for (index, text) in words {
                match sound(&voice, &text) {
                    Ok(octets) => script.give_sound(index, octets),
                    Err(error) => tracing::debug!(%error, "this can't be spoken"),
                }
            }
        }
    }
    script
}

/// Words as sound: μ-law at 8 kHz.
pub(crate) fn sound(voice: &Flite, text: &str) -> anyhow::Result<Vec<u8>> {
    let spoken = voice.speak(text)?;
    let rate = offhook_audio::SampleRate::new(spoken.rate).ok_or_else(|| anyhow::anyhow!("no rate"))?;
    let samples = at_8_khz(spoken.samples, rate)?;
    let mut octets = vec![0; samples.len()];
    offhook_mulaw::encode_slice(&samples, &mut octets);
    Ok(octets)
}
