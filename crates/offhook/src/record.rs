//! What is kept of a call, and what is shown of it while it lasts.
//!
//! Lines go over a bounded queue to one writer thread; when the disk can't keep up the tape is cut short and says so,
//! and the call goes on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Sender, TrySendError};
use offhook_conversation::{CallEvent, Deadline, Input, Output};
use offhook_media_line::CallConfig;
use offhook_script::Transport;
use offhook_session::Observer;
use offhook_stage_api::CallTime;
use offhook_stages::Usage;
use offhook_tape::{Header, TapedLine, packed, write_header, write_input, write_output};
use serde::{Deserialize, Serialize};

use crate::prices::Cost;
use crate::switchboard::outcome::Outcome;

/// The record of a call: what happened, for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) call: String,
    pub(crate) agent: String,
    #[serde(flatten)]
    pub(crate) summary: Summary,
    pub(crate) events: Vec<RecordedEvent>,
}

/// What a call was for, what came of it, what it used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    /// BCP 47 tag of the language that was spoken in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    /// By provider.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) usage: BTreeMap<String, Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<Cost>,
}

/// An event and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecordedEvent {
    pub(crate) t_ms: u64,
    #[serde(flatten)]
    pub(crate) event: CallEvent,
}

/// The record's file for a call.
pub(crate) fn record_path(folder: &Path, call: &str) -> PathBuf {
    folder.join(format!("{}.json", safe(call)))
}

/// The tape's file for a call.
pub(crate) fn tape_path(folder: &Path, call: &str, is_packed: bool) -> PathBuf {
    let packed = if is_packed { ".zst" } else { "" };
    folder.join(format!("{}.tape.jsonl{packed}", safe(call)))
}

/// A call's id comes from outside: only letters and digits of it go into a file's name, and `_` before a later stream's number.
fn safe(call: &str) -> String {
    call.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}

/// The thread that writes.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    /// Tapes are packed by zstd, each chunk by itself, in the writer's thread.
    packs: bool,
    jobs: Sender<Job>,
}

enum Job {
    Append {
        file: std::sync::Arc<File>,
        bytes: Vec<u8>,
    },
    Save {
        path: PathBuf,
        bytes: Vec<u8>,
    },
    /// Tells when everything before it is written.
    Settle(Sender<()>),
}

/// 64 chunks of 64 KiB.
const WAITING: usize = 64;
const CHUNK: usize = 64 * 1024;

impl Keeper {
    /// Starts the thread; makes the folder.
    pub(crate) fn start(folder: &Path, packs: bool) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("can't make the folder {}", folder.display()))?;
        let (jobs, queue) = crossbeam_channel::bounded(WAITING);
        std::thread::Builder::new().name("keeper".into()).spawn(move || {
            for job in queue {
                let outcome = match job {
                    Job::Append { file, bytes } if packs => (&*file).write_all(&packed(&bytes)),
                    Job::Append { file, bytes } => (&*file).write_all(&bytes),
                    Job::Save { path, bytes } => std::fs::write(path, bytes),
                    Job::Settle(settled) => {
                        // Nobody may wait any more.
                        let _unheard = settled.try_send(());
                        Ok(())
                    }
                };
                if let Err(error) = outcome {
                    tracing::warn!(%error, "a record could not be written");
                }
            }
        })?;
        Ok(Self { folder: folder.to_owned(), packs, jobs })
    }

    /// Waits until everything is written, for 2 s at most.
    pub(crate) fn settle(&self) {
        let (settled, wait) = crossbeam_channel::bounded(1);
        let until = Instant::now() + Duration::from_secs(2);
        let written =
            self.jobs.send_deadline(Job::Settle(settled), until).is_ok() && wait.recv_deadline(until).is_ok();
        if !written {
            tracing::warn!("the disk can't keep up: not everything of the last calls was written down");
        }
    }

    /// Writes what is known of a call, beside its record.
    pub(crate) fn save_facts(&self, call: &str, bytes: Vec<u8>) {
        let path = self.folder.join(format!("{}.call.json", safe(call)));
        if self.jobs.try_send(Job::Save { path, bytes }).is_err() {
            tracing::warn!(call, "the disk can't keep up: what came of this call was not written down");
        }
    }
}

