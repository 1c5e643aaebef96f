//! Two tenants of one server: neither reaches the other's calls, records, keys or limits, whatever it asks.

use std::time::Duration;

use offhook_simulator::{Script, When};
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::webhook::WebhookForm;
use serde_json::{Value, json};

use crate::fake_twilio::{ACCOUNT, FakeTwilio, TOKEN, post_signed};
use crate::server::{API_TOKEN, Server, line};

const BLUE: &str = "the-token-of-the-tenant-blue";
const RED: &str = "the-token-of-the-tenant-red";
const RED_TWILIO: &str = "red-auth-token";
const BLUES_NUMBER: &str = "+14155550100";
/// Who asks: a token, and further headers. Tests are a proxy of `[sign_in]`, so a person of red's needs no token.
type Who = (&'static str, &'static str);
const REDS: [Who; 2] = [(RED, ""), ("", "X-Auth-Request-Email: eve@red.example\r\n")];

fn server(fake: &FakeTwilio) -> Server {
    let text = format!(
        "agent = \"echo\"\n[sign_in]\nproxies = [\"127.0.0.1\"]\noperators = [\"ann@example.com\"]\n[twilio]\nauth_token_env = \"OWN_TWILIO\"\n[recording]\nform = \"wav\"\n\
         [[tenant]]\nname = \"blue\"\ntoken_env = \"BLUE_TOKEN\"\nagents = [\"pizza\"]\n\
         [tenant.twilio]\naccount_sid = \"{ACCOUNT}\"\nauth_token_env = \"BLUE_TWILIO\"\napi_base = \"{}\"\n\
         [tenant.outbound]\nfrom = \"+14155550101\"\nallow = [\"+1415555\"]\ncalls_per_second = 50.0\n\
         [[tenant]]\nname = \"red\"\ntoken_env = \"RED_TOKEN\"\nusers = [\"*@red.example\"]\nagents = [\"booking\"]\nrequests_per_second = 500.0\n\
         [tenant.twilio]\naccount_sid = \"AC000000000000000000000000000000ff\"\nauth_token_env = \"RED_TWILIO\"\napi_base = \
         \"http://127.0.0.1:1\"\n\
         [tenant.outbound]\nfrom = \"+14155550199\"\nallow = [\"+1415555\"]\ncalls_per_second = 50.0\n",
        fake.base
    );
    let secrets = [
        ("OWN_TWILIO", "own-auth-token"),
        ("BLUE_TOKEN", BLUE),
        ("BLUE_TWILIO", TOKEN),
        ("RED_TOKEN", RED),
        ("RED_TWILIO", RED_TWILIO),
    ];
    Server::with_tenants(&text, &secrets)
}

/// Every operation of the API's description: method, path, and a body that it takes.
pub(crate) fn operations() -> Vec<(String, String, String)> {
    let text = include_str!("../../src/api/openapi.json");
    let description: Value = serde_json::from_str(text).unwrap();
    let mut all = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|name| *name != "parameters") {
            let body = match (method.as_str(), path.as_str()) {
                ("post", "/calls") => json!({"to": "+14155550177", "agent": "pizza"}),
                ("post", "/calls/test") => json!({"agent": "pizza"}),
                ("post", "/speech") => json!({"text": "Hello."}),
                ("post", "/v1/deletions") => json!({"number": BLUES_NUMBER}),
                ("post", "/agents/check") => Value::String("agent = \"echo\"".into()),
                ("post", "/calls/{sid}/say") => json!({"text": "I am red."}),
                ("post", "/calls/{sid}/take-over") => json!({"on": true}),
                ("post", "/calls/{sid}/transfer") => json!({"to": "+14155550188"}),
                ("post", "/calls/{sid}/dtmf") => json!({"digits": "12"}),
                ("post", "/v1/tapes/{sid}/what-if") => json!({"set": []}),
                ("post", other) => panic!("POST {other} is new: what is its body?"),
                _ => Value::Null,
            };
            let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            let body = if method == "post" { body } else { String::new() };
            all.push((method.to_uppercase(), path.clone(), body));
        }
    }
    assert!(all.len() > 20);
    all
}

/// What nobody else may get to know of blue.
fn tells_of_blue(text: &str, sid: &str) -> bool {
    [sid, BLUES_NUMBER, "pizza", "blue", "Sell it", ACCOUNT].iter().any(|secret| text.contains(secret))
}

