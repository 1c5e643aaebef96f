//! Servers that check signatures wrongly, or not at all, over real sockets.

use crate::agents;
use crate::examined::{examined, options};
use crate::server::{Server, connect_to, ok};
use offhook_doctor::Options;
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::webhook::WebhookForm;

const TOKEN: &str = "12345";

async fn causes(server: &Server) -> Vec<&'static str> {
    let token = Some(AuthToken::new(TOKEN));
    let report = examined(Options { token, ..options(server) }).await;
    report.findings.iter().map(|finding| finding.cause).collect()
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

/// A webhook that checks signatures over another spelling of its URL; `{own}` is its address.
async fn checks_over(spelling: &'static str) -> Server {
    let webhook = move |request: &str, own: &str| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let form = WebhookForm::parse(body.as_bytes());
        let url = spelling.replace("{own}", own);
        if head.contains(&sign(&AuthToken::new(TOKEN), &url, form.params())) {
            connect_to(&format!("wss://{own}/media"))
        } else {
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
    };
    Server::start(webhook, ok, agents::greets).await
}

#[tokio::test]
async fn a_webhook_checked_over_another_url_is_told_so() {
    for spelling in ["https://{own}/voice", "http://{own}/voice/", "http://{own}"] {
        let server = checks_over(spelling).await;
        assert_eq!(causes(&server).await, ["signature-other-url"], "{spelling}");
    }
    let right = checks_over("http://{own}/voice").await;
    assert_eq!(causes(&right).await, ["upgrade-forged-accepted"]);
    assert_eq!(causes(&checks_over("https://elsewhere.example.com/").await).await, ["signature-refused"]);
}

#[tokio::test]
async fn a_webhook_that_drops_blank_parameters_is_told_so() {
    let webhook = |request: &str, own: &str| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let form = WebhookForm::parse(body.as_bytes());
        let kept: Vec<_> = form.params().iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
        if head.contains(&sign(&AuthToken::new(TOKEN), &format!("http://{own}/voice"), &kept)) {
            connect_to(&format!("wss://{own}/media"))
        } else {
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
    };
    let server = Server::start(webhook, ok, agents::greets).await;
    assert_eq!(causes(&server).await, ["signature-other-parameters"]);
}
