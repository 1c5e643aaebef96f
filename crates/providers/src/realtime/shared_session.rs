//! How the three adapters of a call find each other, and what they hand over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use offhook_stage_api::{LlmCommand, LlmEvent, TtsCommand, TtsEvent};
use offhook_stages::Tx;
use tokio::sync::watch;

/// What the model's and the voice's adapter hand over to the one that has the connection.
#[derive(Debug)]
pub(super) enum ToSession {
    /// Where the model's events go.
    Model(Tx<LlmEvent>),
    /// Where the voice's events go, and the other voice.
    Voice(Tx<TtsEvent>, Tx<TtsCommand>),
    Llm(LlmCommand),
    Tts(TtsCommand),
}

/// The way to a call's session: there while it is open.
pub(super) type SharedSession = watch::Sender<Option<Tx<ToSession>>>;

/// The calls that are served now. Asked once by each adapter, at the call's beginning.
#[derive(Debug, Default)]
pub(super) struct SharedSessions(Mutex<BTreeMap<Arc<str>, Weak<SharedSession>>>);

impl SharedSessions {
    /// The call's line; all adapters get the same.
    pub(super) fn of(&self, call: &Arc<str>) -> Arc<SharedSession> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(call).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(watch::Sender::new(None));
        lines.insert(Arc::clone(call), Arc::downgrade(&line));
        line
    }
}

/// The session is open as long as this lives.
pub(super) struct Open(Arc<SharedSession>);

impl Open {
    pub(super) fn new(line: Arc<SharedSession>, to: Tx<ToSession>) -> Self {
        line.send_replace(Some(to));
        Self(line)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}
