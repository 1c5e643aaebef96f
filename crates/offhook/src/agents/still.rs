//! Stages for agents that need less than others.

use offhook_stage_api::{SttCommand, SttEvent, Transcript};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Stt, Tts, Tx};

/// Hears that there was speech, and no words in it.
pub(super) struct Wordless;

impl Stt for Wordless {
    fn name(&self) -> &str {
        "none"
    }

    fn wants_audio(&self) -> bool {
        false
    }

    fn run(
        &self,
        _call: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                let SttCommand::SpeechPaused { from, until } = command else { continue };
                let nothing = Transcript { from: from.0, until: until.0, ..Transcript::default() };
                if events.send(SttEvent::Final(nothing)).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// A stage that has nothing to do: an echo needs none.
pub(super) struct Idle;

async fn ignore<C, E>(commands: Rx<C>, _events: Tx<E>) -> Result<(), StageError> {
    while commands.recv().await.is_some() {}
    Ok(())
}

macro_rules! idle_stage {
    ($stage:ident, $command:ident, $event:ident $(, $more:item)?) => {
        impl $stage for Idle {
            fn name(&self) -> &str {
                "idle"
            }
            $($more)?
            fn run(
                &self,
                _call: CallInfo,
                commands: Rx<offhook_stage_api::$command>,
                events: Tx<offhook_stage_api::$event>,
            ) -> BoxFuture<Result<(), StageError>> {
                Box::pin(ignore(commands, events))
            }
        }
    };
}

idle_stage!(
    Stt,
    SttCommand,
    SttEvent,
    fn wants_audio(&self) -> bool {
        false
    }
);
idle_stage!(Llm, LlmCommand, LlmEvent);
idle_stage!(
    Tts,
    TtsCommand,
    TtsEvent,
    fn voice(&self) -> &str {
        ""
    }
);
