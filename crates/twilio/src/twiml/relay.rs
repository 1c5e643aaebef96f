//! `<ConversationRelay>` ("TwiML Voice: `<ConversationRelay>`", twilio.com/docs/voice/twiml/connect/conversationrelay).

use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, Event};
use serde::Deserialize;

use super::build::{Parameter, TwimlError, write_parameters};
use super::relay_language::RelayLanguage;
use super::values::{Interrupts, Sensitivity, TranscriptionProvider, TtsProvider};

/// `<ConversationRelay>`: Twilio hears and speaks; text goes over a WebSocket.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationRelay {
    url: String,
    options: RelayOptions,
    parameters: Vec<Parameter>,
}

/// How Twilio hears and speaks. What is unset is left to Twilio, whose defaults depend on the account's age: providers are best set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayOptions {
    /// What Twilio says first, by itself, in each session anew: also in one that goes on after a lost socket.
    pub welcome_greeting: Option<String>,
    /// What may interrupt that. Twilio's default: `any`.
    pub welcome_greeting_interruptible: Option<Interrupts>,
    /// Of both directions, BCP 47. Twilio's default: `en-US`.
    pub language: Option<String>,
    /// Of the agent's voice; else `language`. `multi` with ElevenLabs.
    pub tts_language: Option<String>,
    /// Of the caller; else `language`. `multi` with Deepgram's nova models.
    pub transcription_language: Option<String>,
    /// Whose voice. Twilio's default: ElevenLabs, which an account must have enabled.
    pub tts_provider: Option<TtsProvider>,
    /// Which voice, by its provider's name.
    pub voice: Option<String>,
    /// Whose recogniser. Twilio's default depends on the account's age.
    pub transcription_provider: Option<TranscriptionProvider>,
    /// Which model of it, e.g. `nova-3-general`, `flux`, `telephony`.
    pub speech_model: Option<String>,
    /// Deepgram writes numbers, dates and the like as people do. Twilio's default: true.
    pub deepgram_smart_format: Option<bool>,
    /// What interrupts the agent. Twilio's default: `any`.
    pub interruptible: Option<Interrupts>,
    /// How readily. Twilio's default: `high`.
    pub interrupt_sensitivity: Option<Sensitivity>,
    /// Tell of keys. Twilio's default: false.
    pub dtmf_detection: Option<bool>,
    /// What the server is told while the agent speaks; cuts nothing. Twilio's default: `none`.
    pub report_input_during_agent_speech: Option<Interrupts>,
    /// Later text cuts off what is being said. Twilio's default: false.
    pub preemptible: Option<bool>,
    /// Words and names that callers are likely to say.
    pub hints: Vec<String>,
    /// Subscriptions to `info` messages: `debugging`, `speaker-events`, `tokens-played`.
    pub debug: Vec<String>,
    /// The same at its newer place: `speaker-events`, `tokens-played`, `config-updated`.
    pub events: Vec<String>,
    /// ElevenLabs writes numbers out before it speaks them: `on`, `auto`, `off`. Twilio's default: `off`.
    pub elevenlabs_text_normalization: Option<String>,
    /// Keeps transcripts in this Conversational Intelligence service.
    pub intelligence_service: Option<String>,
    /// Tell of what the caller says while it is said. Twilio's default: false.
    pub partial_prompts: Option<bool>,
    /// Silence that ends the caller's turn, 600 ms to 5 s. Twilio's default: it decides itself.
    #[serde(with = "milliseconds")]
    pub speech_timeout: Option<Duration>,
    /// How sure Deepgram's `flux` must be that the caller is done, 0.5 to 0.9. Twilio's default: 0.8.
    pub eot_threshold: Option<f32>,
    /// "Mm-hm" neither interrupts nor is told. Twilio's default: false.
    pub ignore_backchannel: Option<bool>,
    /// A filter before the recogniser, by its name.
    pub background_noise_reduction: Option<String>,
    /// Hide swear words.
    pub profanity_filter: Option<bool>,
    /// What the caller was saying when they hung up is told as a prompt, too. Twilio's default: false.
    pub partial_prompt_on_hangup: Option<bool>,
    /// How sure Deepgram's `flux` must be that the caller will soon be done, 0.3 to 0.9.
    pub eager_eot_threshold: Option<f32>,
    /// The recogniser writes numbers, dates and the like as people do; comes before `deepgram_smart_format`.
    pub asr_smart_format: Option<bool>,
    /// Numbers are written out before they are spoken: `on`, `auto`, `off`; comes before `elevenlabs_text_normalization`.
    pub tts_text_normalization: Option<String>,
    /// The same by the rules of the language.
    pub tts_language_text_normalization: Option<bool>,
    /// What `tts_language_text_normalization` was called before.
    pub elevenlabs_language_text_normalization: Option<bool>,
    /// More that prompts tell: `turn-state`, `prompt-segments`.
    pub include_in_prompt: Vec<String>,
    /// The caller's name for Conversations and Conversational Intelligence. Twilio's default: the caller's number.
    pub customer_name: Option<String>,
    /// Twilio connects anew by itself when the WebSocket is lost. Twilio's default: false.
    pub application_reconnect: Option<bool>,
    /// What the line returns of the agent's own voice is not told as a prompt. Twilio's default: false.
    pub echo_prompt_filtering: Option<bool>,
    /// A model decides when the caller is done. Twilio's default: false.
    pub turn_detection: Option<bool>,
    /// Conversation Orchestrator's configuration.
    pub conversation_configuration: Option<String>,
    /// Conversation Orchestrator's conversation.
    pub conversation_id: Option<String>,
    /// The message that tells of other words to listen for during the call, as Twilio documents it (the layout isn't public), with `{hints}`
    /// in the place of the words. Unset: what the agent expects isn't told.
    pub live_hints: Option<String>,
    /// Languages that a `language` message may switch to.
    #[serde(rename = "languages")]
    pub languages: Vec<RelayLanguage>,
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    /// Whole milliseconds, as Twilio has them.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

