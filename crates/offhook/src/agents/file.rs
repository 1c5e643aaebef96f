//! The file of an agent that thinks with a language model. Described for its users in `docs/agents.md`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use offhook_conversation::LanguagePhrases;
use offhook_conversation::config::OnInterruption;
use offhook_script::Transport;
use serde::Deserialize;
use toml::{Table, Value};

use super::languages;
use super::tools::McpTable;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentFile {
    pub(crate) agent: AgentTable,
    /// `[realtime]`: one model that hears, thinks and speaks; the others stand behind it.
    #[serde(default)]
    pub(crate) realtime: Option<Table>,
    /// `[[stt]]`: who turns speech into words, in the order in which they are tried.
    #[serde(default)]
    pub(crate) stt: Vec<Table>,
    /// `[[llm]]`: who thinks.
    #[serde(default)]
    pub(crate) llm: Vec<Table>,
    /// `[[tts]]`: who speaks.
    #[serde(default)]
    pub(crate) tts: Vec<Table>,
    /// `[[family]]`: what models take that the engine doesn't know.
    #[serde(default, rename = "family")]
    pub(crate) families: Vec<offhook_providers::llm::ModelFamily>,
    /// `[[tool]]`: what the model may use.
    #[serde(default, rename = "tool")]
    pub(crate) tools: Vec<ToolTable>,
    /// `[[mcp]]`: servers whose tools the model may use.
    #[serde(default)]
    pub(crate) mcp: Vec<McpTable>,
}

/// `[agent]`: who it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentTable {
    /// Its name in logs and records.
    pub(crate) name: String,
    /// BCP 47 tag of the language that it begins in. Default `en-US`.
    #[serde(default = "english")]
    pub(crate) language: String,
    /// The time zone that it lives in, by its name at the IANA, e.g. `Europe/Berlin`. Default: this machine's.
    #[serde(default)]
    pub(crate) time_zone: Option<String>,
    /// The languages that calls may be switched to, as BCP 47 tags. Default: none.
    #[serde(default)]
    pub(crate) languages: Vec<String>,
    /// What the engine itself says in each of them; for the language that it begins in, `[call.phrases]` holds.
    #[serde(default)]
    pub(crate) texts: BTreeMap<String, LanguagePhrases>,
    /// Words and names that callers are likely to say, for recognisers that take hints.
    #[serde(default)]
    pub(crate) keyterms: Vec<String>,
    /// What every call is to achieve, if a call has no goal of its own.
    #[serde(default)]
    pub(crate) goal: Option<String>,
    /// What is to be learned in a call with a goal: names, and what they mean, for the model and the call's record.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, String>,
    /// How Twilio and the agent talk: by sound (`media-streams`, the default) or by text (`conversation-relay`).
    #[serde(default)]
    pub(crate) transport: Transport,
    /// Where an application answers calls by TwiML: its `<ConversationRelay>` is served by this agent's stages.
    #[serde(default)]
    pub(crate) webhook: Option<String>,
    /// How long the application may take to answer. Default 10 s.
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    pub(crate) webhook_timeout: Duration,
    /// Environment variable that holds what the application knows as its Twilio auth token. Default `TWILIO_AUTH_TOKEN`.
    #[serde(default)]
    pub(crate) webhook_key_env: Option<String>,
    /// What the model is told: who it is, what it knows, how it behaves.
    #[serde(default)]
    pub(crate) instructions: String,
    /// A file with the instructions, beside this one; stands before `instructions`.
    #[serde(default)]
    pub(crate) instructions_file: Option<PathBuf>,
    /// The first words, spoken at once, without the model.
    #[serde(default)]
    pub(crate) greeting: Option<String>,
    /// The embedded voice, for when no other can be had: awb, kal, kal16, rms or slt.
    #[serde(default)]
    pub(crate) voice: Option<String>,
    /// Numbers that callers may be handed to, by who is there.
    #[serde(default)]
    pub(crate) transfer: BTreeMap<String, String>,
    /// What the engine's own tools the model may use. Default: all that can be.
    #[serde(default = "all_abilities")]
    pub(crate) abilities: Vec<Ability>,
    /// What is said when no model can be had.
    #[serde(default)]
    pub(crate) last_words: LastWordsTable,
}

