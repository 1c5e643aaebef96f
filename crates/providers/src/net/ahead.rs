//! A connection that is opened before there is a request for it, and without one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::Connection;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower_service::Service;

use super::connect::Answered;

/// A connection that nobody used for so long is given up, as in the pool. One that its server has closed meanwhile is replaced.
const KEPT: Duration = super::http::KEEP;

/// Makes connections, and gives the one that was opened ahead to who asks first for one to that server.
pub(super) struct Ahead<S: Service<Uri>> {
    inner: S,
    kept: Arc<Mutex<Option<Kept<S::Response>>>>,
}

impl<S: Service<Uri> + Clone> Clone for Ahead<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), kept: Arc::clone(&self.kept) }
    }
}

struct Kept<C> {
    server: Server,
    since: Instant,
    connection: C,
    /// Gives it up if nobody asks. Ends with it.
    _expiry: Expiry,
}

/// A task that is over when nobody has this any more.
struct Expiry(JoinHandle<()>);

impl Drop for Expiry {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Scheme and authority.
type Server = (Option<String>, Option<String>);

fn server(of: &Uri) -> Server {
    (of.scheme_str().map(str::to_owned), of.authority().map(|authority| authority.as_str().to_owned()))
}

impl<S: Service<Uri> + Clone> Ahead<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, kept: Arc::default() }
    }

    /// Opens a connection to this server, if none is kept. Whatever goes wrong will be told by the request that needs one.
    pub(super) async fn open(&self, to: &Uri)
    where
        S::Response: Send + 'static,
    {
        let server = server(to);
        let fresh = |kept: &Kept<S::Response>| kept.server == server && kept.since.elapsed() < KEPT;
        if self.kept.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(fresh) {
            return;
        }
        let mut inner = self.inner.clone();
        if std::future::poll_fn(|context| inner.poll_ready(context)).await.is_err() {
            return;
        }
        if let Ok(connection) = inner.call(to.clone()).await {
            // Nobody may ask after all: it isn't held longer than that, and by nobody but this.
            let all = Arc::downgrade(&self.kept);
            let expiry = tokio::spawn(async move {
                tokio::time::sleep(KEPT).await;
                if let Some(all) = all.upgrade() {
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    drop(all.take_if(|kept| kept.since.elapsed() >= KEPT));
                }
            });
            let kept = Kept { server, since: Instant::now(), connection, _expiry: Expiry(expiry) };
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        }
    }
}

impl<S> Service<Uri> for Ahead<S>
where
    S: Service<Uri>,
    S::Response: Connection + Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.take_if(|kept| kept.server == server(&to) || kept.since.elapsed() >= KEPT);
        if let Some(kept) = kept.filter(|kept| kept.since.elapsed() < KEPT) {
            Answered::was_kept(&kept.connection.connected());
            return Box::pin(std::future::ready(Ok(kept.connection)));
        }
        Box::pin(self.inner.call(to))
    }
}
