//! Who answers: an agent's file, and the stages that it needs.

use std::sync::Arc;

use anyhow::Context;
use offhook_call::CallMode;
use offhook_call::stage::{SttCommand, SttEvent, Transcript};
use offhook_providers::embedded::{Flite, NativePool, PocketSphinx, SphinxOptions, Voice};
use offhook_session::StageSet;
use offhook_stages::cache::CachedTts;
use offhook_stages::script::{AgentMode, Recogniser, SHIPPED, Script, ScriptedAgent, Transport, shipped};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Stt, Tts, Tx};

/// An agent, ready to answer.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) mode: CallMode,
    pub(crate) transport: Transport,
    pub(crate) stages: StageSet,
}

/// Loads the agent of this name, or from this file. `transport` comes before the file's.
pub(crate) fn load(name: &str, transport: Option<Transport>) -> anyhow::Result<Agent> {
    let file = match shipped(name) {
        Some(file) => file.to_owned(),
        None if name.ends_with(".toml") || name.contains('/') => {
            std::fs::read_to_string(name).with_context(|| format!("can't read the agent's file {name}"))?
        }
        None => {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            anyhow::bail!(
                "there is no agent `{name}`: name one of {}, or a file that ends with .toml",
                names.join(", ")
            );
        }
    };
    let script = Script::from_toml(&file).with_context(|| format!("the agent `{name}` is not valid"))?;
    let agent = &script.agent;
    let (name, language) = (agent.name.clone(), agent.language.clone());
    let transport = transport.unwrap_or(agent.transport);
    if agent.mode == AgentMode::Echo {
        anyhow::ensure!(
            transport == Transport::MediaStreams,
            "the agent `{name}` sends the caller's voice back, and ConversationRelay has no voice"
        );
        let stages = StageSet { stt: Arc::new(Idle), turn: None, llm: Arc::new(Idle), tts: Arc::new(Idle) };
        return Ok(Agent { name, language, mode: CallMode::Echo, transport, stages });
    }
    if transport == Transport::ConversationRelay {
        // Twilio hears and speaks.
        let llm = Arc::new(ScriptedAgent::new(Arc::new(script)));
        let stages = StageSet { stt: Arc::new(Idle), turn: None, llm, tts: Arc::new(Idle) };
        return Ok(Agent { name, language, mode: CallMode::Dialog, transport, stages });
    }
    let voice = match &agent.voice {
        Some(wanted) => Voice::by_name(wanted)
            .with_context(|| format!("there is no voice `{wanted}`: awb, kal, kal16, rms or slt"))?,
        None => Voice::default(),
    };
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
    Ok(Agent { name, language, mode: CallMode::Dialog, transport, stages })
}

/// Hears that there was speech, and no words in it.
struct Wordless;

impl Stt for Wordless {
    fn name(&self) -> &str {
        "none"
    }

    fn wants_audio(&self) -> bool {
        false
    }

    fn run(
        &self,
        _call: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let SttCommand::SpeechPaused { from, until } = command else { continue };
                let nothing = Transcript { from: from.0, until: until.0, ..Transcript::default() };
                if events.send(SttEvent::Final(nothing)).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// A stage that has nothing to do: an echo needs none.
struct Idle;

async fn ignore<C, E>(commands: Rx<C>, _events: Tx<E>) -> Result<(), StageError> {
    while commands.recv().await.is_some() {}
    Ok(())
}

macro_rules! idle_stage {
    ($stage:ident, $command:ident, $event:ident $(, $more:item)?) => {
        impl $stage for Idle {
            fn name(&self) -> &str {
                "idle"
            }
            $($more)?
            fn run(
                &self,
                _call: CallInfo,
                commands: Rx<offhook_call::stage::$command>,
                events: Tx<offhook_call::stage::$event>,
            ) -> BoxFuture<Result<(), StageError>> {
                Box::pin(ignore(commands, events))
            }
        }
    };
}

idle_stage!(
    Stt,
    SttCommand,
    SttEvent,
    fn wants_audio(&self) -> bool {
        false
    }
);
idle_stage!(Llm, LlmCommand, LlmEvent);
idle_stage!(
    Tts,
    TtsCommand,
    TtsEvent,
    fn voice(&self) -> &str {
        ""
    }
);
