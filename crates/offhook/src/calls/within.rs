//! The calls that a request may reach, and what belongs to them. The API works on these alone.

use std::path::PathBuf;
use std::sync::Arc;

use offhook_recording::{Form, Wav};
use offhook_store::Keys;

use super::live_call::LiveCall;
use super::{CallRegistry, Served};
use crate::keeper::safe;
use crate::tenants::Scope;

/// The registry, as far as a token reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within<'a> {
    registry: &'a CallRegistry,
    scope: &'a Scope,
}

impl CallRegistry {
    /// What may be reached with this token.
    pub(crate) fn within<'a>(&'a self, scope: &'a Scope) -> Within<'a> {
        Within { registry: self, scope }
    }

    /// Whether a call that is known is another's: by our reference or by its SID. A call that isn't known is nobody's yet.
    pub(crate) fn is_anothers(&self, scope: &Scope, reference: Option<&str>, sid: &str) -> bool {
        let (by_reference, by_sid) = {
            let index = self.index();
            (reference.and_then(|reference| index.by_reference(reference)), index.by_sid(sid))
        };
        let mut known = by_reference.into_iter().chain(by_sid).peekable();
        if known.peek().is_some() {
            return known.any(|live| !scope.sees(&live.tenant()));
        }
        self.expected(sid).is_some_and(|expected| !scope.sees(&expected.facts.tenant))
    }
}

impl<'a> Within<'a> {
    /// How far it reaches.
    pub(crate) const fn scope(&self) -> &'a Scope {
        self.scope
    }

    /// What is common to all: for what is to be done with a call that was found within reach.
    pub(crate) const fn registry(&self) -> &'a CallRegistry {
        self.registry
    }

    /// The call of this `CallSid`.
    pub(crate) fn call(&self, sid: &str) -> Option<Arc<LiveCall>> {
        self.registry.call(sid).filter(|live| self.scope.sees(&live.tenant()))
    }

    /// All calls, newest first.
    pub(crate) fn calls(&self) -> Vec<Arc<LiveCall>> {
        let mut all = self.registry.calls();
        all.retain(|live| self.scope.sees(&live.tenant()));
        all
    }

    /// The names of the agents that may be asked for; the first answers where none is.
    pub(crate) fn agents(&self) -> Vec<String> {
        self.registry.agents_of(self.scope)
    }

    /// The agent of this name, if it may be asked for.
    pub(crate) fn agent(&self, name: &str) -> Option<Arc<Served>> {
        self.registry.agent_of(self.scope, name)
    }

    /// A call's tape, if one was kept.
    ///
    /// # Errors
    /// It can't be read, or is too long to be shown.
    pub(crate) async fn tape(&self, sid: &str, most: u64) -> anyhow::Result<Option<Vec<u8>>> {
        let name = |is_packed| crate::record::tape_name(sid, is_packed);
        Ok(self.file(&[name(true), name(false)], most).await?.map(|(_, tape)| tape))
    }

    /// A call's recording, if there is one, and its type.
    ///
    /// # Errors
    /// The same.
    pub(crate) async fn recording(
        &self,
        sid: &str,
        most: u64,
    ) -> anyhow::Result<Option<(Vec<u8>, &'static str)>> {
        let names = [Form::Wav, Form::Flac].map(|form| format!("{}.{}", safe(sid), form.extension()));
        let found = self.file(&names, most).await?;
        Ok(found.map(|(index, sound)| match index {
            0 => (Wav::whole(sound), "audio/wav"),
            _ => (sound, "audio/flac"),
        }))
    }

    /// The first of these files that there is, and which it is; from the folders, else from the bucket. Opened, if it is encrypted.
    async fn file(&self, names: &[String], most: u64) -> anyhow::Result<Option<(usize, Vec<u8>)>> {
        let folders = self.registry.folders(self.scope);
        let paths: Vec<(usize, PathBuf)> = folders
            .iter()
            .flat_map(|folder| names.iter().enumerate().map(|(index, name)| (index, folder.join(name))))
            .collect();
        let mut found = tokio::task::spawn_blocking(move || first_of(paths, most)).await??;
        if let (None, Some(objects)) = (&found, self.registry.objects()) {
            'all: for folder in folders {
                for (index, name) in names.iter().enumerate() {
                    if let Some(bytes) = objects.get(folder, name, most).await? {
                        found = Some((index, bytes));
                        break 'all;
                    }
                }
            }
        }
        let open =
            |(index, bytes): (usize, Vec<u8>)| Ok((index, Keys::open(self.registry.file_keys(), &bytes)?));
        found.map(open).transpose()
    }
}

fn first_of(paths: Vec<(usize, PathBuf)>, most: u64) -> anyhow::Result<Option<(usize, Vec<u8>)>> {
    for (index, path) in paths {
        match std::fs::metadata(&path) {
            Ok(about) => anyhow::ensure!(
                about.len() <= most,
                "it has {} octets: too many to be fetched at once",
                about.len()
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        }
        match std::fs::read(&path) {
            // It was uploaded meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            read => return Ok(Some((index, read?))),
        }
    }
    Ok(None)
}
