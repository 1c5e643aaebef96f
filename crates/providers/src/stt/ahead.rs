//! A recogniser's connection, opened while the telephone still rings.

use offhook_stages::BoxFuture;

use super::dialect::Dialect;
use crate::net::dial::Dial;

/// Opens a connection ahead of the call.
pub(crate) fn open_ahead<D: Dialect>(mut dialect: D, dial: Dial) -> BoxFuture<()> {
    let (stage, deadlines) = (dialect.stage().to_owned(), dialect.habits().deadlines);
    let place = dialect.open();
    Box::pin(async move {
        if let Ok(place) = place {
            dial.open_ahead(&stage, place.url, place.headers, &deadlines).await;
        }
    })
}
