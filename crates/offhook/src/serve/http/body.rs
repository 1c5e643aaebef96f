//! Request bodies, collected within bounds of memory and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

/// A whole body must be here within this.
const WITHIN: Duration = Duration::from_secs(10);

/// Why a body was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is longer than the limit.
    #[error("the body is too long")]
    TooLong,
    /// It did not come whole in time, or broke off.
    #[error("the body did not come whole within {WITHIN:?}")]
    Incomplete,
}

/// Collects a body of at most `limit` octets. Its pieces are copied into one buffer, because each would keep the read
/// buffer that it lies in: many short pieces cost no more than one long one.
///
/// # Errors
/// If it is longer, breaks off, or takes more than 10 s.
pub(crate) async fn collect(mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let collected = async {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyError::Incomplete)?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > limit - whole.len() {
                return Err(BodyError::TooLong);
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    };
    tokio::time::timeout(WITHIN, collected).await.unwrap_or(Err(BodyError::Incomplete))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    /// A body of single octets, each in a buffer of 8 KiB as a connection's reads are.
    fn dripping(count: usize) -> Body {
        let octets = stream::repeat_with(|| Bytes::from(vec![b'a'; 8_192]).slice(..1)).take(count);
        Body::new(StreamBody::new(octets.map(|octet| Ok::<_, Infallible>(Frame::data(octet)))))
    }

    #[tokio::test(start_paused = true)]
    async fn single_octets_become_one_buffer_up_to_the_limit() {
        assert_eq!(collect(dripping(100), 100).await.unwrap(), vec![b'a'; 100]);
        assert_eq!(collect(dripping(101), 100).await, Err(BodyError::TooLong));
        assert_eq!(collect(Body::empty(), 0).await.unwrap(), "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let endless = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let begun = tokio::time::Instant::now();
        assert_eq!(collect(Body::new(StreamBody::new(endless)), 100).await, Err(BodyError::Incomplete));
        assert_eq!(begun.elapsed(), WITHIN);
        // Neither does a slow sender, who sends something all the time, get more.
        let slow = stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"a")))
        });
        let begun = tokio::time::Instant::now();
        let outcome = collect(Body::new(StreamBody::new(slow.boxed())), 100).await;
        assert_eq!((outcome, begun.elapsed()), (Err(BodyError::Incomplete), WITHIN));
    }
}
