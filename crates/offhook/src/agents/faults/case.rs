//! Agents whose providers are doubles, and what goes wrong with one of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_doubles::{
    Doubles, DoublesConfig, Fault, FaultRule, Latencies, Moment, Pace, Rule, Script, Spread, Stage, Utterance,
};

use crate::agents::file::AgentFile;
use crate::agents::{Agent, build};

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// From the first request of the call on.
    Before,
    /// In the midst of an answer.
    During,
    /// After the caller's first turn was answered.
    Between,
}

/// A provider that one of its kind stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) stage: Stage,
    table: &'static str,
    /// It keeps one socket for the call: faults find their moment by its events.
    socket: Option<(Moment, Moment)>,
}

pub(super) const SUBJECTS: [Subject; 13] = [
    Subject {
        name: "stt deepgram",
        stage: Stage::Stt,
        table: "provider = 'deepgram'\nmodel = 'nova-3'\nurl = 'WS/v1/listen'",
        socket: Some((Moment::During(3), Moment::Before(14))),
    },
    Subject {
        name: "stt whisper",
        stage: Stage::Stt,
        table: "provider = 'whisper'\nmodel = 'whisper-1'\nbase_url = 'HTTP/v1'",
        socket: None,
    },
    Subject {
        name: "llm openai",
        stage: Stage::Llm,
        table: "provider = 'openai'\nmodel = 'double'\nbase_url = 'HTTP/v1'",
        socket: None,
    },
    Subject {
        name: "tts elevenlabs",
        stage: Stage::Tts,
        table: "provider = 'elevenlabs'\nmodel = 'eleven_flash_v2_5'\nvoice = 'v'\nbase_url = 'WS'",
        socket: Some((Moment::During(2), Moment::Before(8))),
    },
    Subject {
        name: "tts openai",
        stage: Stage::Tts,
        table: "provider = 'openai'\nmodel = 'double'\nvoice = 'v'\nbase_url = 'HTTP/v1'",
        socket: None,
    },
    Subject {
        name: "stt flux",
        stage: Stage::Stt,
        table: "provider = 'deepgram_flux'\nmodel = 'flux-general-en'\nurl = 'WS/v2/listen'",
        socket: Some((Moment::During(4), Moment::Before(11))),
    },
    Subject {
        name: "stt assemblyai",
        stage: Stage::Stt,
        table: "provider = 'assemblyai'\nurl = 'WS/v3/ws'",
        socket: Some((Moment::During(4), Moment::Before(9))),
    },
    Subject {
        name: "stt vosk",
        stage: Stage::Stt,
        table: "provider = 'vosk'\nurl = 'WS'",
        // It answers every message: ten a second from the call's beginning.
        socket: Some((Moment::During(35), Moment::Before(75))),
    },
    Subject {
        name: "llm anthropic",
        stage: Stage::Llm,
        table: "provider = 'anthropic'\nmodel = 'double'\nbase_url = 'HTTP/v1'",
        socket: None,
    },
    Subject {
        name: "tts aura",
        stage: Stage::Tts,
        table: "provider = 'deepgram'\nvoice = 'aura-2-thalia-en'\nbase_url = 'WS'",
        socket: Some((Moment::During(20), Moment::Before(43))),
    },
    Subject {
        name: "tts cartesia",
        stage: Stage::Tts,
        table: "provider = 'cartesia'\nmodel = 'sonic-3.5'\nvoice = 'v'\nbase_url = 'WS'",
        socket: Some((Moment::During(20), Moment::Before(43))),
    },
    Subject {
        name: "tts elevenlabs_http",
        stage: Stage::Tts,
        table: "provider = 'elevenlabs_http'\nmodel = 'eleven_flash_v2_5'\nvoice = 'v'\nbase_url = 'HTTP'",
        socket: None,
    },
    Subject {
        name: "realtime openai",
        stage: Stage::Realtime,
        table: "provider = 'openai'\nmodel = 'double'\ntranscription_model = 'double'\nurl = 'WS/v1/realtime'",
        socket: Some((Moment::During(25), Moment::Before(48))),
    },
];

/// How many of [`SUBJECTS`] meet every fault at every moment; the others meet every fault, at moments in turn.
pub(super) const THOROUGH: usize = 5;

/// One cell of the matrix.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) subject: Subject,
    pub(super) fault: Option<Fault>,
    pub(super) when: When,
    /// The model takes its time besides: not a fault, but what the slowest twentieth do.
    pub(super) slow_model: bool,
}

/// A slow model's time to its first word.
const SLOW_MODEL: Duration = Duration::from_millis(1_300);

impl Case {
    pub(super) const fn new(subject: Subject, fault: Option<Fault>, when: When) -> Self {
        Self { subject, fault, when, slow_model: false }
    }

