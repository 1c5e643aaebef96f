//! Stages that do what a test wants.

use std::sync::Arc;

use offhook_session::StageSet;
use offhook_stage_api::{AudioChunk, LlmCommand, LlmEvent, SttCommand, SttEvent, TtsCommand, TtsEvent};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Stt, Tts, Tx};

/// How a stage behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Mood {
    /// It works.
    #[default]
    Well,
    /// It returns at its first command, without an error.
    Ends,
    /// It returns an error at its first command.
    Fails,
    /// It panics at its first command.
    Panics,
    /// It panics when it is begun.
    PanicsAtOnce,
    /// It takes nothing, and does nothing.
    Stuck,
}

/// All three at once, in these moods.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moods {
    pub(crate) stt: Mood,
    pub(crate) llm: Mood,
    pub(crate) tts: Mood,
    /// The model wants this tool at once.
    pub(crate) tool: Option<&'static str>,
}

impl Moods {
    pub(crate) fn stages(self) -> StageSet {
        StageSet {
            stt: Arc::new(Hears(self.stt)),
            turn: None,
            llm: Arc::new(Thinks(self)),
            tts: Arc::new(Speaks(self.tts)),
        }
    }
}

/// Lets a stage do what its mood is, at a command. `None`: it goes on.
async fn moody(mood: Mood) -> Option<Result<(), StageError>> {
    match mood {
        Mood::Well | Mood::PanicsAtOnce => None,
        Mood::Ends => Some(Ok(())),
        Mood::Fails => Some(Err(StageError::Broken { stage: "test".into(), what: "it broke".into() })),
        Mood::Panics => panic!("a stage's own fault: 4711"),
        Mood::Stuck => std::future::pending().await,
    }
}

fn at_once(mood: Mood) {
    assert!(offhook_stages::scope::now().is_some(), "what a stage logs when it begins must name its call");
    assert!(mood != Mood::PanicsAtOnce, "a stage's own fault at once");
}

struct Hears(Mood);

impl Stt for Hears {
    fn name(&self) -> &str {
        "hears"
    }

    fn run(
        &self,
        _: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let mood = self.0;
        at_once(mood);
        Box::pin(async move {
            let _events = events;
            while commands.recv().await.is_some() {
                if let Some(end) = moody(mood).await {
                    return end;
                }
            }
            Ok(())
        })
    }
}

struct Thinks(Moods);

impl Llm for Thinks {
    fn name(&self) -> &str {
        "thinks"
    }

    fn run(
        &self,
        _: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let Moods { llm: mood, mut tool, .. } = self.0;
        at_once(mood);
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                if let LlmCommand::Respond(request) = command {
                    let reply = request.reply;
                    let text = |delta: &str| LlmEvent::Text { reply, delta: delta.to_owned() };
                    if mood != Mood::Well && mood != Mood::Stuck {
                        // What was said before the end comes before it.
                        let _over = events.send(text("I was about to")).await;
                    }
                    if let Some(end) = moody(mood).await {
                        return end;
                    }
                    let _over = events.send(text("Hello there. ")).await;
                    if let Some(name) = tool.take() {
                        let arguments = serde_json::Value::Null;
                        let call =
                            offhook_stage_api::ToolCall { id: "1".into(), name: name.into(), arguments };
                        let _over = events.send(LlmEvent::Tool { reply, call }).await;
                    }
                    let _over = events.send(LlmEvent::Done { reply }).await;
                }
            }
            Ok(())
        })
    }
}

struct Speaks(Mood);

impl Tts for Speaks {
    fn name(&self) -> &str {
        "speaks"
    }

    fn voice(&self) -> &str {
        ""
    }

    fn run(
        &self,
        _: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let mood = self.0;
        at_once(mood);
        Box::pin(async move {
            while let Some(command) = commands.recv().await {
                if let Some(end) = moody(mood).await {
                    return end;
                }
                let TtsCommand::Speak(request) = command else { continue };
                let (utterance, segment) = (request.utterance, request.segment);
                // Half a second of a tone.
                let sound: Vec<u8> = (0..4_000).map(|n| if n % 16 < 8 { 0x20 } else { 0xA0 }).collect();
                let chunk = AudioChunk::Mulaw(sound.into());
                let _over = events.send(TtsEvent::Audio { utterance, segment, chunk }).await;
                let _over = events.send(TtsEvent::Done { utterance, segment }).await;
            }
            Ok(())
        })
    }
}
