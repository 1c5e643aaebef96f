//! Several providers of a kind, in the order in which they are tried.

use std::sync::Arc;

use offhook_stages::StageError;

use crate::Link;
use crate::providers::Provider;

/// Providers of a kind in the order in which they are tried: [`LlmChain`](crate::LlmChain), [`TtsChain`](crate::TtsChain),
/// [`SttChain`](crate::SttChain). Clones share the links.
#[derive(Debug)]
pub struct Chain<S: ?Sized> {
    links: Arc<[Link<S>]>,
    name: String,
}

impl<S: ?Sized> Clone for Chain<S> {
    fn clone(&self) -> Self {
        Self { links: Arc::clone(&self.links), name: self.name.clone() }
    }
}

impl<S: Provider + ?Sized> Chain<S> {
    /// A chain of these links.
    ///
    /// # Errors
    /// If there are none.
    pub fn new(links: Vec<Link<S>>) -> Result<Self, StageError> {
        if links.is_empty() {
            return Err(StageError::Unavailable {
                stage: S::KIND.to_owned(),
                what: "its chain has no link".to_owned(),
                hint: "name at least one provider".to_owned(),
            });
        }
        let names: Vec<&str> = links.iter().map(|link| link.stage.provider_name()).collect();
        let name = names.join("+");
        Ok(Self { links: links.into(), name })
    }

    /// The links, for metrics.
    #[must_use]
    pub fn links(&self) -> &[Link<S>] {
        &self.links
    }

    /// The links' names as one.
    pub(crate) fn joined_name(&self) -> &str {
        &self.name
    }

    pub(crate) fn share(&self) -> Arc<[Link<S>]> {
        Arc::clone(&self.links)
    }
}
