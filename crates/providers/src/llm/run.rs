//! A call's replies: a request each, which dropping it ends at the provider.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmCommand, LlmEvent, ReplyRequest};
use offhook_stages::{BoxFuture, CallInfo, Rx, StageError, Tx, Usage};

use super::intake::Intake;
use super::link::Inner;
use super::memory::Memory;
use super::prompt::Prompt;
use super::writer::Writer;
use crate::net::Answer;

/// What may come behind a whole answer, its usage for one, comes so soon or is done without.
const END_WITHIN: Duration = Duration::from_millis(300);

/// Serves a call.
pub(super) async fn serve(
    mut model: Arc<Inner>,
    call: CallInfo,
    commands: Rx<LlmCommand>,
    events: Tx<LlmEvent>,
) -> Result<(), StageError> {
    if let Some(prompt) = model.prompt.with_parameters(&call) {
        Arc::make_mut(&mut model).prompt = prompt;
    }
    if let Some(prompt) = model.prompt.with_goal(&call) {
        Arc::make_mut(&mut model).prompt = prompt;
    }
    let of_call: Arc<str> = model.prompt.of_call(&call).into();
    let memory = Memory::default();
    // The reply that is being written. Dropping it ends the request at the provider.
    let mut writing: Option<(ReplyId, BoxFuture<()>)> = None;
    loop {
        let command = tokio::select! {
            command = commands.recv() => command,
            () = written(&mut writing) => {
                writing = None;
                continue;
            }
        };
        match command {
            None => return Ok(()),
            Some(LlmCommand::Respond(request)) => {
                let reply = request.reply;
                let attempt = Attempt {
                    model: Arc::clone(&model),
                    call: call.clone(),
                    of_call: Arc::clone(&of_call),
                    memory: memory.clone(),
                    request,
                    events: events.clone(),
                };
                writing = Some((reply, Box::pin(attempt.write())));
            }
            Some(LlmCommand::Cancel { reply }) => {
                if writing.as_ref().is_some_and(|(id, _)| *id == reply) {
                    writing = None;
                }
            }
            // What was heard comes with the next request's history, results of tools too.
            Some(
                LlmCommand::Commit { .. }
                | LlmCommand::Interrupted { .. }
                | LlmCommand::ToolResult(_)
                | LlmCommand::News(_),
            ) => {}
        }
    }
}

/// Waits until the reply is written; for ever, if there is none.
async fn written(writing: &mut Option<(ReplyId, BoxFuture<()>)>) {
    match writing {
        Some((_, writing)) => writing.await,
        None => std::future::pending().await,
    }
}

/// One reply that is to be written.
struct Attempt {
    model: Arc<Inner>,
    call: CallInfo,
    of_call: Arc<str>,
    memory: Memory,
    request: Arc<ReplyRequest>,
    events: Tx<LlmEvent>,
}

impl Attempt {
    /// Has the reply written, and reports how it ended.
    async fn write(self) {
        let reply = self.request.reply;
        let usage = Usage { requests: 1, ..Usage::default() };
        let mut bill = Bill { call: self.call.clone(), name: self.model.name.clone(), usage };
        let last = match self.stream(&mut bill.usage).await {
            Ok(()) => LlmEvent::Done { reply },
            Err(error) => {
                bill.usage.failures += 1;
                LlmEvent::Failed { reply, failure: error.to_failure() }
            }
        };
        // A call that is gone needs no answer.
        let _gone = self.events.send(last).await;
    }

    async fn stream(&self, usage: &mut Usage) -> Result<(), StageError> {
        let model = &self.model;
        let of_call = Prompt::in_language(&self.of_call, &self.request);
        let body = model.body(&of_call, &self.request, &self.memory);
        let mut answer = model.http.send(model.ask(&self.call, body)?).await?;
        if answer.header("content-type").is_some_and(|kind| kind.contains("text/html")) {
            let what = "a web page in place of an answer; is `base_url` right?".to_owned();
            return Err(StageError::Garbage { stage: model.name.clone(), what });
        }
        let reader = model.protocol.reader(&model.name);
        let unopened = Arc::clone(&model.unopened);
        let mut writer = Writer::new(&self.request, reader, &model.name, self.memory.clone(), unopened);
        let all = self.read(&mut answer, &mut writer, usage).await;
        *usage = Usage { requests: 1, ..writer.reader.usage() };
        if all.is_err() {
            writer.fail(&self.events).await;
        }
        all?;
        writer.end(&self.events).await?;
        // The last octets behind the end are read, so that the connection can be used again.
        if let Ok(rest) = tokio::time::timeout(Duration::from_millis(200), answer.bytes(64 * 1024)).await {
            let _nothing_of_interest = rest;
        }
        Ok(())
    }

    async fn read(
        &self,
        answer: &mut Answer,
        writer: &mut Writer,
        usage: &mut Usage,
    ) -> Result<(), StageError> {
        let mut intake = Intake::default();
        while !writer.reader.progress().over && !writer.is_too_long() {
            let octets = if writer.reader.progress().finished {
                // The last sentence waits for this.
                match tokio::time::timeout(END_WITHIN, answer.chunk()).await {
                    Ok(Ok(octets)) => octets,
                    Ok(Err(_)) | Err(_) => None,
                }
            } else {
                answer.chunk().await?
            };
            let Some(octets) = octets else { break };
            intake.push(&self.model.name, &octets)?;
            while let Some(event) = intake.next_event() {
                writer.read(&event, &self.events).await?;
            }
            *usage = Usage { requests: 1, ..writer.reader.usage() };
        }
        match intake.finish() {
            Some(event) => writer.read(&event, &self.events).await,
            None => Ok(()),
        }
    }
}

/// Writes down what a request used when it is over, also when it was given up.
struct Bill {
    call: CallInfo,
    name: String,
    usage: Usage,
}

impl Drop for Bill {
    fn drop(&mut self) {
        self.call.meter.add(&self.name, |total| {
            total.requests += self.usage.requests;
            total.failures += self.usage.failures;
            total.input_tokens += self.usage.input_tokens;
            total.cached_tokens += self.usage.cached_tokens;
            total.output_tokens += self.usage.output_tokens;
        });
    }
}
