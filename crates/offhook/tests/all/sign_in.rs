//! People whom a proxy has signed in: who is let in by its header, and what the header never opens.

use serde_json::{Value, json};

use crate::console::upgrade;
use crate::server::Server;
use crate::tenants::operations;

const TWILIO: &str = "own-auth-token";
const ANN: &str = "X-Auth-Request-Email: ann@example.com\r\n";
const BOB: &str = "X-Auth-Request-Email: bob@blue.example\r\n";
const EVE: &str = "X-Auth-Request-Email: eve@example.com\r\n";
/// A form as Twilio posts it.
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A server without any token for its API, which believes this proxy.
fn server(proxy: &str) -> Server {
    let text = format!(
        "agent = \"echo\"\n[sign_in]\nproxies = [\"{proxy}\"]\noperators = [\"ann@example.com\"]\n[twilio]\nauth_token_env = \
         \"OWN_TWILIO\"\n[[tenant]]\nname = \"blue\"\nagents = [\"pizza\"]\nusers = [\"*@blue.example\"]\n"
    );
    Server::with_tenants(&text, &[("OWN_TWILIO", TWILIO)])
}

async fn announced(server: &Server, who: &str) -> Value {
    let (status, body) = server.ask_as("", ("POST", "/calls/test"), who, "{}").await;
    assert_eq!(status, 201, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn the_proxys_word_opens_the_api_for_those_who_are_listed() {
    let server = server("127.0.0.1");
    let shown = async |who: &str| -> Value {
        let (status, body) = server.ask_as("", ("GET", "/server"), who, "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };
    let ann = shown(ANN).await;
    assert_eq!((&ann["person"], &ann["tenant"]), (&json!("ann@example.com"), &Value::Null));
    let bob = shown(BOB).await;
    assert_eq!((&bob["person"], &bob["tenant"]), (&json!("bob@blue.example"), &json!("blue")));
    assert_eq!(bob["agents"].as_array().unwrap().len(), 1, "{bob}");
    // A call of ann's is none of bob's; one of bob's is both's.
    let (of_ann, of_bob) = (announced(&server, ANN).await, announced(&server, BOB).await);
    let status = async |who: &str, call: &Value| {
        let path = format!("/calls/{}", call["sid"].as_str().unwrap());
        server.ask_as("", ("GET", &path), who, "").await.0
    };
    assert_eq!((status(BOB, &of_ann).await, status(BOB, &of_bob).await), (404, 200));
    assert_eq!((status(ANN, &of_ann).await, status(ANN, &of_bob).await), (200, 200));
    assert_eq!(server.ask_as("", ("POST", "/agents/check"), BOB, "agent = \"echo\"").await.0, 403);
    // Who is in no list is told so; whom no proxy names, and whom a foreign page sends, is nobody.
    for (method, path, body) in operations().iter().filter(|(_, path, _)| path != "/openapi.json") {
        let path = path.replace("{sid}", of_ann["sid"].as_str().unwrap());
        let asked = async |headers: &str| server.ask_as("", (method, &path), headers, body).await;
        let (status, answer) = asked(EVE).await;
        assert!(status == 403 && answer.contains("not_listed"), "{method} {path}: {status} {answer}");
        for headers in [String::new(), format!("{ANN}{BOB}"), format!("{ANN}Sec-Fetch-Site: cross-site\r\n")]
        {
            let (status, answer) = asked(&headers).await;
            assert_eq!(status, 401, "{method} {path} {headers}: {answer}");
        }
    }
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let server = server("10.9.9.9");
    for (method, path, body) in operations().iter().filter(|(_, path, _)| path != "/openapi.json") {
        let path = path.replace("{sid}", &format!("CA{}", "e".repeat(32)));
        // `trusted_proxies` are believed for addresses, not for people.
        for more in ["", "X-Forwarded-For: 10.9.9.9\r\n", "Forwarded: for=10.9.9.9\r\n"] {
            let (status, answer) = server.ask_as("", (method, &path), &format!("{ANN}{more}"), body).await;
            assert_eq!(status, 401, "{method} {path}: {answer}");
        }
    }
    assert_eq!(server.ask_as("", ("GET", "/metrics"), ANN, "").await.0, 401);
}

#[tokio::test]
async fn webhooks_and_sockets_are_judged_by_signatures_and_keys() {
    let server = server("127.0.0.1");
    let call = announced(&server, BOB).await;
    let (sid, key) = (call["sid"].as_str().unwrap(), call["webhook_key"].as_str().unwrap());
    let form = |sid: &str| format!("CallSid={sid}&From=%2B14155550100&To=%2B14155550101&CallStatus=ringing");
    let webhook = call["webhook"].as_str().unwrap();
    let post = async |headers: &str, form: &str| {
        server.ask_as("", ("POST", webhook), &format!("{FORM}{headers}"), form).await
    };
    // The person's name signs nothing: a proxy lets webhooks through without having signed anyone in.
    for path in ["/voice", webhook] {
        let (status, answer) = server.ask_as("", ("POST", path), &format!("{FORM}{ANN}"), &form(sid)).await;
        assert_eq!(status, 403, "{path}: {answer}");
    }
    let with = |sid: &str, key: &str| format!("X-Offhook-Test-Call: {sid}.{key}\r\n");
    let (status, document) = post(&with(sid, key), &form(sid)).await;
    assert!(status == 200 && document.contains("<Stream"), "{status} {document}");
    let other = announced(&server, BOB).await;
    let others = other["sid"].as_str().unwrap();
    let ticket = call["ticket"].as_str().unwrap();
    for (headers, sid) in [
        (with(sid, key), others),
        (with(others, key), others),
        (with(sid, ticket), sid),
        (with("CA404", key), sid),
        (with(sid, ""), sid),
    ] {
        assert_eq!(post(&headers, &form(sid)).await.0, 403, "{headers}{sid}");
    }
    // Nor does the key open a socket.
    for headers in [with(sid, key), ANN.to_owned()] {
        assert_eq!(upgrade(&server, "/media-stream", &headers).await, 403, "{headers}");
    }
}
