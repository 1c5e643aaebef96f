//! From an agent's file to its stages: chains of providers, the embedded stages last.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use offhook_cache::{CachedTts, SpokenStore};
use offhook_chain::PerLanguageTts;
use offhook_chain::{Deadlines, Health, Link, LinkConfig, LlmChain, SttChain, TtsChain};
use offhook_conversation::config::ToolBehaviour;
use offhook_media_line::CallMode;
use offhook_providers::embedded::{Flite, NativePool, PocketSphinx, SphinxOptions};
use offhook_providers::llm::{Clock, LlmConfig, ModelTable, NetworkLlm, Prompt};
use offhook_providers::net::Secret;
use offhook_providers::realtime::{Realtime, RealtimeConfig};
use offhook_providers::recordings::PlayingTts;
use offhook_providers::relay_app::{self, RelayApp, RelayAppConfig};
use offhook_providers::stt::SttConfig;
use offhook_providers::tts::TtsConfig;
use offhook_script::{Script, ScriptedAgent, Transport};
use offhook_session::StageSet;
use offhook_stages::speakable::SpeakableTts;
use offhook_stages::{Llm, Stt, Tts};
use toml::Table;

use super::file::{AgentFile, AgentTable, LinkTable};
use super::last_words::LastWords;
use super::still::{Idle, Wordless};
use super::tools::ToolSet;
use super::webhook::Webhook;
use super::{Agent, Follows, Provider, abilities, languages, voice};

/// The stage on this machine.
const EMBEDDED: &str = "embedded";

/// When a provider fails for all calls at once, the embedded voice has many sentences to speak: behind it is only silence.
const LAST_VOICE: Deadlines = Deadlines { first: Duration::from_secs(5), gap: Duration::from_secs(5) };

/// An application isn't dropped for one slow answer: with its connection goes what it knows of the call. The call itself says a
/// filler, and gives the answer up, long before.
pub(super) const APPLICATION: Deadlines =
    Deadlines { first: Duration::from_secs(20), gap: Duration::from_secs(20) };