    /// The rules that hold from the call's beginning, and those that come between.
    pub(super) fn rules(&self) -> (Vec<FaultRule>, Vec<FaultRule>) {
        let Some(fault) = &self.fault else { return (Vec::new(), Vec::new()) };
        let always = FaultRule::always(self.subject.stage, fault.clone());
        match (self.when, self.subject.socket) {
            (When::Before, _) => (vec![always], Vec::new()),
            (When::During, Some((during, _))) => (vec![always.at(during)], Vec::new()),
            (When::During, None) => (vec![always.at(Moment::During(3))], Vec::new()),
            (When::Between, Some((_, between))) => (vec![always.at(between)], Vec::new()),
            (When::Between, None) => (Vec::new(), vec![always]),
        }
    }

    /// The cell's providers, and the agent that uses them. `ears`: the recogniser on this machine.
    pub(super) async fn make(&self, folder: &Path, ears: bool) -> (Doubles, Agent) {
        let mut config = config(self.rules().0);
        if self.slow_model {
            config.latency.llm.first = Spread { median: SLOW_MODEL, p95: SLOW_MODEL };
        }
        let doubles = Doubles::start(config).await.unwrap();
        let agent = agent(&doubles, self.subject, folder, ears, self.greets());
        (doubles, agent)
    }

    /// A model that fails must not keep the caller waiting from the start, either.
    fn greets(&self) -> bool {
        !(self.subject.stage == Stage::Llm && self.when == When::Before)
    }
}

/// Every fault.
pub(super) fn faults() -> Vec<Fault> {
    vec![
        Fault::Refuse,
        Fault::Hang,
        Fault::Unauthorized,
        Fault::Quota,
        Fault::RateLimited { retry_after: Some(20), retry_after_ms: None },
        Fault::ServerError,
        Fault::Unavailable,
        Fault::Overloaded,
        Fault::Drip { every: Duration::from_millis(700) },
        Fault::Cut,
        Fault::Stall,
        Fault::BrokenJson,
        Fault::WrongContentType,
        Fault::Mp3,
        Fault::WavHeader,
        Fault::EmptyAudio,
        Fault::OddBytes,
        Fault::Duplicate,
        Fault::ErrorEvent,
        Fault::NoTerminator,
        Fault::Close { code: 1011, reason: "internal".to_owned() },
        Fault::Split,
    ]
}

/// A fault's name.
pub(super) fn name(fault: &Fault) -> String {
    let name = serde_json::to_value(fault).unwrap();
    match name.as_object().and_then(|details| details.keys().next()) {
        Some(name) => name.clone(),
        None => name.as_str().unwrap().to_owned(),
    }
}

/// Doubles as fast as providers usually are to begin. What follows comes at once: a busy machine is late at every piece.
pub(super) fn config(faults: Vec<FaultRule>) -> DoublesConfig {
    let pace = |ms, rate| Pace { first: Spread::ms(ms, ms), rate };
    let latency = Latencies {
        stt: pace(250, 0.0),
        word_delay: Duration::from_millis(150),
        llm: pace(400, 0.0),
        tts: pace(120, 0.0),
        realtime: pace(600, 0.0),
    };
    let answers =
        ["It is booked for Friday. Anything else?"].map(|say| Rule { say: say.into(), ..Rule::default() });
    // Short enough for each of the sounds: after a failover the first is said again.
    let caller = ["A table, please.", "Yes, please."].map(Utterance::from).to_vec();
    let script = Script { caller, answers: answers.to_vec() };
    DoublesConfig { latency, script, faults, ..DoublesConfig::default() }
}

/// An agent with one provider of each kind, the subject among them, and what stands behind every chain.
pub(super) fn agent(doubles: &Doubles, subject: Subject, folder: &Path, ears: bool, greets: bool) -> Agent {
    let key: PathBuf = folder.join("key");
    std::fs::write(&key, "any").unwrap();
    // The quickest of the embedded voices: each call here has a server's worth of chains to itself.
    let mut file = "[agent]\nname = 'faults'\ninstructions = 'Book tables.'\nvoice = 'kal'\n".to_owned();
    if greets {
        file += "greeting = 'Blue Door, good day.'\n";
    }
    let with_key = |kind: &str, provider: Subject| {
        let table = provider.table.replace("WS", &doubles.ws()).replace("HTTP", &doubles.http());
        format!("{kind}\n{table}\nkey_file = '{}'\n", key.display())
    };
    if subject.stage == Stage::Realtime {
        file += &with_key("[realtime]", subject);
    }
    for (kind, stage, usual) in [("stt", Stage::Stt, 0), ("llm", Stage::Llm, 2), ("tts", Stage::Tts, 3)] {
        let provider = if subject.stage == stage { subject } else { SUBJECTS[usual] };
        file += &with_key(&format!("[[{kind}]]"), provider);
    }
    if !ears {
        // Dozens at once would be too slow.
        file += "[[stt]]\nprovider = 'none'\n";
    }
    build::build(&AgentFile::parse(&file).unwrap(), folder, None).unwrap()
}
