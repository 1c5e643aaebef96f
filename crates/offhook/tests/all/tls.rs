//! TLS of its own: a webhook, and a call on a WebSocket that moves to a worker.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::server::Server;

fn der(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../doctor/tests/certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn pem(folder: &Path, name: &str, kind: &str, file: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der(file));
    let path = folder.join(name);
    std::fs::write(&path, format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")).unwrap();
    path.display().to_string()
}

async fn connect(server: &Server) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(der("ca.der"))).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let wire = TcpStream::connect(&server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, wire).await.unwrap()
}

#[tokio::test]
async fn calls_are_answered_under_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = pem(folder.path(), "chain.pem", "CERTIFICATE", "good.der");
    let key = pem(folder.path(), "key.pem", "PRIVATE KEY", "server.key.der");
    let server =
        Server::open_with("echo", &format!("[http.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n"));

    // Whoever shakes no hands keeps nobody out.
    let _mute = TcpStream::connect(&server.address).await.unwrap();
    let mut wire = connect(&server).await;
    let request = "GET /voice?CallSid=CA00000000000000000000000000000001 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    wire.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A peer that ends TCP without a goodbye of TLS is no error of ours.
    let _cut = wire.read_to_string(&mut answer).await;
    assert!(
        answer.contains("https://localhost/after-stream") && answer.contains("wss://localhost/"),
        "{answer}"
    );

    let wire = connect(&server).await;
    let (mut socket, _) = client_async("ws://localhost/media-stream", wire).await.unwrap();
    let start = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},"streamSid":"MZ1"}"#;
    socket.send(Message::Text(start.into())).await.unwrap();
    let loud = base64::engine::general_purpose::STANDARD.encode([0x21; 160]);
    let echoed = async {
        for number in 0..500 {
            let media = format!(
                r#"{{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{number}","timestamp":"{}","payload":"{loud}"}},"streamSid":"MZ1"}}"#,
                number + 2,
                number * 20
            );
            socket.send(Message::Text(media.into())).await.unwrap();
            if let Ok(Some(Ok(Message::Text(text)))) =
                tokio::time::timeout(Duration::from_millis(20), socket.next()).await
                && text.contains("ISEhISEhISEhISEh")
            {
                return;
            }
        }
        panic!("nothing came back");
    };
    tokio::time::timeout(Duration::from_secs(30), echoed).await.unwrap();
}
