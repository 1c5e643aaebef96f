//! Servers that check signatures wrongly, or not at all, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, reason = "tests")]

mod agents;
mod server;

use std::time::Duration;

use offhook_doctor::{Options, Times, examine};
use offhook_twilio::signature::{AuthToken, sign};
use server::Server;

const TOKEN: &str = "12345";

async fn causes(server: &Server) -> Vec<&'static str> {
    let times = Times {
        greeting: Duration::from_millis(1_500),
        answer: Duration::from_millis(2_500),
        stop_talking: Duration::from_millis(3_000),
        close: Duration::from_millis(1_500),
    };
    let token = Some(AuthToken::new(TOKEN));
    let report = examine(&Options { local: true, token, times, ..Options::new(&server.url()) }, |_| {}).await;
    report.unwrap().findings.iter().map(|finding| finding.cause).collect()
}

#[tokio::test]
async fn who_takes_forged_requests_is_told_so() {
    let found = causes(&Server::good(agents::greets).await).await;
    assert_eq!(found, ["forged-accepted", "upgrade-forged-accepted"]);
}

#[tokio::test]
async fn a_stream_checked_over_another_url_is_told_so() {
    let over_https = |head: &str, own: &str| {
        let right = sign(&AuthToken::new(TOKEN), &format!("https://{own}/media"), &[]);
        (!head.contains(&right)).then(|| "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_owned())
    };
    let found = causes(&Server::upgrade(over_https).await).await;
    assert!(found.contains(&"upgrade-signature-other-url"), "{found:?}");
}
