//! Books of a call: what must hold, worked out from inputs and outputs alone.

mod duties;
mod floor;
mod history;
mod requests;
mod silence;

use offhook_conversation::{CallEvent, Control, EndReason};
use offhook_stage_api::{LlmCommand, LlmEvent, SttCommand, SttEvent, ToolCall, ToolResult};

use super::scene::{Scene, Setup, Step};
use duties::Duties;
use floor::Floor;
use history::History;
use requests::Requests;
use silence::Silence;

/// What was noted of a call so far, and the first thing that was wrong.
pub struct Books {
    pub setup: Setup,
    /// The network is held up at some time.
    pub stalled: bool,
    pub broken: Option<String>,
    /// Twilio ends the stream.
    pub stopping: bool,
    pub hung_up: bool,
    now: u64,
    ended: bool,
    mailbox: bool,
    /// The application or the model wants the call to end, or the caller to be handed over.
    leaving: bool,
    /// What the caller did last is answered after a reply that nobody may interrupt.
    held_back: bool,
    /// There is no connection, and since when there is one again.
    away: bool,
    back_at: u64,
    history: History,
    floor: Floor,
    duties: Duties,
    silence: Silence,
    requests: Requests,
}

impl Books {
    /// `estimated`: what the caller hears when is only estimated on this line.
    pub fn new(scene: &Scene, estimated: bool) -> Self {
        let stalls = |step: &Step| matches!(step, Step::StallsIn(_) | Step::StallsOut(_));
        Self {
            setup: scene.setup.clone(),
            stalled: scene.steps.iter().any(|(_, step)| stalls(step)),
            broken: None,
            stopping: false,
            hung_up: false,
            now: 0,
            ended: false,
            mailbox: false,
            leaving: false,
            held_back: false,
            away: false,
            back_at: 0,
            history: History::default(),
            floor: Floor::default(),
            duties: Duties::new(scene, estimated),
            silence: Silence::new(scene, estimated),
            requests: Requests::default(),
        }
    }

    pub fn fail(&mut self, what: &str) {
        self.broken.get_or_insert_with(|| what.to_owned());
    }

    fn check(&mut self, result: Result<(), String>) {
        if let Err(what) = result {
            self.fail(&what);
        }
    }

    /// An input comes. The line has been quiet since `quiet_from`.
    pub fn begin_input(&mut self, now: u64, quiet_from: u64, caller_until: u64) {
        self.now = now;
        let excused = self.ended || self.mailbox || self.leaving || self.stopping || self.away;
        let quiet_from = quiet_from.max(self.back_at);
        if !excused {
            let result = self.silence.check(now, quiet_from, caller_until);
            self.check(result);
        }
        self.duties.begin_input();
        self.history.begin_input();
    }

    pub fn end_input(&mut self) {
        let excused = self.ended || self.hung_up || self.mailbox;
        let result = self.duties.end_input(excused);
        self.check(result);
        if !self.ended {
            self.held_back = self.requests.is_protected(&self.setup);
        }
        let pending = self.requests.are_due() || self.requests.tools_run();
        self.silence.pending(self.now, pending);
    }

    pub fn on_control(&mut self, control: &Control) {
        if self.ended {
            return;
        }
        match control {
            Control::LeaveMessage { .. } => self.mailbox = true,
            Control::HangUp | Control::Transfer { .. } => self.leaving = true,
            Control::Say { .. } | Control::Press { .. } => {}
        }
        self.duties.on_control(control);
    }

    pub fn announcements(&self) -> usize {
        self.duties.announcements()
    }

    pub fn on_model_ended(&mut self) {
        self.requests.model_ended = true;
    }

    /// The voice can't do what it should, or is too slow.
    pub fn voice_trouble(&mut self) {
        self.silence.voice_trouble(self.now);
        self.duties.voice_trouble = true;
    }

    /// The voice takes so long to begin.
    pub fn voice_takes(&mut self, us: u64) {
        self.silence.voice_takes(us);
    }