/// Makes the agent of a file that lies in `folder`.
pub(super) fn build(file: &AgentFile, folder: &Path, transport: Option<Transport>) -> anyhow::Result<Agent> {
    let agent = &file.agent;
    let instructions = match &agent.instructions_file {
        Some(path) => crate::input::text(&folder.join(path))
            .with_context(|| format!("can't read the instructions in {}", folder.join(path).display()))?,
        None => agent.instructions.clone(),
    };
    let transport = transport.unwrap_or(agent.transport);
    let tools = Arc::new(ToolSet::new(&file.tools, &file.mcp)?);
    let prompt = Prompt {
        instructions: instructions.into(),
        tools: abilities::specs(agent, tools.specs()).into(),
        fields: Arc::new(agent.fields.clone()),
        clock: match &agent.time_zone {
            Some(zone) => Clock::of(zone).map_err(|error| anyhow::anyhow!("[agent] time_zone: {error}"))?,
            None => Clock::default(),
        },
    };
    let (mut llm, follows) = llm(file, &prompt, transport)?;
    let mut providers = Vec::new();
    let webhook = match &agent.webhook {
        Some(url) => {
            anyhow::ensure!(
                transport == Transport::MediaStreams,
                "an agent with a `webhook` plays ConversationRelay, and can't be carried by it"
            );
            let key = env_key(agent.webhook_key_env.as_deref().or(Some("TWILIO_AUTH_TOKEN")));
            Some(Arc::new(Webhook::new(url, agent.webhook_timeout, key, llm.clone())?))
        }
        None => None,
    };
    let stages = match transport {
        Transport::MediaStreams => {
            let (mut stt, mut tts) = (stt(&file.stt, &agent.keyterms)?, tts(&file.tts, agent)?);
            if let Some(table) = &file.realtime {
                let voice = Arc::new(TtsChain::new(tts.clone())?);
                let (table, realtime) = realtime(table, prompt, voice)?;
                let (hears, thinks, speaks) = realtime.stages();
                stt.insert(0, Link::new(hears, Deadlines::STT, &table.link));
                llm.insert(0, Link::new(thinks, Deadlines::LLM, &table.link));
                tts.insert(0, Link::new(speaks, Deadlines::TTS, &table.link));
            }
            providers.extend(stt.iter().map(|link| provider("hears", link.stage.name(), &link.health)));
            providers.extend(llm.iter().map(|link| provider("thinks", link.stage.name(), &link.health)));
            providers.extend(tts.iter().map(|link| provider("speaks", link.stage.name(), &link.health)));
            let (stt, voice) = (Arc::new(SttChain::new(stt)?), Arc::new(TtsChain::new(tts)?));
            // Applications may want recordings played.
            let tts: Arc<dyn Tts> = match follows.is_some() || webhook.is_some() {
                true => Arc::new(PlayingTts::new(voice)),
                false => voice,
            };
            StageSet { stt, turn: None, llm: Arc::new(LlmChain::new(llm)?), tts }
        }
        // Twilio hears and speaks.
        Transport::ConversationRelay => {
            providers.extend(llm.iter().map(|link| provider("thinks", link.stage.name(), &link.health)));
            let llm = Arc::new(LlmChain::new(llm)?);
            StageSet { stt: Arc::new(Idle), turn: None, llm, tts: Arc::new(Idle) }
        }
    };
    let behaviour = |tool: &super::file::ToolTable| ToolBehaviour {
        filler: tool.filler.clone(),
        sound: tool.sound.clone(),
        on_interruption: tool.on_interruption,
    };
    Ok(Agent {
        name: agent.name.clone(),
        language: agent.language.clone(),
        mode: CallMode::Dialog,
        transport,
        stages,
        greeting: agent.greeting.clone(),
        follows,
        webhook,
        tool_behaviour: file
            .tools
            .iter()
            .map(|tool| (tool.name.clone(), behaviour(tool)))
            .chain(file.mcp.iter().flat_map(|server| {
                let filler = server.filler.clone();
                let behaviour = ToolBehaviour { filler, ..ToolBehaviour::default() };
                tools.of_server(&server.name).map(move |name| (name.clone(), behaviour.clone()))
            }))
            .collect(),
        tools: Some(tools),
        providers,
        voices: BTreeMap::new(),
        transfer: agent.transfer.clone(),
        last_transfer: agent.last_transfer().map(str::to_owned),
        languages: languages::of(agent),
        goal: agent.goal.as_deref().filter(|goal| !goal.trim().is_empty()).map(Into::into),
    })
}

fn provider(does: &'static str, name: &str, health: &Arc<Health>) -> Provider {
    Provider { does, name: name.to_owned(), health: Arc::clone(health) }
}

fn realtime(table: &Table, prompt: Prompt, voice: Arc<dyn Tts>) -> anyhow::Result<(LinkTable, Realtime)> {
    let mut table = LinkTable::split("realtime", table.clone())?;
    table.own.insert("provider".to_owned(), toml::Value::String(table.provider.clone()));
    let config: RealtimeConfig = table.typed("realtime")?;
    let key = key("realtime", &table)?;
    Ok((table, Realtime::new(config, key, prompt, voice)))
}

fn stt(tables: &[Table], keyterms: &[String]) -> anyhow::Result<Vec<Link<dyn Stt>>> {
    let mut links: Vec<Link<dyn Stt>> = Vec::new();
    let mut last = true;
    for table in tables {
        let table = LinkTable::split("stt", table.clone())?;
        let stage: Arc<dyn Stt> = match table.provider.as_str() {
            EMBEDDED => ears()?,
            "none" => Arc::new(Wordless),
            _ => {
                let mut config: SttConfig = table.typed("stt")?;
                config.listen_for(keyterms);
                config.build(key("stt", &table)?)
            }
        };
        last &= !matches!(table.provider.as_str(), EMBEDDED | "none");
        let usual = if table.provider == "whisper" { Deadlines::STT_UPLOAD } else { Deadlines::STT };
        links.push(Link::new(stage, usual, &table.link));
    }
    if last {
        match ears() {
            Ok(stage) => links.push(Link::new(stage, Deadlines::STT, &LinkConfig::default())),
            Err(error) if links.is_empty() => return Err(error),
            Err(error) => tracing::warn!(
                "no speech-to-text provider is available when the others can't be reached: {error:#}"
            ),
        }
    }
    Ok(links)
}

fn ears() -> anyhow::Result<Arc<dyn Stt>> {
    Ok(Arc::new(PocketSphinx::new(SphinxOptions::default(), NativePool::for_this_machine("native"))?))
}

