//! Documents that lead to other documents, over real sockets.

use crate::agents;
use crate::examined::{examined, expect, options};
use crate::server::{Server, connect_to, ok, xml};

/// A webhook whose first document is this; at `/next?a=1&b=2` is the second.
async fn leads_on(
    first: &'static str,
    second: impl Fn(&str, &str) -> String + Send + Sync + 'static,
) -> Server {
    let webhook = move |request: &str, own: &str| {
        if request.starts_with("POST /voice ") {
            xml(&format!("<Response>{first}</Response>"))
        } else if request.contains(" /next?a=1&b=2") {
            second(request, own)
        } else {
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
    };
    Server::start(webhook, ok, agents::greets).await
}

const REDIRECT: &str = "<Redirect>/next?a=1&amp;b=2</Redirect>";

#[tokio::test]
async fn redirects_are_followed_as_twilio_does() {
    let media = |_: &str, own: &str| connect_to(&format!("wss://{own}/media"));
    let by_post = move |request: &str, own: &str| {
        let good = request.starts_with("POST ") && request.contains("CallSid=CA");
        if good { media("", own) } else { xml("<Response><Nonsense/></Response>") }
    };
    let by_get = move |request: &str, own: &str| {
        let good = request.starts_with("GET /next?a=1&b=2&") && request.contains("CallSid=CA");
        if good { media("", own) } else { xml("<Response><Nonsense/></Response>") }
    };
    let broken = |_: &str, _: &str| xml("<Response><Say>Tom & Jerry</Say></Response>");
    let get = "<Say>One moment</Say><Redirect method=\"GET\">/next?a=1&amp;b=2</Redirect>";
    let good = leads_on(REDIRECT, by_post).await;
    assert!(examined(options(&good)).await.stream_url.is_some());
    expect(vec![
        (good, "none"),
        (leads_on(get, by_get).await, "none"),
        (leads_on(REDIRECT, broken).await, "Fails bare-ampersand 12100"),
        (leads_on("<Redirect>/elsewhere</Redirect>", broken).await, "Fails webhook-not-found 11200"),
        (
            leads_on("<Redirect>http://no-such-host.invalid/x</Redirect>", broken).await,
            "Fails name-unknown 11210",
        ),
        (leads_on("<Redirect>ftp://h/x</Redirect>", broken).await, "Fails url-invalid 11100"),
    ])
    .await;
}

#[tokio::test]
async fn going_round_is_told_but_not_a_menu() {
    let back = |_: &str, _: &str| xml("<Response><Redirect>/voice</Redirect></Response>");
    let menu = "<Gather><Say>Press one.</Say></Gather><Redirect>/voice</Redirect>";
    expect(vec![
        (leads_on("<Redirect>/voice</Redirect>", back).await, "Fails redirect-round"),
        (leads_on("<Redirect/>", back).await, "Fails redirect-round"),
        (leads_on(REDIRECT, back).await, "Fails redirect-round"),
        (leads_on(menu, back).await, "none"),
    ])
    .await;
}