impl ConversationRelay {
    /// A session at an absolute `wss://` URL.
    ///
    /// # Errors
    /// For any other URL, and for options that Twilio refuses.
    pub fn new(url: &str, options: RelayOptions) -> Result<Self, TwimlError> {
        if !url.starts_with("wss://") || url.len() == 6 || url.contains('#') {
            return Err(TwimlError::NotWss { url: url.chars().take(120).collect() });
        }
        options.check()?;
        Ok(Self { url: url.to_owned(), options, parameters: Vec::new() })
    }

    /// Adds call context.
    #[must_use]
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    pub(super) fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let mut start = BytesStart::new("ConversationRelay");
        start.push_attribute(("url", self.url.as_str()));
        for (name, value) in self.options.attributes() {
            start.push_attribute((name, value.as_str()));
        }
        writer.write_event(Event::Start(start))?;
        for language in &self.options.languages {
            let mut element = BytesStart::new("Language");
            for (name, value) in language.attributes() {
                element.push_attribute((name, value.as_str()));
            }
            writer.write_event(Event::Empty(element))?;
        }
        write_parameters(writer, &self.parameters)?;
        writer.write_event(Event::End(BytesEnd::new("ConversationRelay")))
    }
}

impl RelayOptions {
    /// Whether Twilio takes these.
    ///
    /// # Errors
    /// Names the first that it doesn't.
    pub fn check(&self) -> Result<(), TwimlError> {
        let wrong =
            |attribute, value: String, allowed| Err(TwimlError::Attribute { attribute, value, allowed });
        if let Some(timeout) = self.speech_timeout
            && !(600..=5_000).contains(&timeout.as_millis())
        {
            return wrong("speechTimeout", format!("{} ms", timeout.as_millis()), "600 to 5000 ms");
        }
        if let Some(threshold) = self.eot_threshold
            && !(0.5..=0.9).contains(&threshold)
        {
            return wrong("eotThreshold", threshold.to_string(), "0.5 to 0.9");
        }
        if let Some(threshold) = self.eager_eot_threshold
            && !(0.3..=0.9).contains(&threshold)
        {
            return wrong("eagerEotThreshold", threshold.to_string(), "0.3 to 0.9");
        }
        if let Some(message) = &self.live_hints {
            let parsed: Option<serde_json::Value> = serde_json::from_str(message).ok();
            let typed = parsed.is_some_and(|message| message["type"].is_string());
            if !typed || !message.contains("{hints}") {
                return wrong("live_hints", message.clone(), "a JSON object with a `type` and {hints}");
            }
        }
        let normalizations = [
            ("elevenlabsTextNormalization", &self.elevenlabs_text_normalization),
            ("ttsTextNormalization", &self.tts_text_normalization),
        ];
        let of_languages =
            self.languages.iter().map(|of| ("ttsTextNormalization", &of.tts_text_normalization));
        for (attribute, value) in normalizations.into_iter().chain(of_languages) {
            if let Some(value) =
                value.as_ref().filter(|value| !matches!(value.as_str(), "on" | "auto" | "off"))
            {
                return wrong(attribute, value.clone(), "on, auto or off");
            }
        }
        Ok(())
    }

