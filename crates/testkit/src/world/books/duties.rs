//! What must be heard is sent whole, or it is reported that it was not.

use std::collections::BTreeMap;

use offhook_conversation::{CallEvent, Control, DropCause, EndReason, UtteranceKind};
use offhook_stage_api::{Interruptible, LlmEvent, ReplyId, UtteranceId};

use crate::world::scene::Scene;

pub(super) struct Duties {
    /// What may interrupt replies that don't say so.
    reply: Interruptible,
    /// What the application has had said, and what of it was.
    announced: Vec<(String, Interruptible)>,
    said: usize,
    dropped: usize,
    /// Drops for which the caller is the reason.
    interrupted: usize,
    presses: usize,
    keys_over: usize,
    pub(super) pressed: usize,
    keys_said: usize,
    by_reply: BTreeMap<ReplyId, Interruptible>,
    replies: BTreeMap<UtteranceId, ReplyId>,
    message: Option<String>,
    message_said: bool,
    pub(super) voice_trouble: bool,
    /// What was cut short within this input; excused if the call ended with it.
    cut: Option<String>,
    trouble: bool,
    /// Twilio itself cuts off what stands behind something that may be interrupted (ConversationRelay).
    by_twilio: bool,
    /// What has to be said again, and since when.
    again: Vec<(String, u64)>,
}

/// It is said again within this, where nothing holds that up for longer.
const AGAIN_WITHIN: u64 = 15_000_000;

impl Duties {
    pub(super) fn new(scene: &Scene, by_twilio: bool) -> Self {
        Self {
            by_twilio,
            again: Vec::new(),
            reply: scene.setup.reply,
            announced: Vec::new(),
            said: 0,
            dropped: 0,
            interrupted: 0,
            presses: 0,
            keys_over: 0,
            pressed: 0,
            keys_said: 0,
            by_reply: BTreeMap::new(),
            replies: BTreeMap::new(),
            message: None,
            message_said: false,
            voice_trouble: false,
            cut: None,
            trouble: false,
        }
    }

    pub(super) fn announcements(&self) -> usize {
        self.announced.len()
    }

    pub(super) fn begin_input(&mut self) {
        (self.cut, self.trouble) = (None, false);
    }

    pub(super) fn end_input(&mut self, excused: bool) -> Result<(), String> {
        match self.cut.take() {
            Some(what) if !excused && !self.trouble => Err(what),
            _ => Ok(()),
        }
    }

    pub(super) fn on_control(&mut self, control: &Control) {
        match control {
            Control::Say { text, interruptible } => self.announced.push((text.clone(), *interruptible)),
            Control::Press { .. } => self.presses += 1,
            Control::LeaveMessage { text, .. } => {
                self.message.get_or_insert_with(|| text.clone());
            }
            Control::HangUp | Control::Transfer { .. } => {}
        }
    }

    pub(super) fn on_llm_event(&mut self, event: &LlmEvent) {
        if let LlmEvent::Interruptible { reply, by } = event {
            self.by_reply.insert(*reply, *by);
        }
    }

    pub(super) fn committed(&mut self, utterance: UtteranceId, reply: ReplyId) {
        self.replies.insert(utterance, reply);
    }

    fn must_be_heard(&self, utterance: UtteranceId, what: UtteranceKind, text: &str) -> bool {
        match what {
            UtteranceKind::Announcement => {
                // After a loss only the rest is said.
                let known = self.announced.iter().find(|(announced, _)| announced.ends_with(text));
                known.is_none_or(|(_, by)| *by == Interruptible::No)
            }
            UtteranceKind::Keys => true,
            UtteranceKind::Reply => {
                let Some(reply) = self.replies.get(&utterance) else { return false };
                self.by_reply.get(reply).copied().unwrap_or(self.reply) == Interruptible::No
            }
            _ => false,
        }
    }

    pub(super) fn on_event(&mut self, event: &CallEvent, now: u64) -> Result<(), String> {
        match event {
            CallEvent::Said { utterance, what, text, interrupted, heard, .. } => {
                self.said += usize::from(*what == UtteranceKind::Announcement);
                if *what == UtteranceKind::Keys {
                    self.keys_over += 1;
                    self.keys_said += usize::from(!interrupted);
                }
                self.message_said |= self.message.as_ref() == Some(text) && !interrupted;
                let must = *interrupted && self.must_be_heard(*utterance, *what, text);
                if must && self.by_twilio {
                    let rest: Vec<&str> =
                        text.split_whitespace().skip(heard.split_whitespace().count()).collect();
                    if *what != UtteranceKind::Keys && !rest.is_empty() {
                        self.again.push((rest.join(" "), now));
                    }
                } else if must && !self.voice_trouble {
                    let cut = format!("duties: “{text}” must be heard, but was cut off after “{heard}”");
                    self.cut.get_or_insert(cut);
                }
            }
            CallEvent::Dropped { what: UtteranceKind::Announcement, why, .. } => {
                self.dropped += 1;
                self.interrupted +=
                    usize::from(matches!(why, DropCause::Interrupted | DropCause::CallerBegan));
                let may_be = self.announced.iter().filter(|(_, by)| *by != Interruptible::No).count();
                if self.interrupted > may_be {
                    return Err("duties: an announcement that may not be interrupted was dropped".to_owned());
                }
            }
            CallEvent::Dropped { what: UtteranceKind::Keys, why, .. } => {
                self.keys_over += 1;
                if *why != DropCause::NoSound {
                    self.cut.get_or_insert(format!("duties: keys were dropped: {why:?}"));
                }
            }
            CallEvent::Speaking { text, .. } => {
                let begins = |rest: &str| rest.starts_with(text.trim()) || text.trim().starts_with(rest);
                self.again.retain(|(rest, _)| !begins(rest));
            }
            CallEvent::Trouble { message } => {
                self.trouble = true;
                self.keys_over += usize::from(message.starts_with("keys were not pressed"));
                self.dropped += usize::from(message.starts_with("an announcement was not said"));
            }
            CallEvent::Ended { why: EndReason::MessageLeft } if !self.message_said && !self.voice_trouble => {
                return Err("duties: the call ends as if the message was left".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn close(&self, now: u64, excused: bool) -> Result<(), String> {
        if let Some((rest, _)) = self.again.iter().find(|(_, at)| at + AGAIN_WITHIN < now)
            && !excused
        {
            return Err(format!("duties: “{rest}” must be heard, but was cut off, and not said again"));
        }
        if self.said + self.dropped < self.announced.len() {
            return Err("duties: an announcement was neither said nor reported as dropped".to_owned());
        }
        if self.keys_over < self.presses {
            return Err("duties: keys were neither pressed nor reported as dropped".to_owned());
        }
        if self.pressed > 0 && self.keys_said > self.pressed {
            return Err("duties: keys count as pressed that were not sent".to_owned());
        }
        Ok(())
    }
}
