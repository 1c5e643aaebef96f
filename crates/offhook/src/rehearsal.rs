//! `offhook demo --providers`: the demo's call with network providers in place of the embedded stages, all of them doubles
//! on this machine that take as long as the real ones are known to.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use anyhow::Context;
use offhook_doubles::{Doubles, DoublesConfig, Latencies, Rule, Script, ToolCall, Utterance};

/// Doubles that run as long as this lives.
pub(crate) struct Rehearsal {
    address: String,
    sockets: String,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Rehearsal {
    /// Starts doubles that take so long, with what the caller of `fixtures/callers/pizza.toml` says, when each word of it
    /// ends, and what is to be answered.
    pub(crate) fn start(latency: Latencies, ends_ms: Vec<Vec<u64>>) -> anyhow::Result<Self> {
        let (started, address) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name("doubles".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(anyhow::anyhow!(error)))),
            };
            runtime.block_on(async {
                let config = DoublesConfig { latency, script: script(ends_ms), ..Default::default() };
                match Doubles::start(config).await {
                    Ok(doubles) => {
                        drop(started.send(Ok((doubles.http(), doubles.ws()))));
                        // Either way the demo is over.
                        let _over = stopped.await;
                    }
                    Err(error) => drop(started.send(Err(anyhow::anyhow!(error)))),
                }
            });
        })?;
        let (address, sockets) = address.recv().context("the doubles ended before they began")??;
        Ok(Self { address, sockets, _stop: stop })
    }

    /// Writes the file of an agent that is served by them, and a configuration to serve it with.
    pub(crate) fn write(&self, folder: &Path, speculate: bool) -> anyhow::Result<PathBuf> {
        let (http, ws) = (&self.address, &self.sockets);
        let agent = folder.join("providers-agent.toml");
        let text = format!(
            r#"[agent]
name = "pizza-by-providers"
instructions = "You take orders for a pizza shop."

[[stt]]
provider = "deepgram"
model = "nova-3"
url = "{ws}/v1/listen"
key_file = "{key}"

[[llm]]
provider = "openai"
model = "gpt-6-luna"
base_url = "{http}/v1"
key_file = "{key}"

[[tts]]
provider = "elevenlabs"
model = "eleven_flash_v2_5"
voice = "some-voice"
base_url = "{http}"
key_file = "{key}"
"#,
            key = folder.join("providers-key").display(),
        );
        std::fs::write(folder.join("providers-key"), "a-key-that-doubles-take")?;
        std::fs::write(&agent, text)?;
        let config = folder.join("providers.toml");
        std::fs::write(
            &config,
            format!("agent = \"{}\"\n\n[call.turn]\nspeculate = {speculate}\n", agent.display()),
        )?;
        Ok(config)
    }
}

fn script(ends_ms: Vec<Vec<u64>>) -> Script {
    let rule = |heard: &str, say: &str| Rule { heard: heard.into(), say: say.into(), ..Rule::default() };
    let mut goodbye = rule("yes please", "Thank you, it will be with you in half an hour. Goodbye!");
    goodbye
        .calls
        .push(ToolCall { name: offhook_stage_api::tools::END_CALL.into(), arguments: serde_json::json!({}) });
    let caller = [
        "Two large pepperoni pizzas.",
        "What are your opening hours?",
        "And a bottle of water.",
        "No thanks.",
        "For delivery.",
        "Yes please.",
        // What is heard after that is nothing, not the beginning again.
        "",
        "",
        "",
    ];
    let ends = ends_ms.into_iter().chain(std::iter::repeat(Vec::new()));
    Script {
        caller: caller
            .into_iter()
            .zip(ends)
            .map(|(text, ends_ms)| Utterance { text: text.to_owned(), ends_ms })
            .collect(),
        answers: vec![
            rule("greet them", "Hello, this is the pizza shop. What can I get you?"),
            rule("two large", "Two large pepperoni pizzas, got it. Anything else?"),
            rule(
                "opening hours",
                "We are open from noon to eleven at night, every day of the week, and on public holidays from five in \
                 the afternoon. Would you like anything else?",
            ),
            rule("bottle of water", "One bottle of water as well. Anything else?"),
            rule("no thanks", "Is that for delivery or for pickup?"),
            rule(
                "for delivery",
                "So that's two large pepperoni pizzas and one bottle of water, for delivery. Is that right?",
            ),
            goodbye,
        ],
    }
}