/// Watches one call.
pub(crate) struct Recorder {
    keeper: Option<Keeper>,
    tape: Option<std::sync::Arc<File>>,
    buffer: Vec<u8>,
    record: Record,
    show: bool,
}

impl Recorder {
    pub(crate) fn new(
        transport: Transport,
        keeper: Option<Keeper>,
        (call, agent): (&str, &str),
        config: &CallConfig,
        show: bool,
    ) -> Self {
        let tape = keeper.as_ref().and_then(|keeper| {
            let path = tape_path(&keeper.folder, call, keeper.packs);
            File::create(&path)
                .inspect_err(|error| tracing::warn!(%error, path = %path.display(), "no tape of this call"))
                .ok()
                .map(std::sync::Arc::new)
        });
        let mut buffer = Vec::new();
        if tape.is_some() {
            let over = match transport {
                Transport::MediaStreams => offhook_tape::Transport::MediaStreams,
                Transport::ConversationRelay => offhook_tape::Transport::ConversationRelay,
            };
            let header = Header::new(call, agent, env!("CARGO_PKG_VERSION"), config).over(over);
            write_header(&mut buffer, &header);
        }
        let record = Record {
            call: call.to_owned(),
            agent: agent.to_owned(),
            summary: Summary::default(),
            events: Vec::new(),
        };
        Self { keeper, tape, buffer, record, show }
    }

    /// Takes what is to stand above the events, once the call is over.
    pub(crate) fn sum_up(&mut self, summary: Summary) {
        self.record.summary = summary;
    }

    fn send(&self, job: Job) -> bool {
        let Some(keeper) = &self.keeper else { return false };
        !matches!(keeper.jobs.try_send(job), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))
    }

    fn event(&mut self, now: CallTime, event: &CallEvent) {
        if let CallEvent::Trouble { message } = event {
            tracing::warn!(call = %self.record.call, at = %now, "{message}");
        }
        if self.show {
            crate::console::show_event(now, event);
        }
        if self.keeper.is_some() {
            let t_ms = u64::try_from(now.since_start().as_millis()).unwrap_or(u64::MAX);
            self.record.events.push(RecordedEvent { t_ms, event: event.clone() });
        }
    }

    fn spill(&mut self) {
        let Some(file) = self.tape.clone() else { return };
        let bytes = std::mem::take(&mut self.buffer);
        if !self.send(Job::Append { file, bytes }) {
            tracing::warn!(call = %self.record.call, "the disk can't keep up: the tape ends here");
            self.tape = None;
        }
    }
}

impl<L: TapedLine> Observer<L> for Recorder {
    fn input(&mut self, now: CallTime, input: &Input<L::Input<'_>>, deadline: Option<Deadline>) {
        if self.tape.is_some() {
            write_input::<L>(&mut self.buffer, now, input, deadline);
            if self.buffer.len() >= CHUNK {
                self.spill();
            }
        }
    }

    fn output(&mut self, now: CallTime, output: &Output<L::Wire>) {
        if self.tape.is_some() {
            write_output::<L>(&mut self.buffer, now, output);
        }
        if let Output::Event(event) = output {
            self.event(now, event);
        }
    }

    /// Stands in the record, and on no tape: the state machine knows nothing of it.
    fn notice(&mut self, now: CallTime, event: &CallEvent) {
        self.event(now, event);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.spill();
        let Some(keeper) = &self.keeper else { return };
        let path = record_path(&keeper.folder, &self.record.call);
        if let Ok(bytes) = serde_json::to_vec_pretty(&self.record)
            && !self.send(Job::Save { path, bytes })
        {
            tracing::warn!(call = %self.record.call, "the disk can't keep up: no record of this call");
        }
    }
}