/// Asks everything as red, about blue's call.
async fn red_asks_everything(server: &Server, sid: &str, (token, headers): Who) {
    for (method, path, body) in operations() {
        let path_of = |sid: &str| path.replace("{sid}", sid);
        let (status, answer) = server.ask_as(token, (&method, &path_of(sid)), headers, &body).await;
        let what = format!("{method} {path}: {status} {answer}");
        if path.contains("{sid}") {
            assert_eq!(status, 404, "{what}");
            // It can't even be told from a call that never was.
            let never = format!("CA{}", "e".repeat(32));
            let of_none = server.ask_as(token, (&method, &path_of(&never)), headers, &body).await;
            assert_eq!((status, answer), of_none, "{what}");
            continue;
        }
        match (method.as_str(), path.as_str()) {
            // The description is everybody's, and names an example agent.
            ("GET", "/openapi.json") => assert_eq!(status, 200),
            ("POST", "/calls" | "/calls/test") => assert_eq!(status, 422, "{what}"),
            ("POST", "/agents/check") => assert_eq!(status, 403, "{what}"),
            ("POST", "/v1/deletions") => {
                let receipt: Value = serde_json::from_str(&answer).unwrap();
                assert_eq!(
                    (status, receipt["calls"].as_array().unwrap().len(), &receipt["objects"]),
                    (200, 0, &json!(0))
                );
            }
            _ => assert!(status == 200 && !tells_of_blue(&answer, sid), "{what}"),
        }
        if path != "/openapi.json" && path != "/calls/test" && !(method == "POST" && path == "/calls") {
            assert!(!answer.contains(sid) && !answer.contains(BLUES_NUMBER), "{what}");
        }
    }
    for query in
        ["tenant=blue", "tenant=", "number=%2B14155550100", "agent=pizza", "words=hello", "limit=100"]
    {
        let (_, page) = server.ask_as(token, ("GET", &format!("/v1/history?{query}")), headers, "").await;
        assert!(!tells_of_blue(&page, sid), "{query}: {page}");
        let (_, report) = server.ask_as(token, ("GET", &format!("/v1/report?{query}")), headers, "").await;
        let report: Value = serde_json::from_str(&report).unwrap();
        assert!(report["calls"].as_u64().is_none_or(|calls| calls == 0), "{query}: {report}");
    }
    assert_eq!(server.ask_as(token, ("GET", "/metrics"), headers, "").await.0, 401);
}

/// Sends what Twilio sends, signed for red's account, about blue's call.
async fn reds_account_speaks_of(server: &Server, sid: &str, reference: &str) {
    for path in [
        "voice",
        "status",
        "amd",
        "after-stream",
        "after-transfer",
        "stream-status",
        "after-relay",
        "app",
        "after-app",
    ] {
        for query in [String::new(), format!("?ref={reference}")] {
            let url = format!("http://{}/{path}{query}", server.address);
            let form = WebhookForm::default()
                .with("AccountSid", ACCOUNT)
                .with("CallSid", sid)
                .with("CallStatus", "completed")
                .with("From", BLUES_NUMBER)
                .with("To", "+14155550101")
                .with("AnsweredBy", "machine_start")
                .with("DialCallStatus", "completed");
            let signature = sign(&AuthToken::new(RED_TWILIO), &url, form.params());
            assert_eq!(post_signed(&url, &form, &signature).await, 403, "{url}");
        }
    }
}