/// A tool of the engine's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ability {
    /// Hang up, after the goodbye was heard.
    EndCall,
    /// Hand the caller to one of `transfer`.
    TransferCall,
    /// Press keys.
    SendDtmf,
    /// Let the caller key a number.
    CollectDigits,
    /// Go on in another of `languages`.
    SwitchLanguage,
}

fn all_abilities() -> Vec<Ability> {
    use Ability::{CollectDigits, EndCall, SendDtmf, SwitchLanguage, TransferCall};
    vec![EndCall, TransferCall, SendDtmf, CollectDigits, SwitchLanguage]
}

fn english() -> String {
    "en-US".to_owned()
}

/// What is said when no model can be had, unless the agent has words of its own: at first, and at last.
pub(crate) const LAST_WORDS: [&str; 2] = [
    "I'm sorry, I missed that. Could you say it once more?",
    "I'm sorry, I can't help you at the moment. Please call again a little later. Goodbye.",
];

impl AgentTable {
    /// Who gets callers when the conversation can't go on: whom the last words name, or the only one that callers are handed to.
    pub(crate) fn last_transfer(&self) -> Option<&str> {
        match &self.last_words.transfer {
            Some(who) => self.transfer.get(who),
            None => self.transfer.values().next().filter(|_| self.transfer.len() == 1),
        }
        .map(String::as_str)
    }
}

/// `[agent.last_words]`: what is said when no model can be had.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LastWordsTable {
    /// In place of a greeting.
    pub(crate) greeting: String,
    /// The first time: the trouble may pass.
    pub(crate) again: String,
    /// The second time; then the call ends, or is handed over.
    pub(crate) goodbye: String,
    /// Who gets the call then: one of `transfer`.
    pub(crate) transfer: Option<String>,
    /// The same in other languages: `again` and `goodbye`, by BCP 47 tag.
    pub(crate) languages: BTreeMap<String, LastWordsIn>,
}

impl Default for LastWordsTable {
    fn default() -> Self {
        Self {
            greeting: "Hello. How can I help you?".to_owned(),
            again: LAST_WORDS[0].to_owned(),
            goodbye: LAST_WORDS[1].to_owned(),
            transfer: None,
            languages: BTreeMap::new(),
        }
    }
}

/// `[agent.last_words.languages.es-ES]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LastWordsIn {
    /// The first time.
    pub(crate) again: String,
    /// The second time.
    pub(crate) goodbye: String,
}

/// `[[tool]]`: something on the web that the model may use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolTable {
    /// Its name: letters, digits, `_` and `-`.
    pub(crate) name: String,
    /// When to use it and what it does, for the model.
    pub(crate) description: String,
    /// A JSON Schema of its arguments.
    #[serde(default = "no_parameters")]
    pub(crate) parameters: Value,
    /// Where it is. `{name}` stands for an argument.
    pub(crate) url: String,
    /// `POST` sends the arguments as JSON, `GET` as a query. Default `POST`.
    #[serde(default)]
    pub(crate) method: Method,
    /// Headers. `$NAME` in a value stands for an environment variable: for keys.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Arguments that the model can't touch, and isn't told of: `{call.from}` and the like stand for facts of the call.
    #[serde(default)]
    pub(crate) fixed: BTreeMap<String, String>,
    /// Environment variable that holds the secret which signs its requests. Default `OFFHOOK_SIGNING_SECRET`; without one they
    /// aren't signed.
    #[serde(default)]
    pub(crate) secret_env: Option<String>,
    /// It may be asked twice without harm. Default false.
    #[serde(default)]
    pub(crate) safe_to_repeat: bool,
    /// How often it is asked again when it can't be reached, or is busy. Needs `safe_to_repeat`. Default 0.
    #[serde(default)]
    pub(crate) retries: u32,
    /// Requests at the same time, over all calls; more wait. Default 64.
    #[serde(default)]
    pub(crate) concurrency: Option<usize>,
    /// After this it has failed, repetitions included. Default 10 s, 55 s at most.
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    pub(crate) timeout: Duration,
    /// Said while it works, if the model said nothing itself.
    #[serde(default)]
    pub(crate) filler: Option<String>,
    /// Over ConversationRelay: a sound that Twilio plays while it works, behind the filler.
    #[serde(default)]
    pub(crate) sound: Option<String>,
    /// What becomes of it when the caller interrupts. Default `survive`.
    #[serde(default)]
    pub(crate) on_interruption: OnInterruption,
}

