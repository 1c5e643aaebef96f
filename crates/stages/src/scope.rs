//! Which call a thread works for at this moment, so that what is logged can name it, whoever logs.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A call, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Twilio's `CallSid`.
    pub call: Arc<str>,
    /// The agent's name; empty if it isn't known.
    pub agent: Arc<str>,
}

thread_local! {
    static NOW: Cell<Option<Scope>> = const { Cell::new(None) };
}

/// The call that this thread works for.
#[must_use]
pub fn now() -> Option<Scope> {
    NOW.with(|now| {
        let scope = now.take();
        now.set(scope.clone());
        scope
    })
}

/// Does something for a call.
pub fn within<T>(scope: Scope, work: impl FnOnce() -> T) -> T {
    lend(&mut Some(scope), work)
}

/// Has the thread work for this call meanwhile.
fn lend<T>(scope: &mut Option<Scope>, work: impl FnOnce() -> T) -> T {
    /// Puts back what was there before, also if the work panics.
    struct Entered<'a> {
        scope: &'a mut Option<Scope>,
        before: Option<Scope>,
    }
    impl Drop for Entered<'_> {
        fn drop(&mut self) {
            *self.scope = NOW.with(|now| now.replace(self.before.take()));
        }
    }
    let before = NOW.with(|now| now.replace(scope.take()));
    let _entered = Entered { scope, before };
    work()
}

/// A future that works for a call. To poll it costs two moves more: no allocation, no lock.
#[derive(Debug)]
pub struct InCall<F> {
    scope: Option<Scope>,
    run: Pin<Box<F>>,
}

impl<F> InCall<F> {
    /// Has `run` work for this call.
    pub fn new(scope: Scope, run: F) -> Self {
        Self { scope: Some(scope), run: Box::pin(run) }
    }
}

impl<F: Future> Future for InCall<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { scope, run } = &mut *self;
        lend(scope, || run.as_mut().poll(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(call: &str) -> Scope {
        Scope { call: call.into(), agent: "pizza".into() }
    }

    #[tokio::test]
    async fn a_thread_knows_whom_it_works_for_and_forgets_it() {
        let within = InCall::new(scope("CA1"), async {
            assert_eq!(now(), Some(scope("CA1")));
            tokio::task::yield_now().await;
            InCall::new(scope("CA2"), async { assert_eq!(now(), Some(scope("CA2"))) }).await;
            now()
        });
        let beside = async {
            tokio::task::yield_now().await;
            now()
        };
        assert_eq!(tokio::join!(within, beside), (Some(scope("CA1")), None));
        let mut broken = Box::pin(InCall::new(scope("CA3"), async { panic!("on purpose") }));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let polled =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| broken.as_mut().poll(&mut context)));
        assert!(polled.is_err() && now().is_none());
    }
}
