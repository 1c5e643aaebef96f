//! What a call is served with.

use std::collections::BTreeMap;
use std::sync::Arc;

use offhook_media_line::CallConfig;
use offhook_stages::{CallFacts, Meter};

use crate::control::ControlReceiver;
use crate::interceptor::Interceptor;
use crate::stages::StageSet;
use crate::toolbox::Tools;

/// What a call is served with.
pub struct Setup {
    /// How it behaves.
    pub config: Arc<CallConfig>,
    /// Its stages.
    pub stages: StageSet,
    /// BCP 47 tag of the agent's language.
    pub language: String,
    /// What the call is to achieve, in words.
    pub goal: Option<Arc<str>>,
    /// Custom parameters, of the stream and of the order that placed the call.
    pub parameters: Arc<BTreeMap<String, String>>,
    /// Who and what the call is.
    pub facts: Arc<CallFacts>,
    /// Where stages write down what they used.
    pub meter: Meter,
    /// How the application reaches into the call.
    pub control: Option<ControlReceiver>,
    /// Does what the agent's tools do.
    pub tools: Option<Arc<dyn Tools>>,
    /// Who may answer in the model's place.
    pub interceptor: Option<Arc<dyn Interceptor>>,
}

impl Setup {
    /// What every call needs; the rest is empty.
    #[must_use]
    pub fn new(config: Arc<CallConfig>, stages: StageSet, language: &str) -> Self {
        Self {
            config,
            stages,
            language: language.to_owned(),
            goal: None,
            parameters: Arc::default(),
            facts: Arc::default(),
            meter: Meter::default(),
            control: None,
            tools: None,
            interceptor: None,
        }
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("stages", &self.stages)
            .field("goal", &self.goal)
            .finish_non_exhaustive()
    }
}