async fn get(server: &Server, token: &str, path: &str) -> (u16, Value) {
    let (status, body) = server.ask_as(token, ("GET", path), "", "").await;
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn neither_tenant_reaches_the_others_calls_by_any_request() {
    let fake = FakeTwilio::start().await;
    fake.script(Script::new(vec![line("pizza-1", When::AfterAgent(300))]));
    let server = server(&fake);
    let order = json!({"to": BLUES_NUMBER, "goal": "Sell it."}).to_string();
    let key = "Idempotency-Key: one\r\n";
    let (status, call) = server.ask_as(BLUE, ("POST", "/calls"), key, &order).await;
    assert_eq!(status, 201, "{call}");
    let call: Value = serde_json::from_str(&call).unwrap();
    let sid = call["sid"].as_str().unwrap().to_owned();
    let path = format!("/calls/{sid}");
    for _ in 0..100 {
        if get(&server, BLUE, &path).await.1["transcript"].as_array().is_some_and(|said| said.len() >= 2) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // While it lasts.
    let live = get(&server, BLUE, &path).await.1;
    assert_eq!(
        (&live["talking"], &live["agent"], &live["tenant"]),
        (&json!(true), &json!("pizza"), &json!("blue")),
        "{live}"
    );
    let reference = fake.calls()[0].form["Url"][0].split_once("ref=").unwrap().1.to_owned();
    // All events, while the call talks.
    let events = server.ask_as(BLUE, ("GET", "/events"), "", "");
    let say = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let body = json!({"text": "And now goodbye."}).to_string();
        server.ask_as(BLUE, ("POST", &format!("{path}/say")), "", &body).await.0
    };
    let (reds, (events, said)) =
        tokio::join!(server.ask_as(RED, ("GET", "/events"), "", ""), async { tokio::join!(events, say) });
    assert!(said == 202 && events.1.contains(&sid), "{events:?}");
    assert!(!tells_of_blue(&reds.1, &sid), "{reds:?}");

    for who in REDS {
        red_asks_everything(&server, &sid, who).await;
    }
    reds_account_speaks_of(&server, &sid, &reference).await;
    // The same key is another key with another tenant: red's own agent, red's own account, which isn't there.
    let order = json!({"to": "+14155550166"}).to_string();
    let (status, other) = server.ask_as(RED, ("POST", "/calls"), key, &order).await;
    assert!(status == 502 && !tells_of_blue(&other, &sid), "{status} {other}");
    assert_eq!(fake.creates(), 1);
    let live = get(&server, BLUE, &path).await.1;
    assert!(!live.to_string().contains("I am red"), "{live}");
    // Each sees its own among all calls, the operator sees both.
    let listed = |token| {
        let server = &server;
        async move { get(server, token, "/calls").await.1["calls"].as_array().unwrap().len() }
    };
    assert_eq!((listed(BLUE).await, listed(API_TOKEN).await), (1, 2));

    // And once it is over, when there are a document, a tape and a recording.
    // It may have come to its own end meanwhile.
    let ended = server.ask_as(BLUE, ("DELETE", &format!("{path}?now=true")), "", "").await.0;
    assert!(matches!(ended, 200 | 202), "{ended}");
    let document = format!("/v1/history/{sid}");
    for _ in 0..100 {
        if get(&server, BLUE, &document).await.1["state"] == "over" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let kept = get(&server, BLUE, &document).await.1;
    assert_eq!((&kept["state"], &kept["tenant"]), (&json!("over"), &json!("blue")), "{kept}");
    for who in REDS {
        red_asks_everything(&server, &sid, who).await;
    }
    reds_account_speaks_of(&server, &sid, &reference).await;
    for path in [
        format!("/v1/tapes/{sid}"),
        format!("/v1/tapes/{sid}/sound"),
        format!("{document}/recording"),
        document,
    ] {
        for token in [BLUE, API_TOKEN] {
            assert_eq!(server.ask_as(token, ("GET", &path), "", "").await.0, 200, "{path}");
        }
    }
    let folder = server.folder.path().join("tenants/blue");
    assert!(folder.join(format!("{sid}.wav")).exists(), "its folder is its own");
    let (_, receipt) = server
        .ask_as(BLUE, ("POST", "/v1/deletions"), "", &json!({"number": BLUES_NUMBER}).to_string())
        .await;
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert!(
        receipt["calls"].as_array().unwrap().len() == 1 && receipt["objects"].as_u64().unwrap() >= 3,
        "{receipt}"
    );
    assert!(!folder.join(format!("{sid}.wav")).exists());
}

#[tokio::test]
async fn a_tenant_that_asks_too_much_takes_nothing_from_another() {
    let fake = FakeTwilio::start().await;
    let server = server(&fake);
    // Blue may ask 20 times a second, red 500 times.
    let mut refused = 0;
    for _ in 0..60 {
        refused += u32::from(server.ask_as(BLUE, ("GET", "/calls"), "", "").await.0 == 429);
    }
    assert!(refused > 0, "blue is bounded");
    assert_eq!(server.ask_as(RED, ("GET", "/calls"), "", "").await.0, 200);
    assert_eq!(server.ask("GET", "/calls", "", "").await.0, 200);
    assert_eq!(server.ask_as("no-token-of-anybody-here", ("GET", "/calls"), "", "").await.0, 401);
}
