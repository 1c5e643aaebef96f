//! Who answers: an agent's file, and the stages that it needs.
//!
//! - `file`: what the file of an agent with a language model may say
//! - `build`: from that to chains of providers
//! - `languages`: what it says of them
//! - `abilities`, `tools`: what the model may do besides talking
//! - `webhook`: applications that answer calls by TwiML
//! - `last_words`, `still`: stages for when there is nobody to think, and for agents that need less than others

mod abilities;
mod build;
#[cfg(test)]
mod faults;
mod file;
mod languages;
mod last_words;
mod still;
mod tools;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use offhook_cache::CachedTts;
use offhook_chain::Health;
use offhook_conversation::LanguagePhrases;
use offhook_conversation::config::ToolBehaviour;
use offhook_media_line::{CallConfig, CallMode};
use offhook_providers::embedded::{Flite, NativePool, PocketSphinx, SphinxOptions, Voice};
use offhook_script::{AgentMode, Recogniser, SHIPPED, Script, ScriptedAgent, Transport, shipped};
use offhook_session::StageSet;
use offhook_stage_api::Interruptible;
use offhook_stages::{Stt, Tts};

pub(crate) use file::LAST_WORDS;
use still::{Idle, Wordless};
pub(crate) use tools::{Action, ToolAnswer, ToolFailure, ToolSet, tools_changed};
pub(crate) use webhook::{FAILED, Webhook};

/// One of an agent's providers, and how it fares over all calls.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    /// `hears`, `thinks` or `speaks`.
    pub(crate) does: &'static str,
    pub(crate) name: String,
    pub(crate) health: Arc<Health>,
}

/// An agent, ready to answer.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) mode: CallMode,
    pub(crate) transport: Transport,
    pub(crate) stages: StageSet,
    /// Its first words, if it doesn't think of them itself.
    pub(crate) greeting: Option<String>,
    /// Its words come from an application that follows the call.
    pub(crate) follows: Option<Follows>,
    /// An application that is asked for each call what serves it.
    pub(crate) webhook: Option<Arc<Webhook>>,
    /// How its tools behave.
    pub(crate) tool_behaviour: BTreeMap<String, ToolBehaviour>,
    /// The languages that its calls may be switched to.
    pub(crate) languages: BTreeMap<String, LanguagePhrases>,
    /// What each of its calls is to achieve, in words, if it has no goal of its own.
    pub(crate) goal: Option<Arc<str>>,
    /// What its tools do.
    pub(crate) tools: Option<Arc<ToolSet>>,
    /// Who hears, thinks and speaks for it, in the order in which they are tried, if several can.
    pub(crate) providers: Vec<Provider>,
    /// How it speaks in other voices that routes name.
    pub(crate) voices: BTreeMap<String, Arc<dyn Tts>>,
    /// Whom it may hand callers to: names and numbers.
    pub(crate) transfer: BTreeMap<String, String>,
    /// Who gets its callers when the conversation can't go on.
    pub(crate) last_transfer: Option<String>,
}

/// What an application in the model's place wants of the conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Follows {
    /// What may interrupt its answers.
    pub(crate) interruptible: Interruptible,
    /// It takes prompts before the end of the turn is certain.
    pub(crate) speculates: bool,
    /// It is told what was heard while it is said.
    pub(crate) words: bool,
    /// What may interrupt the greeting, if it isn't as configured.
    pub(crate) greeting: Option<Interruptible>,
    /// How long the caller may be silent before a check-in, if it isn't as configured.
    pub(crate) caller_silent: Option<Duration>,
    /// Silence that ends a turn, if it isn't as configured.
    pub(crate) speech_timeout: Option<Duration>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("name", &self.name)
            .field("stages", &self.stages)
            .finish_non_exhaustive()
    }
}

/// Loads the agent of this name, or from this file. `transport` comes before the file's.
pub(crate) fn load(name: &str, transport: Option<Transport>) -> anyhow::Result<Agent> {
    parse(name, &text_of(name)?, transport)
}