fn tts(tables: &[Table], agent: &AgentTable) -> anyhow::Result<Vec<Link<dyn Tts>>> {
    let embedded = agent.voice.as_deref();
    let store = Arc::new(SpokenStore::default());
    let wrapped = |stage: Arc<dyn Tts>| -> Arc<dyn Tts> {
        let stage: Arc<dyn Tts> = if agent.languages.is_empty() {
            stage
        } else {
            Arc::new(PerLanguageTts::new(stage, agent.languages.clone()))
        };
        Arc::new(CachedTts::new(stage, Arc::clone(&store)))
    };
    let mut links = Vec::new();
    let mut last = true;
    for table in tables {
        let table = LinkTable::split("tts", table.clone())?;
        let stage: Arc<dyn Tts> = if table.provider == EMBEDDED {
            last = false;
            mouth(embedded)?
        } else {
            let config: TtsConfig = table.typed("tts")?;
            config.build(key("tts", &table)?)
        };
        links.push(Link::new(wrapped(stage), Deadlines::TTS, &table.link));
    }
    if last {
        match mouth(embedded) {
            Ok(stage) => links.push(Link::new(wrapped(stage), LAST_VOICE, &LinkConfig::default())),
            Err(error) if links.is_empty() => return Err(error),
            Err(error) => tracing::warn!("when no voice can be reached, calls will be silent: {error:#}"),
        }
    }
    Ok(links)
}

fn mouth(wanted: Option<&str>) -> anyhow::Result<Arc<dyn Tts>> {
    // Speaking must not wait behind recognising.
    let flite = Flite::new(voice(wanted)?, NativePool::new("speak", 1, 256))?;
    // Network voices do this by themselves.
    Ok(Arc::new(SpeakableTts::new(Arc::new(flite))))
}

type Thinkers = Vec<Link<dyn Llm>>;

fn llm(
    file: &AgentFile,
    prompt: &Prompt,
    transport: Transport,
) -> anyhow::Result<(Thinkers, Option<Follows>)> {
    let mut links = Thinkers::new();
    let mut follows = None;
    let models = ModelTable::shipped().with(ModelTable::from_families(file.families.clone()));
    for table in &file.llm {
        let table = LinkTable::split("llm", table.clone())?;
        if table.provider == "script" {
            let Some(toml::Value::String(name)) = table.own.get("agent") else {
                anyhow::bail!(
                    "a [[llm]] with the provider `script` needs `agent`: a shipped one's name, or a file"
                );
            };
            links.push(Link::new(Arc::new(script(name)?), Deadlines::LLM, &table.link));
            continue;
        }
        if table.provider == relay_app::NAME {
            let app = relay_app(&table)?;
            let app = match transport {
                Transport::MediaStreams => app,
                Transport::ConversationRelay => app.on_a_line_that_plays(),
            };
            follows = Some(Follows {
                interruptible: app.interrupted_by(),
                speculates: app.speculates(),
                words: app.follows_words(),
                greeting: None,
                caller_silent: None,
                speech_timeout: None,
            });
            links.push(Link::new(Arc::new(app), APPLICATION, &table.link));
            continue;
        }
        let mut config: LlmConfig = table.typed("llm")?;
        let key = match &table.key_file {
            Some(path) => Some(read_key(path)?),
            None => env_key(table.key_env.as_deref().or(config.provider.key_env())),
        };
        config.key_env.clone_from(&table.key_env);
        let secret = env_key(config.secret_env.as_deref().or(Some("OFFHOOK_SIGNING_SECRET")));
        let model =
            NetworkLlm::with_models(config, key.as_ref(), prompt.clone(), &models)?.signed_with(secret);
        links.push(Link::new(Arc::new(model), Deadlines::LLM, &table.link));
    }
    let words = file.agent.last_words.clone();
    let transfer = words.transfer.as_ref().and(file.agent.last_transfer()).map(str::to_owned);
    let last = Arc::new(LastWords::new(words, transfer));
    links.push(Link::new(last, Deadlines::LLM, &LinkConfig::default()));
    Ok((links, follows))
}