    /// So many keys went out (ConversationRelay).
    pub fn pressed(&mut self, _keys: usize) {
        self.duties.pressed += 1;
    }

    /// The connection is gone.
    pub fn on_lost(&mut self) {
        self.away = true;
        self.floor.caller_speaks(false);
    }

    /// Another is there.
    pub fn on_back(&mut self, now: u64) {
        self.away = false;
        self.back_at = now;
        self.history.on_back(now);
    }

    pub fn on_key(&mut self, key: char) {
        if !self.mailbox && !self.ended && !self.hung_up {
            self.history.on_key(key, self.now);
            self.silence.on_key(self.now);
        }
    }

    pub fn on_stt_event(&mut self, event: &SttEvent) {
        self.floor.on_stt_event(event);
        if let SttEvent::Final(transcript) = event {
            self.on_final(&transcript.text);
        }
    }

    pub fn on_stt_command(&mut self, command: &SttCommand) {
        self.floor.on_stt_command(command);
        if let SttCommand::TurnEnded { .. } = command {
            self.history.turn_closed();
        }
    }

    pub fn caller_speaks(&mut self, speaks: bool) {
        self.floor.caller_speaks(speaks);
    }

    fn on_final(&mut self, text: &str) {
        if !text.trim().is_empty() && !self.mailbox && !self.ended && !self.hung_up {
            self.history.on_final(text, self.now);
        }
    }

    pub fn on_prompt(&mut self, text: &str, last: bool) {
        if last {
            self.on_final(text);
        }
        self.floor.on_prompt(text, last);
    }

    pub fn on_llm_event(&mut self, event: &LlmEvent) {
        if self.requests.on_llm_event(event) {
            self.history.on_llm_event(event);
        }
        if let LlmEvent::Tool { call, .. } = event
            && matches!(call.name.as_str(), "end_call" | "transfer_call")
        {
            self.leaving = true;
        }
        self.duties.on_llm_event(event);
    }

    pub fn on_llm_command(&mut self, command: &LlmCommand) {
        let result = self.requests.on_llm_command(command);
        self.check(result);
        let result = match command {
            LlmCommand::Respond(request) => self.history.check(request, self.mailbox),
            LlmCommand::Commit { reply } => {
                if let Some(utterance) = self.history.committed(*reply) {
                    self.duties.committed(utterance, *reply);
                }
                Ok(())
            }
            _ => Ok(()),
        };
        self.check(result);
    }

    pub fn on_tool(&mut self, call: &ToolCall) {
        self.history.on_tool(call);
    }

    pub fn on_cancel_tool(&mut self, id: &str) {
        self.history.on_cancel_tool(id);
    }

    pub fn on_tool_result(&mut self, result: &ToolResult) {
        if !self.ended && !self.hung_up {
            self.history.on_tool_result(result);
        }
    }

    pub fn on_event(&mut self, event: &CallEvent) {
        if self.ended {
            return self.fail(&format!("after the end came {event:?}"));
        }
        self.leaving |= matches!(event, CallEvent::Ended { why: EndReason::VoiceFailed });
        self.history.on_event(event, self.now);
        let result = self.requests.on_event(event);
        self.check(result);
        if let CallEvent::Speaking { what, .. } = event {
            let waited = self.requests.are_due() || self.requests.tools_run() || self.requests.is_speaking();
            let result = self.floor.check(*what, waited);
            self.check(result);
        }
        self.floor.on_event(event);
        self.silence.on_event(event, self.now);
        let result = self.duties.on_event(event, self.now);
        self.check(result);
        self.ended |= matches!(event, CallEvent::Ended { .. });
    }

    /// The call is over: nothing may be left open.
    pub fn close(&mut self) {
        if !self.ended {
            return self.fail("the call is over, but its end was not reported");
        }
        let result = self.requests.close();
        self.check(result);
        let result = self.duties.close(self.now, self.mailbox || self.leaving || self.away);
        self.check(result);
        if !self.mailbox && !self.leaving && !self.away && !self.requests.model_ended && !self.held_back {
            let result = self.history.close(self.now);
            self.check(result);
        }
    }
}
