//! `offhook serve`: its command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use offhook_script::Transport;

use crate::config::Config;

/// `offhook serve`
#[derive(Clone, Debug, Default, clap::Args)]
#[command(
    after_help = "Examples:\n  offhook serve\n  offhook serve --agent booking --listen 127.0.0.1:8080\n  \
                        offhook serve --config offhook.toml --record calls\n\n\
                        Routes: POST|GET /voice (TwiML), GET /media-stream (WebSocket), GET /healthz, GET /readyz, GET /metrics\n\n\
                        Signals: SIGTERM and SIGINT drain (a second one ends calls now), SIGHUP reads agents, prices and keys \
                        again. Exit status: 0 if every call came to its own end, 3 if calls were ended by the server"
)]
pub(crate) struct ServeArgs {
    /// Configuration file; `offhook.toml` in this folder is read if there is one
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Port to listen on
    #[arg(long, env = "PORT", value_name = "PORT")]
    port: Option<u16>,
    /// Who answers: pizza, booking, echo, or an agent's file
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// What carries the calls; else as the agent's file says
    #[arg(long, value_enum, value_name = "NAME")]
    transport: Option<Carrier>,
    /// Worker threads; else one per core
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Folder for tapes and records of calls
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// Pack the tapes, or don't: `--compress=false`. Default: they are packed
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    compress: Option<bool>,
    /// Show both sides of every conversation
    #[arg(long)]
    pub(super) show: bool,
}

/// What carries the calls.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Carrier {
    /// Sound: Offhook hears and speaks
    MediaStreams,
    /// Text: Twilio hears and speaks
    ConversationRelay,
}

impl From<Carrier> for Transport {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::MediaStreams => Self::MediaStreams,
            Carrier::ConversationRelay => Self::ConversationRelay,
        }
    }
}

impl ServeArgs {
    /// The configuration that they ask for; it is read anew each time.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::found(self.config.as_deref())?;
        if let Some(agent) = &self.agent {
            config.agent.clone_from(agent);
        }
        config.workers = self.workers.or(config.workers);
        config.record = self.record.clone().or(config.record);
        config.compress = self.compress.unwrap_or(config.compress);
        let faults = config.faults();
        if !faults.is_empty() {
            anyhow::bail!("the configuration can't be right:\n  {}", faults.join("\n  "));
        }
        Ok(config)
    }

    /// Where to listen.
    pub(super) fn address(&self, config: &Config) -> anyhow::Result<SocketAddr> {
        let is_signed = !config.signers()?.is_empty();
        let host = IpAddr::V4(if is_signed { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST });
        Ok(match (self.listen, self.port, config.listen) {
            (Some(listen), ..) => listen,
            (None, Some(port), listen) => SocketAddr::new(listen.map_or(host, |listen| listen.ip()), port),
            (None, None, Some(listen)) => listen,
            (None, None, None) => SocketAddr::new(host, 5000),
        })
    }

    pub(super) fn transport(&self) -> Option<Transport> {
        self.transport.map(Transport::from)
    }
}
