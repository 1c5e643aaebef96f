//! The values of `<ConversationRelay>`, and whether they belong together.

use crate::causes;
use crate::finding::{Check, Report};
use crate::tree::Element;

/// Values that don't belong together: Twilio refuses the session with 64101.
pub(super) fn judge_relay(elements: &[Element], at: usize, relay: &Element, report: &mut Report) {
    let languages =
        elements.iter().filter(|element| element.parent == Some(at) && element.name == "Language");
    for element in std::iter::once(relay).chain(languages) {
        let get =
            |name: &str| element.get(name).or_else(|| relay.get(name)).filter(|value| !value.is_empty());
        let mut say = |what: String| {
            report.add(Check::Document, &causes::RELAY_MISMATCH, format!("line {}: {what}", element.line));
        };
        if let (Some(provider), Some(voice)) = (get("ttsProvider").or(Some("ElevenLabs")), get("voice"))
            && let Some(whose) = whose_voice(voice)
            && whose != provider
            && element.get("voice").or(element.get("ttsProvider")).is_some()
        {
            let named = if get("ttsProvider").is_some() { "" } else { " (the default)" };
            say(format!("voice=\"{voice}\" is one of {whose}, and ttsProvider is {provider}{named}"));
        }
        if let (Some(provider), Some(model)) = (get("transcriptionProvider"), get("speechModel")) {
            let deepgram = ["nova", "flux", "enhanced", "base"].iter().any(|name| model.starts_with(name));
            let google =
                ["telephony", "long", "short", "chirp", "latest_"].iter().any(|name| model.starts_with(name));
            if (provider == "Google" && deepgram) || (provider == "Deepgram" && google) {
                say(format!("speechModel=\"{model}\" is none of {provider}'s"));
            }
        }
    }
    let multi = ["language", "transcriptionLanguage"].iter().any(|name| relay.get(name) == Some("multi"));
    if multi && relay.get("transcriptionProvider") == Some("Google") {
        let what =
            format!("line {}: the language `multi` needs transcriptionProvider=\"Deepgram\"", relay.line);
        report.add(Check::Document, &causes::RELAY_MISMATCH, what);
    }
}

/// Whose voice it is, as far as its name tells for certain.
fn whose_voice(name: &str) -> Option<&'static str> {
    let google = [
        "-Journey-",
        "-Wavenet-",
        "-Neural2-",
        "-Standard-",
        "-Studio-",
        "-Chirp",
        "-News-",
        "-Polyglot-",
        "-Casual-",
    ];
    // Amazon's are a name and an engine, ElevenLabs' ids have 20 letters and digits, and perhaps settings behind a dash.
    let amazon = ["-Neural", "-Generative", "-Long-Form"];
    let id = name.split('-').next().unwrap_or("");
    if google.iter().any(|part| name.contains(part)) {
        Some("Google")
    } else if amazon.iter().any(|engine| name.ends_with(engine)) {
        Some("Amazon")
    } else if id.len() == 20 && id.bytes().all(|letter| letter.is_ascii_alphanumeric()) {
        Some("ElevenLabs")
    } else {
        None
    }
}