/// How a tool is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    /// Arguments as JSON.
    #[default]
    Post,
    /// Arguments as a query.
    Get,
}

fn no_parameters() -> Value {
    let mut schema = Table::new();
    schema.insert("type".to_owned(), Value::String("object".to_owned()));
    schema.insert("properties".to_owned(), Value::Table(Table::new()));
    Value::Table(schema)
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// Names that the engine has tools of its own for.
pub(crate) use offhook_stage_api::tools::ALL as OWN_TOOLS;

/// Whether a file is of this kind: it names providers. Others are scripts.
pub(crate) fn is_of_a_model(text: &str) -> bool {
    text.parse::<Table>().is_ok_and(|file| {
        let asks = file.get("agent").and_then(|agent| agent.get("webhook")).is_some();
        asks || ["llm", "stt", "tts", "tool", "realtime"].iter().any(|name| file.contains_key(*name))
    })
}

impl AgentFile {
    /// Reads a file, and checks what would go wrong in a call.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let file: Self =
            toml::from_str(text).map_err(|error| anyhow::anyhow!(offhook_script::toml_error(&error)))?;
        if file.llm.is_empty() && file.realtime.is_none() && file.agent.webhook.is_none() {
            bail!(
                "it has no [[llm]] and no [realtime]: name a model, or write a script instead (docs/agents.md)"
            );
        }
        let agent = &file.agent;
        let thinks = |table: &Table| !table.get("provider").and_then(Value::as_str).is_some_and(is_no_model);
        let is_told = !agent.instructions.trim().is_empty() || agent.instructions_file.is_some();
        if !is_told && (file.realtime.is_some() || file.llm.iter().any(thinks)) {
            bail!("[agent] has no `instructions`: the model would not know what to do");
        }
        let words = &agent.last_words;
        if [&words.greeting, &words.again, &words.goodbye].iter().any(|text| text.trim().is_empty()) {
            bail!("one of [agent.last_words] is empty: the caller would hear silence");
        }
        if let Some(who) = words.transfer.as_ref().filter(|who| !agent.transfer.contains_key(*who)) {
            bail!("[agent.last_words] hands the call to `{who}`, who is not in [agent.transfer]");
        }
        languages::check(agent)?;
        for tool in &file.tools {
            let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if tool.name.is_empty() || tool.name.len() > 64 || !tool.name.chars().all(valid) {
                bail!("the tool's name `{}` must be 1 to 64 letters, digits, `_` or `-`", tool.name);
            }
            if OWN_TOOLS.contains(&tool.name.as_str()) {
                bail!("the engine has a tool `{}` of its own: give yours another name", tool.name);
            }
            if file.tools.iter().filter(|other| other.name == tool.name).count() > 1 {
                bail!("there are two tools named `{}`", tool.name);
            }
            if !(tool.url.starts_with("https://") || tool.url.starts_with("http://")) {
                bail!("the tool `{}` has no address: `url` must begin with https://", tool.name);
            }
        }
        Ok(file)
    }
}