/// How the agent of this name speaks in other voices than its own, by their names.
pub(crate) fn in_voices(
    name: &str,
    transport: Option<Transport>,
    voices: &BTreeSet<&str>,
) -> anyhow::Result<BTreeMap<String, Arc<dyn Tts>>> {
    let of = |voice: &&str| {
        let text = with_voice(&text_of(name)?, voice)?;
        let agent = parse(name, &text, transport).with_context(|| format!("in the voice `{voice}`"))?;
        Ok(((*voice).to_owned(), agent.stages.tts))
    };
    voices.iter().map(of).collect()
}

/// An agent's file with another voice: that of its first `[[tts]]`, or the embedded one.
fn with_voice(text: &str, voice: &str) -> anyhow::Result<String> {
    let mut file: toml::Table = text.parse()?;
    // The voice alone is wanted.
    file.remove("mcp");
    let first = file.get_mut("tts").and_then(toml::Value::as_array_mut).and_then(|tts| tts.first_mut());
    let first = first.and_then(toml::Value::as_table_mut);
    let first = first.filter(|tts| tts.get("provider").and_then(toml::Value::as_str) != Some("embedded"));
    let table = match first {
        Some(tts) => Some(tts),
        None => file.get_mut("agent").and_then(toml::Value::as_table_mut),
    };
    table.context("it has no [agent]")?.insert("voice".to_owned(), voice.into());
    Ok(toml::to_string(&file)?)
}

/// The agent of this text; paths in it are relative to the file of this name.
pub(crate) fn parse(name: &str, text: &str, transport: Option<Transport>) -> anyhow::Result<Agent> {
    if file::is_of_a_model(text) {
        let file =
            file::AgentFile::parse(text).with_context(|| format!("the agent `{name}` is not valid"))?;
        let folder = Path::new(name).parent().unwrap_or_else(|| Path::new("."));
        return build::build(&file, folder, transport)
            .with_context(|| format!("the agent `{name}` can't be served"));
    }
    scripted(name, text, transport)
}

/// The file of the agent of this name.
fn text_of(name: &str) -> anyhow::Result<String> {
    Ok(match shipped(name) {
        Some(file) => file.to_owned(),
        None if name.ends_with(".toml") || name.contains('/') => {
            crate::input::text(std::path::Path::new(name))
                .with_context(|| format!("can't read the agent's file {name}"))?
        }
        None => {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            anyhow::bail!(
                "there is no agent `{name}`: name one of {}, or a file that ends with .toml",
                names.join(", ")
            );
        }
    })
}

fn scripted(name: &str, text: &str, transport: Option<Transport>) -> anyhow::Result<Agent> {
    let script = Script::from_toml(text).with_context(|| format!("the agent `{name}` is not valid"))?;
    let agent = &script.agent;
    let (name, language) = (agent.name.clone(), agent.language.clone());
    let transport = transport.unwrap_or(agent.transport);
    if agent.mode == AgentMode::Echo {
        anyhow::ensure!(
            transport == Transport::MediaStreams,
            "the agent `{name}` sends the caller's voice back, and ConversationRelay has no voice"
        );
        let stages = StageSet { stt: Arc::new(Idle), turn: None, llm: Arc::new(Idle), tts: Arc::new(Idle) };
        return Ok(Agent::plain(name, language, (CallMode::Echo, transport), stages));
    }
    if transport == Transport::ConversationRelay {
        // Twilio hears and speaks.
        let llm = Arc::new(ScriptedAgent::new(Arc::new(script)));
        let stages = StageSet { stt: Arc::new(Idle), turn: None, llm, tts: Arc::new(Idle) };
        return Ok(Agent::plain(name, language, (CallMode::Dialog, transport), stages));
    }
    let voice = voice(agent.voice.as_deref())?;
    let pool = NativePool::for_this_machine("native");
    // Speaking must not wait behind recognising.
    let speakers = NativePool::new("speak", 1, 256);
    let stt: Arc<dyn Stt> = match agent.recogniser {
        Recogniser::Pocketsphinx => Arc::new(PocketSphinx::new(SphinxOptions::default(), pool)?),
        Recogniser::None => Arc::new(Wordless),
    };
    let stages = StageSet {
        turn: None,
        stt,
        llm: Arc::new(ScriptedAgent::new(Arc::new(script))),
        tts: Arc::new(CachedTts::new(Arc::new(Flite::new(voice, speakers)?), Arc::default())),
    };
    Ok(Agent::plain(name, language, (CallMode::Dialog, transport), stages))
}

