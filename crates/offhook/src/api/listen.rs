//! Both voices of a call, to whoever listens in: server-sent events.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Frame;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::calls::find;
use super::events::{KEEP_ALIVE, streamed, written};
use crate::calls::Within;
use crate::calls::live_call::Told;
use crate::serve::http::Answer;

/// Streams what goes over the wire: `caller` and `agent` with sound, `mark`, `clear`, `played`; to the call's end.
pub(super) fn stream(sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let live = find(sid, calls)?;
    let listener = live.listen_in();
    let over = live.is_over();
    Ok(streamed(stream::unfold((listener, over), next)))
}

type State = (Receiver<Told>, bool);

async fn next((mut listener, over): State) -> Option<(Result<Frame<Bytes>, Infallible>, State)> {
    if over {
        return None;
    }
    let (text, over) = match tokio::time::timeout(KEEP_ALIVE, listener.recv()).await {
        Err(_) => (":\n\n".to_owned(), false),
        Ok(Ok(told)) => (written(told.name, &told.data), told.name == "over"),
        Ok(Err(RecvError::Lagged(missed))) => (written("lagged", &format!("{{\"missed\":{missed}}}")), false),
        Ok(Err(RecvError::Closed)) => return None,
    };
    Some((Ok(Frame::data(text.into())), (listener, over)))
}
