//! Oddities of real servers that clients must live with: not faults, but not what the first page of a manual shows.

use serde::{Deserialize, Serialize};

/// An oddity, seen in the field or told by a vendor's own documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// SSE: comments, empty `data:` and CR LF between events (llama.cpp, OpenRouter).
    SseNoise,
    /// SSE: `[DONE]` without the empty line after it (llama.cpp).
    DoneWithoutBlank,
    /// Chat: a first frame without choices, later ones without or with a null delta (Azure).
    AzureFrames,
    /// Chat: reasoning in fields of its own before the answer (vLLM, llama.cpp, Ollama).
    Reasoning,
    /// Chat: `<think>…</think>` inside the content (local models without a reasoning parser).
    ThinkTags,
    /// Chat: a tool call comes whole in one delta, without an index (Ollama).
    ToolWithoutIndex,
    /// Chat: all tool calls have index 0, and different ids (Ollama).
    ToolSameIndex,
    /// Chat: a tool call has no id (vLLM).
    ToolWithoutId,
    /// Chat: arguments are an object instead of text.
    ToolArgumentsObject,
    /// Chat: `finish_reason` is `stop` although tools are called (forced tools on OpenAI and vLLM).
    ToolFinishStop,
    /// Chat: no usage, whatever was asked for.
    NoUsage,
    /// Speech-to-text: every final ends with a full stop, and the next begins with a capital, wherever it was cut
    /// (recognisers that are asked to finalise).
    FullStops,
    /// Deepgram: an utterance's finals come in three segments.
    SplitFinals,
    /// Deepgram: `speech_final` comes on an empty transcript, after the words.
    EmptySpeechFinal,
    /// Deepgram: `speech_final` never comes, only `UtteranceEnd` (noisy lines).
    NoSpeechFinal,
    /// Chat Completions: the first event's content is `null`.
    NullContent,
    /// Deepgram: `Finalize` is not answered.
    NoFinalizeAnswer,
    /// Flux: `EagerEndOfTurn`, `TurnResumed`, `EagerEndOfTurn`, then the end.
    EagerTwice,
    /// Flux: a turn stays open for ever.
    TurnStall,
    /// ElevenLabs: `alignment` is null.
    NullAlignment,
    /// ElevenLabs: `charsDurationsMs`, `context_id` and `is_final` instead of the other spellings.
    OtherSpelling,
    /// Text-to-speech WebSockets: sound goes on for a moment after a cancel.
    LateAudio,
    /// Realtime: the caller's transcript comes only after `response.done`.
    LateTranscript,
}
