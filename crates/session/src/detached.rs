//! A call between one socket and the next.

use tokio::sync::oneshot;

use crate::driver::{Driver, Observer, SessionLine};
use crate::setup::Setup;

/// A call without a socket: its conversation goes on where it was heard, if it gets another.
pub struct Detached<L: SessionLine, W>(pub(crate) Box<Driver<L, W>>);

impl<L: SessionLine, W> std::fmt::Debug for Detached<L, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Detached").field(&self.0).finish()
    }
}

impl<L: SessionLine, W: Observer<L>> Detached<L, W> {
    /// The call has not come back: it is over.
    pub fn give_up(mut self) {
        self.0.stop();
    }
}

/// Why a session is to leave its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The call goes on over another: it is given back.
    ForAnother,
    /// The call is over.
    Over,
}

/// What a socket serves.
pub enum Admitted<L: SessionLine, W> {
    /// A call that begins.
    New(Box<Setup>, W),
    /// One that was cut off, and is back.
    Back(Detached<L, W>),
}

impl<L: SessionLine, W> std::fmt::Debug for Admitted<L, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New(..) => "New",
            Self::Back(_) => "Back",
        })
    }
}

/// What a socket serves, and who may ask it to leave.
pub type Admission<L, W> = (Admitted<L, W>, Option<oneshot::Receiver<Leave>>);
