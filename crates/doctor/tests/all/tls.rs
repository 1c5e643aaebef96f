//! Certificates, good and bad, over real sockets.

use std::sync::Arc;

use offhook_doctor::{Options, examine};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What is found first at a server with this certificate.
async fn found(certificate: &str, trusted: bool) -> String {
    let chain = vec![CertificateDer::from(file(certificate))];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(file("server.key.der")));
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((wire, _)) = listener.accept().await {
            // A client that distrusts goes away.
            let Ok(mut wire) = acceptor.accept(wire).await else { continue };
            let mut buffer = [0; 4096];
            let _request = wire.read(&mut buffer).await;
            let body = "<Response><Say>hello</Say></Response>";
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _gone = wire.write_all(answer.as_bytes()).await;
            let _closed = wire.shutdown().await;
        }
    });
    let roots = if trusted { vec![CertificateDer::from(file("ca.der"))] } else { vec![] };
    let options = Options { local: true, roots, ..Options::new(&format!("https://localhost:{port}/voice")) };
    let report = examine(&options, |_| {}).await.unwrap();
    report.findings.first().map(|finding| format!("{} {:?}", finding.cause, finding.code)).unwrap_or_default()
}

#[tokio::test]
async fn certificates_are_judged() {
    assert_eq!(found("good.der", true).await, "no-stream None");
    assert_eq!(found("good.der", false).await, "certificate-untrusted Some(11237)");
    assert_eq!(found("self.der", false).await, "certificate-self-signed Some(11237)");
    assert_eq!(found("other.der", true).await, "certificate-other-host Some(11235)");
    assert_eq!(found("expired.der", true).await, "certificate-expired Some(11236)");
}
