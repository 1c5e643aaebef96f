//! An application that speaks ConversationRelay, as a server in the test's own process; and calls to the agent behind it.
#![allow(dead_code, reason = "nobody uses all of it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use futures_util::{SinkExt, StreamExt};
use offhook_doubles::{Doubles, DoublesConfig, Script as OfDoubles, Utterance};
use offhook_simulator::{CallPlan, Line, Script};
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// What an application answers a message with.
pub(crate) type Answers = Arc<dyn Fn(&Value) -> Vec<String> + Send + Sync>;

/// An application's server, and everything that it was sent.
pub(crate) struct Application {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Value>>>,
    pub(crate) signature: Arc<Mutex<Option<String>>>,
}

impl Application {
    pub(crate) async fn start(answers: impl Fn(&Value) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self::start_behind(None, answers).await
    }

    /// The same under TLS, as Twilio wants it: by the certificate of `localhost` that the tests' [authority] has signed.
    pub(crate) async fn start_with_tls(
        answers: impl Fn(&Value) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate("good.der").into()],
                PrivatePkcs8KeyDer::from(certificate("server.key.der")).into(),
            )
            .unwrap();
        Self::start_behind(Some(TlsAcceptor::from(Arc::new(config))), answers).await
    }

    async fn start_behind(
        tls: Option<TlsAcceptor>,
        answers: impl Fn(&Value) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = match tls {
            Some(_) => format!("wss://localhost:{}/relay", address.port()),
            None => format!("ws://{address}/relay"),
        };
        let (received, signature) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<Mutex<_>>::default());
        let answers: Answers = Arc::new(answers);
        let (log, signed) = (Arc::clone(&received), Arc::clone(&signature));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, signed, answers) = (Arc::clone(&log), Arc::clone(&signed), Arc::clone(&answers));
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            converse(tls.accept(stream).await.unwrap(), &log, &signed, &answers).await
                        }
                        None => converse(stream, &log, &signed, &answers).await,
                    }
                });
            }
        });
        Self { url, received, signature }
    }

    /// Everything so far.
    pub(crate) fn received(&self) -> Vec<Value> {
        self.received.lock().unwrap().clone()
    }

    /// The types of it.
    pub(crate) fn types(&self) -> Vec<String> {
        self.received().iter().map(|message| message["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Those of a type.
    pub(crate) fn of_type(&self, kind: &str) -> Vec<Value> {
        self.received().into_iter().filter(|message| message["type"] == kind).collect()
    }

    /// Waits until a message of this type has come.
    pub(crate) async fn until(&self, kind: &str) -> Value {
        for _ in 0..200 {
            if let Some(message) = self.of_type(kind).pop() {
                return message;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no `{kind}` came: {:#?}", self.received());
    }
}

/// One connection of an application's, to its end.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    log: &Mutex<Vec<Value>>,
    signed: &Mutex<Option<String>>,
    answers: &Answers,
) {
    #[allow(clippy::result_large_err, reason = "the library's signature")]
    let look = |request: &Request, response: Response| {
        let header = request.headers().get("x-twilio-signature");
        *signed.lock().unwrap() = header.map(|value| value.to_str().unwrap().to_owned());
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, look).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let message = match message {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            Message::Close(Some(frame)) => serde_json::json!({
                "type": "close", "code": u16::from(frame.code), "reason": frame.reason.as_str()
            }),
            _ => continue,
        };
        log.lock().unwrap().push(message.clone());
        for answer in answers(&message) {
            socket.send(Message::text(answer)).await.unwrap();
        }
    }
}

/// A certificate or key of the tests.
fn certificate(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../doctor/tests/certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The authority of the tests, as PEM.
pub(crate) fn authority() -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate("ca.der"));
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

pub(crate) fn token(text: &str, last: bool) -> String {
    serde_json::json!({"type": "text", "token": text, "last": last}).to_string()
}

/// Utterances whose words are all said at their beginning: however short the sound is, none is left for the next.
pub(crate) fn utterances(texts: &[&str]) -> Vec<Utterance> {
    // What is heard after that is nothing, not the beginning again.
    let all = texts.iter().chain(&["", "", ""]);
    all.map(|text| {
        let ends_ms = (1..).map(|word| word * 60).take(text.split_whitespace().count()).collect();
        Utterance { text: (*text).to_owned(), ends_ms }
    })
    .collect()
}

/// A recogniser that hears this, an utterance each; ended when dropped. And the table of an agent that listens by it.
pub(crate) async fn recogniser(hears: &[&str]) -> (Doubles, String) {
    let caller = utterances(hears);
    let script = OfDoubles { caller, ..OfDoubles::default() };
    let doubles = Doubles::start(DoublesConfig { script, ..DoublesConfig::default() }).await.unwrap();
    let table = format!(
        "[[stt]]\nprovider = \"deepgram\"\nmodel = \"nova-3\"\nurl = \"{}/v1/listen\"\n",
        doubles.ws()
    );
    (doubles, table)
}

/// An agent whose words are an application's; the voice is on this machine.
pub(crate) fn agent_file(url: &str, stt: &str, more: &str) -> String {
    format!(
        "[agent]\nname = \"app\"\ngreeting = \"Hello, this is the test.\"\n{stt}[[llm]]\nprovider = \"conversation-relay\"\nurl = \
         \"{url}\"\n{more}\n[[tts]]\nprovider = \"embedded\"\n"
    )
}

pub(crate) fn plan(address: &str, number: u32, lines: Vec<Line>) -> CallPlan {
    CallPlan {
        url: format!("http://{address}/voice"),
        auth_token: None,
        call_sid: CallSid::parse(&format!("CA{number:032x}")).unwrap(),
        stream_sid: StreamSid::parse(&format!("MZ{number:032x}")).unwrap(),
        account_sid: AccountSid::parse("AC00000000000000000000000000000000").unwrap(),
        from: "+14155550100".into(),
        to: "+14155550101".into(),
        script: Script::new(lines),
        hang_up_after: Duration::from_millis(1_500),
        longest: Duration::from_secs(25),
        drop_after: None,
    }
}
