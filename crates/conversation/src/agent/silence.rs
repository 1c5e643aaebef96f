//! What has been said into silences so far.

use offhook_stage_api::CallTime;

use crate::phrases::Phrases;

/// What has been tried so far.
#[derive(Debug, Default)]
pub(super) struct Silence {
    check_ins_said: usize,
    /// Counts over the call, so that not every wait begins with the same filler.
    filler_turn: usize,
    /// Fillers that were said into the present wait, or are about to be.
    pub(super) bridged: u32,
    /// Since when the latest of them was due.
    pub(super) bridged_at: CallTime,
    /// When the latest thing that was said was over, or was given up.
    pub(super) since: CallTime,
    /// The engine's own phrases, one after the other, that the voice gave no sound for.
    pub(super) voice_failures: u32,
}

impl Silence {
    /// What to say into the caller's silence; `None` when everything was said.
    pub(super) fn next_check_in(&mut self, phrases: &Phrases) -> Option<String> {
        let check_in = phrases.check_ins.get(self.check_ins_said).cloned();
        self.check_ins_said += 1;
        check_in
    }

    /// What to bridge a wait with; not always the same.
    pub(super) fn next_filler(&mut self, phrases: &Phrases) -> Option<String> {
        let count = phrases.fillers.len().max(1);
        let filler = phrases.fillers.get(self.filler_turn % count).cloned()?;
        self.filler_turn += 1;
        Some(filler)
    }

    /// A filler is said into the present wait.
    pub(super) fn bridge(&mut self, now: CallTime) {
        self.bridged += 1;
        self.bridged_at = now;
    }

    /// It was dropped before anything was heard of it.
    pub(super) const fn unbridge(&mut self) {
        self.bridged = self.bridged.saturating_sub(1);
    }

    /// Another wait begins.
    pub(super) const fn wait_anew(&mut self) {
        self.bridged = 0;
    }

    /// The caller said or keyed something.
    pub(super) const fn caller_is_there(&mut self) {
        self.check_ins_said = 0;
    }

    /// Something was said to its end, or won't be said.
    pub(super) fn over(&mut self, now: CallTime) {
        self.since = self.since.max(now);
    }
}