impl Agent {
    /// How its calls behave: as configured for all agents, and what is its own.
    pub(crate) fn call_config(&self, usual: &CallConfig) -> CallConfig {
        let mut call = usual.clone();
        call.mode = self.mode;
        call.inbound.heard = self.stages.listen();
        let conversation = call.conversation_mut();
        conversation.turn.model = self.stages.turn.is_some();
        conversation.turn.partials |= self.stages.hear_at_once();
        conversation.tools.clone_from(&self.tool_behaviour);
        conversation.language.clone_from(&self.language);
        conversation.languages.clone_from(&self.languages);
        if let Some(follows) = self.follows {
            conversation.follows = true;
            conversation.follows_words = follows.words;
            conversation.turn.speculate &= follows.speculates;
            conversation.barge_in.reply = follows.interruptible;
            if let Some(by) = follows.greeting {
                conversation.barge_in.greeting = by;
            }
            if let Some(silent) = follows.caller_silent {
                conversation.timeouts.caller_silent = silent;
            }
            if let Some(silence) = follows.speech_timeout {
                let turn = &mut conversation.turn;
                (turn.min_silence, turn.plain) = (silence, silence);
                turn.max_silence = turn.max_silence.max(silence);
                turn.answer_after = turn.answer_after.max(silence);
            }
        }
        // An application that has no greeting speaks first itself, or waits for the caller.
        if self.greeting.is_some() || self.follows.is_some() {
            conversation.phrases.greeting.clone_from(&self.greeting);
        }
        call
    }

    /// An agent without tools.
    fn plain(
        name: String,
        language: String,
        (mode, transport): (CallMode, Transport),
        stages: StageSet,
    ) -> Self {
        Self {
            name,
            language,
            mode,
            transport,
            stages,
            greeting: None,
            follows: None,
            webhook: None,
            tool_behaviour: BTreeMap::new(),
            languages: BTreeMap::new(),
            goal: None,
            tools: None,
            providers: Vec::new(),
            voices: BTreeMap::new(),
            transfer: BTreeMap::new(),
            last_transfer: None,
        }
    }
}

/// The embedded voice of this name.
fn voice(wanted: Option<&str>) -> anyhow::Result<Voice> {
    match wanted {
        Some(wanted) => Voice::by_name(wanted)
            .with_context(|| format!("there is no voice `{wanted}`: awb, kal, kal16, rms or slt")),
        None => Ok(Voice::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_voice_takes_the_place_of_the_first_alone() {
        let text = "[agent]\nname = \"x\"\nvoice = \"slt\"\n[[mcp]]\nname = \"far\"\n[[tts]]\nprovider = \"cartesia\"\nvoice = \"a\"\n\
                    [[tts]]\nprovider = \"embedded\"\n";
        let file: toml::Table = with_voice(text, "b").unwrap().parse().unwrap();
        assert_eq!(file["tts"][0]["voice"].as_str(), Some("b"));
        assert_eq!(file["agent"]["voice"].as_str(), Some("slt"));
        assert!(!file.contains_key("mcp"), "no server is asked for a voice's sake");
        let file: toml::Table = with_voice("[agent]\nname = \"x\"\n", "awb").unwrap().parse().unwrap();
        assert_eq!(file["agent"]["voice"].as_str(), Some("awb"));
    }
}
