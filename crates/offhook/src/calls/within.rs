//! The calls that a request may reach, and what belongs to them. The API works on these alone.

use std::path::PathBuf;
use std::sync::Arc;

use super::live_call::LiveCall;
use super::{CallRegistry, Served};
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

    /// The tape of a call, if one was kept.
    pub(crate) fn tape(&self, sid: &str) -> Option<PathBuf> {
        let both = [false, true];
        let mut paths = self
            .registry
            .folders(self.scope)
            .into_iter()
            .flat_map(|folder| both.map(|packed| crate::record::tape_path(folder, sid, packed)));
        paths.find(|path| path.is_file())
    }

    /// A call's recording, if there is one: its file and its type.
    pub(crate) fn recording(&self, sid: &str) -> Option<(PathBuf, &'static str)> {
        self.registry.folders(self.scope).into_iter().find_map(|folder| super::recording_in(folder, sid))
    }
}
