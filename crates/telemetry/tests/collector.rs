//! Traces arrive at a collector, as OTLP's own types read them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use offhook_store::{Document, Speaker, State, Turn};
use offhook_telemetry::{Settings, Telemetry};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

/// A collector that takes one request; the first try it answers with 503.
fn collect(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut wire, _) = listener.accept().unwrap();
    let (mut read, mut buffer) = (Vec::new(), [0; 4_096]);
    let (head, length) = loop {
        let count = wire.read(&mut buffer).unwrap();
        read.extend_from_slice(&buffer[..count]);
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
            break (head.clone(), (end + 4, length.parse::<usize>().unwrap()));
        }
    };
    while read.len() < length.0 + length.1 {
        let count = wire.read(&mut buffer).unwrap();
        read.extend_from_slice(&buffer[..count]);
    }
    wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    (head, read[length.0..].to_vec())
}

#[test]
fn a_call_arrives_as_a_trace() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // SAFETY is not at stake: nextest gives each test a process, and this file has one test.
    let status = if std::env::var_os("COLLECTOR_TEST").is_none() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_call_arrives_as_a_trace", "--nocapture"])
            .envs([
                ("COLLECTOR_TEST", "1"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("OTEL_SERVICE_NAME", "phone"),
            ])
            .spawn();
        Some(child.unwrap())
    } else {
        None
    };
    let Some(mut child) = status else { return export() };
    let (head, body) = collect(&listener);
    assert!(child.wait().unwrap().success());
    assert!(head.starts_with("post /v1/traces "), "{head}");
    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    assert!(resource.attributes.iter().any(
        |attribute| attribute.key == "service.name" && format!("{:?}", attribute.value).contains("phone")
    ));
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["conversation", "invoke_agent pizza"]);
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
    assert!(!format!("{request:?}").contains("+1415"));
}

/// What the process that is watched does.
fn export() {
    let settings = Settings::from_environment(|name| std::env::var(name).ok()).unwrap();
    let telemetry = Telemetry::start(settings).unwrap();
    let call = Document {
        id: "CA1".into(),
        state: State::Over,
        agent: "pizza".into(),
        from: "+14155550100".into(),
        started_at_ms: 1_796_045_760_000,
        turns: vec![Turn {
            who: Speaker::Agent,
            at_ms: 1,
            until_ms: 900,
            text: "Hello".into(),
            ..Turn::default()
        }],
        ..Document::default()
    };
    telemetry.put(("CA1", None), move || Some(call));
    telemetry.flush(Duration::from_secs(30));
}