/// An application that speaks ConversationRelay. Its key is what Twilio's auth token is to it.
fn relay_app(table: &LinkTable) -> anyhow::Result<RelayApp> {
    let key = match &table.key_file {
        Some(path) => Some(read_key(path)?),
        None => env_key(table.key_env.as_deref().or(Some("TWILIO_AUTH_TOKEN"))),
    };
    let config: RelayAppConfig = table.typed("llm")?;
    Ok(RelayApp::new(config, key.as_ref())?)
}

fn script(name: &str) -> anyhow::Result<ScriptedAgent> {
    let text = super::text_of(name)?;
    let script = Script::from_toml(&text).with_context(|| format!("the script `{name}` is not valid"))?;
    Ok(ScriptedAgent::new(Arc::new(script)))
}

/// The key of a link: from its file, its variable, or the provider's customary variable. A server of one's own may need none.
fn key(kind: &str, table: &LinkTable) -> anyhow::Result<Option<Secret>> {
    if let Some(path) = &table.key_file {
        return read_key(path).map(Some);
    }
    let usual = match table.provider.as_str() {
        "deepgram" | "deepgram_flux" => Some("DEEPGRAM_API_KEY"),
        "assemblyai" => Some("ASSEMBLYAI_API_KEY"),
        "whisper" | "openai" => Some("OPENAI_API_KEY"),
        "elevenlabs" | "elevenlabs_http" => Some("ELEVENLABS_API_KEY"),
        "cartesia" => Some("CARTESIA_API_KEY"),
        "azure" | "azure_voice_live" => Some("AZURE_OPENAI_API_KEY"),
        "xai" => Some("XAI_API_KEY"),
        "gemini" => Some("GEMINI_API_KEY"),
        _ => None,
    };
    let name = table.key_env.as_deref().or(usual);
    let key = env_key(name);
    let own_server = ["base_url", "url"].iter().any(|name| table.own.contains_key(*name));
    if let Some(name) = name.filter(|_| key.is_none() && !own_server) {
        anyhow::bail!(
            "[[{kind}]] {} has no key: set the environment variable {name}, or `key_file`",
            table.provider
        );
    }
    Ok(key)
}

fn env_key(name: Option<&str>) -> Option<Secret> {
    name.and_then(|name| std::env::var(name).ok()).map(|key| Secret::new(&key)).filter(|key| !key.is_empty())
}

fn read_key(path: &Path) -> anyhow::Result<Secret> {
    let text =
        crate::input::text(path).with_context(|| format!("can't read the key in {}", path.display()))?;
    Ok(Secret::new(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"
[agent]
name = "all"
instructions = "Be kind."

[realtime]
url = "ws://127.0.0.1:1/v1/realtime"
model = "some-model"
transcription_model = "some-model"

[[stt]]
provider = "deepgram"
url = "ws://127.0.0.1:1/v1/listen"

[[llm]]
provider = "ollama"
model = "some-model"

[[llm]]
provider = "script"
agent = "booking"

[[tts]]
provider = "cartesia"
model = "some-model"
voice = "some-voice"
base_url = "ws://127.0.0.1:1"
link = { hedge_after = "600ms" }
"#;

    fn built(text: &str) -> anyhow::Result<Agent> {
        build(&AgentFile::parse(text)?, Path::new("."), None)
    }

    #[test]
    fn the_embedded_stages_stand_behind_all_others() {
        let stages = format!("{:?}", built(ALL).unwrap().stages);
        let expected = "StageSet(openai-realtime+deepgram+pocketsphinx, openai-realtime+ollama+script+last-words, \
                        openai-realtime+cartesia+flite)";
        assert_eq!(stages, expected);
    }

    #[test]
    fn what_is_missing_is_named_before_the_first_call() {
        let error = |text: &str| format!("{:#}", built(text).unwrap_err());
        let keyless =
            ALL.replace("url = \"ws://127.0.0.1:1/v1/listen\"", "key_env = \"OFFHOOK_NO_SUCH_KEY\"");
        assert!(
            error(&keyless).contains("set the environment variable OFFHOOK_NO_SUCH_KEY"),
            "{}",
            error(&keyless)
        );
        assert!(
            error(&ALL.replace("agent = \"booking\"", "agent = \"nobody\"")).contains("no agent `nobody`")
        );
        assert!(
            error(&ALL.replace("provider = \"cartesia\"", "provider = \"cartesian\"")).contains("cartesian")
        );
    }
}