    /// [`live_hints`](Self::live_hints), with the words that are always listened for before those that are told during the call.
    #[must_use]
    pub fn hints_message(&self) -> Option<String> {
        let known = self.hints.iter().map(|word| serde_json::Value::from(word.as_str()).to_string());
        let inside = |word: String| word.get(1..word.len().saturating_sub(1)).unwrap_or_default().to_owned();
        let known: String = known.map(|word| inside(word) + ",").collect();
        self.live_hints.as_ref().map(|message| message.replace("{hints}", &format!("{known}{{hints}}")))
    }

    fn attributes(&self) -> impl Iterator<Item = (&'static str, String)> + use<> {
        let text = |value: &Option<String>| value.clone();
        let flag = |value: Option<bool>| value.map(|value| value.to_string());
        let list = |values: &[String], by: &str| (!values.is_empty()).then(|| values.join(by));
        let interrupts = |value: Option<Interrupts>| value.map(|value| value.as_str().to_owned());
        [
            ("welcomeGreeting", text(&self.welcome_greeting)),
            ("welcomeGreetingInterruptible", interrupts(self.welcome_greeting_interruptible)),
            ("language", text(&self.language)),
            ("ttsLanguage", text(&self.tts_language)),
            ("transcriptionLanguage", text(&self.transcription_language)),
            ("ttsProvider", self.tts_provider.map(|value| value.as_str().to_owned())),
            ("voice", text(&self.voice)),
            ("transcriptionProvider", self.transcription_provider.map(|value| value.as_str().to_owned())),
            ("speechModel", text(&self.speech_model)),
            ("deepgramSmartFormat", flag(self.deepgram_smart_format)),
            ("interruptible", interrupts(self.interruptible)),
            ("interruptSensitivity", self.interrupt_sensitivity.map(|value| value.as_str().to_owned())),
            ("dtmfDetection", flag(self.dtmf_detection)),
            ("reportInputDuringAgentSpeech", interrupts(self.report_input_during_agent_speech)),
            ("preemptible", flag(self.preemptible)),
            ("hints", list(&self.hints, ",")),
            ("debug", list(&self.debug, " ")),
            ("events", list(&self.events, " ")),
            ("elevenlabsTextNormalization", text(&self.elevenlabs_text_normalization)),
            ("intelligenceService", text(&self.intelligence_service)),
            ("partialPrompts", flag(self.partial_prompts)),
            ("speechTimeout", self.speech_timeout.map(|timeout| timeout.as_millis().to_string())),
            ("eotThreshold", self.eot_threshold.map(|threshold| threshold.to_string())),
            ("ignoreBackchannel", flag(self.ignore_backchannel)),
            ("backgroundNoiseReduction", text(&self.background_noise_reduction)),
            ("profanityFilter", flag(self.profanity_filter)),
            ("partialPromptOnHangup", flag(self.partial_prompt_on_hangup)),
            ("eagerEotThreshold", self.eager_eot_threshold.map(|threshold| threshold.to_string())),
            ("asrSmartFormat", flag(self.asr_smart_format)),
            ("ttsTextNormalization", text(&self.tts_text_normalization)),
            ("ttsLanguageTextNormalization", flag(self.tts_language_text_normalization)),
            ("elevenlabsLanguageTextNormalization", flag(self.elevenlabs_language_text_normalization)),
            ("includeInPrompt", list(&self.include_in_prompt, " ")),
            ("customerName", text(&self.customer_name)),
            ("applicationReconnect", flag(self.application_reconnect)),
            ("echoPromptFiltering", flag(self.echo_prompt_filtering)),
            ("turnDetection", flag(self.turn_detection)),
            ("conversationConfiguration", text(&self.conversation_configuration)),
            ("conversationId", text(&self.conversation_id)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Connect, Noun, Response, Verb, check};
    use super::*;

    fn everything() -> RelayOptions {
        let text = |text: &str| Some(text.to_owned());
        RelayOptions {
            welcome_greeting: text("Hello & welcome"),
            welcome_greeting_interruptible: Some(Interrupts::Speech),
            language: text("en-US"),
            tts_language: text("en-GB"),
            transcription_language: text("multi"),
            tts_provider: Some(TtsProvider::ElevenLabs),
            voice: text("UgBBYS2sOqTuMpoF3BR0"),
            transcription_provider: Some(TranscriptionProvider::Deepgram),
            speech_model: text("nova-3-general"),
            deepgram_smart_format: Some(true),
            interruptible: Some(Interrupts::Any),
            interrupt_sensitivity: Some(Sensitivity::High),
            dtmf_detection: Some(true),
            report_input_during_agent_speech: Some(Interrupts::None),
            preemptible: Some(false),
            hints: vec!["Offhook".into(), "μ-law".into()],
            debug: vec!["debugging".into()],
            events: vec!["speaker-events".into(), "tokens-played".into()],
            elevenlabs_text_normalization: text("off"),
            intelligence_service: text("GA1"),
            partial_prompts: Some(true),
            speech_timeout: Some(Duration::from_millis(900)),
            eot_threshold: Some(0.75),
            ignore_backchannel: Some(true),
            background_noise_reduction: text("on"),
            profanity_filter: Some(false),
            partial_prompt_on_hangup: Some(true),
            eager_eot_threshold: Some(0.5),
            asr_smart_format: Some(true),
            tts_text_normalization: text("auto"),
            tts_language_text_normalization: Some(true),
            elevenlabs_language_text_normalization: Some(false),
            include_in_prompt: vec!["turn-state".into()],
            customer_name: text("Ada"),
            application_reconnect: Some(false),
            echo_prompt_filtering: Some(true),
            turn_detection: Some(false),
            conversation_configuration: text("c"),
            conversation_id: text("i"),
            live_hints: None,
            languages: vec![RelayLanguage {
                code: "sv-SE".into(),
                tts_provider: Some(TtsProvider::Amazon),
                voice: text("Elin-Neural"),
                transcription_provider: Some(TranscriptionProvider::Google),
                speech_model: text("long"),
                hints: vec!["Offhook".into(), "smörgås".into()],
                asr_smart_format: Some(false),
                tts_text_normalization: text("on"),
                tts_language_text_normalization: Some(true),
            }],
        }
    }

    fn document(options: RelayOptions) -> String {
        let relay = ConversationRelay::new("wss://voice.example.com/conversation-relay", options)
            .unwrap()
            .parameter(Parameter::new("token", "\"x\"").unwrap());
        let connect = Connect {
            action: Some("https://voice.example.com/after".into()),
            noun: Noun::ConversationRelay(Box::new(relay)),
        };
        Response::default().then(Verb::Connect(connect)).then(Verb::Hangup).to_xml()
    }

    #[test]
    fn every_attribute_is_written_as_twilio_spells_it() {
        let document = document(everything());
        insta::assert_snapshot!(document.replace("\" ", "\"\n    ").replace("><", ">\n<"));
        let report = check(200, Some("text/xml"), document.as_bytes());
        assert_eq!(report.findings, []);
        // All that the schema knows, and nothing else.
        let known =
            super::super::schema::SCHEMA.iter().find(|(name, ..)| *name == "ConversationRelay").unwrap().1;
        assert_eq!(report.relay.unwrap().attributes.len(), known.len());
    }

    #[test]
    fn the_message_of_hints_is_one() {
        let with = |message: &str| RelayOptions {
            live_hints: Some(message.to_owned()),
            hints: vec!["Offhook".into(), "a \"b\"".into()],
            ..RelayOptions::default()
        };
        let options = with(r#"{"type":"hints","hints":"{hints}"}"#);
        assert!(options.check().is_ok());
        let message = options.hints_message().unwrap();
        assert_eq!(message, r#"{"type":"hints","hints":"Offhook,a \"b\",{hints}"}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&message).is_ok());
        for wrong in ["{hints}", r#"{"hints":"{hints}"}"#, r#"{"type":"hints"}"#] {
            assert!(with(wrong).check().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_unset_is_left_to_twilio() {
        let document = document(RelayOptions::default());
        assert!(
            document.contains(
                r#"<ConversationRelay url="wss://voice.example.com/conversation-relay"><Parameter"#
            ),
            "{document}"
        );
    }

    #[test]
    fn what_would_fail_at_twilio_can_not_be_built() {
        let new = |url, options| ConversationRelay::new(url, options).unwrap_err().to_string();
        insta::assert_snapshot!(new("https://h/x", RelayOptions::default()), @"a stream's URL must begin with wss://, not `https://h/x` (Twilio's error 31922)");
        let options =
            RelayOptions { speech_timeout: Some(Duration::from_millis(100)), ..RelayOptions::default() };
        insta::assert_snapshot!(new("wss://h/x", options), @"`speechTimeout` of ConversationRelay can't be 100 ms: 600 to 5000 ms (Twilio's error 64101)");
        let options = RelayOptions { eot_threshold: Some(0.2), ..RelayOptions::default() };
        insta::assert_snapshot!(new("wss://h/x", options), @"`eotThreshold` of ConversationRelay can't be 0.2: 0.5 to 0.9 (Twilio's error 64101)");
    }
}