/// Whether what stands in a model's place needs no instructions.
fn is_no_model(provider: &str) -> bool {
    matches!(provider, offhook_providers::relay_app::NAME | "script")
}

/// A link's own settings, and what concerns every link: taken out of its table.
#[derive(Clone, Debug)]
pub(crate) struct LinkTable {
    pub(crate) provider: String,
    pub(crate) own: Table,
    pub(crate) link: offhook_chain::LinkConfig,
    pub(crate) key_env: Option<String>,
    pub(crate) key_file: Option<PathBuf>,
}

impl LinkTable {
    /// Splits a table of `[[stt]]`, `[[llm]]` or `[[tts]]`.
    pub(crate) fn split(kind: &str, mut own: Table) -> anyhow::Result<Self> {
        let provider = match own.get("provider") {
            Some(Value::String(provider)) => provider.clone(),
            None if kind == "realtime" => "openai".to_owned(),
            _ => bail!("a [[{kind}]] has no `provider`"),
        };
        let link = match own.remove("link") {
            Some(link) => typed(link).with_context(|| format!("[{kind}.link] of {provider}"))?,
            None => offhook_chain::LinkConfig::default(),
        };
        let mut text = |name: &str| match own.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => bail!("`{name}` of the [[{kind}]] {provider} must be text"),
        };
        let (key_env, key_file) = (text("key_env")?, text("key_file")?.map(PathBuf::from));
        Ok(Self { provider, own, link, key_env, key_file })
    }

    /// The rest, as the provider's settings.
    pub(crate) fn typed<T: serde::de::DeserializeOwned>(&self, kind: &str) -> anyhow::Result<T> {
        typed(Value::Table(self.own.clone())).with_context(|| format!("[[{kind}]] {}", self.provider))
    }
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    value.try_into().map_err(|error: toml::de::Error| anyhow::anyhow!(offhook_script::toml_error(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "[agent]\nname = \"x\"\ninstructions = \"Be kind.\"\n[[llm]]\nprovider = \"openai\"\nmodel = \"m\"\n";

    fn error(text: &str) -> String {
        format!("{:#}", AgentFile::parse(text).unwrap_err())
    }

    #[test]
    fn what_would_go_wrong_in_a_call_is_named_before() {
        AgentFile::parse(GOOD).unwrap();
        assert!(error("[agent]\nname = \"x\"\ninstructions = \"y\"").contains("[[llm]]"));
        assert!(error(&GOOD.replace("instructions", "instructons")).contains("did you mean `instructions`"));
        assert!(error(&GOOD.replace("Be kind.", " ")).contains("instructions"));
        let tool = "[[tool]]\nname = \"end_call\"\ndescription = \"\"\nurl = \"https://a.example\"\n";
        assert!(error(&format!("{GOOD}{tool}")).contains("of its own"));
        let tool = tool.replace("end_call", "find it");
        assert!(error(&format!("{GOOD}{tool}")).contains("letters"));
        assert!(error(&format!("{GOOD}[agent.last_words]\ntransfer = \"desk\"")).contains("desk"));
    }

    #[test]
    fn a_links_table_is_split_and_typos_are_named() {
        let table = "provider = \"openai\"\nmodell = \"m\"\nkey_env = \"K\"\nlink = { first = \"1s\" }";
        let link = LinkTable::split("llm", table.parse().unwrap()).unwrap();
        assert_eq!((link.key_env.as_deref(), link.link.first), (Some("K"), Some(Duration::from_secs(1))));
        let error = link.typed::<offhook_providers::llm::LlmConfig>("llm").unwrap_err();
        assert!(format!("{error:#}").contains("did you mean `model`"), "{error:#}");
        let typo = "provider = \"openai\"\nlink = { frist = \"1s\" }";
        assert!(
            format!("{:#}", LinkTable::split("llm", typo.parse().unwrap()).unwrap_err()).contains("`first`")
        );
    }
}
