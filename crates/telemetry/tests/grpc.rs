//! Traces arrive over gRPC, at the service that OTLP's own types make.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use offhook_store::{Document, State};
use offhook_telemetry::{Protocol, Settings, Telemetry, span_id, trace_id};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tonic::{Request, Response, Status};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct Collector(Sender<(Option<String>, ExportTraceServiceRequest)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let key = request.metadata().get("x-key").and_then(|value| value.to_str().ok()).map(str::to_owned);
        self.0.send((key, request.into_inner())).unwrap();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[test]
fn a_call_arrives_as_a_trace_over_grpc() {
    if std::env::var_os("COLLECTOR_TEST").is_some() {
        return export();
    }
    let (sender, received) = channel();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(Collector(sender)));
    runtime.spawn(server.serve(address));
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_call_arrives_as_a_trace_over_grpc", "--nocapture"])
        .env("COLLECTOR_TEST", "1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20secret")
        .env("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        .status();
    assert!(status.unwrap().success());
    let (key, request) = received.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(key.as_deref(), Some("a secret"));
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    let hex = |id: &[u8]| id.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    assert_eq!((hex(&spans[0].trace_id), hex(&spans[0].span_id)), (trace_id("CA1"), span_id("CA1")));
    assert_eq!(hex(&spans[0].links[0].trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert!(received.try_recv().is_err(), "of the call without a parent there is no trace");
}

/// What the process that is watched does.
fn export() {
    let settings = Settings::from_environment(|name| std::env::var(name).ok()).unwrap();
    assert_eq!(settings.protocol, Protocol::Grpc);
    let telemetry = Telemetry::start(settings).unwrap();
    for (id, parent) in [("CA1", Some(PARENT)), ("CA2", None)] {
        let call = Document {
            id: id.into(),
            state: State::Over,
            started_at_ms: 1_796_045_760_000,
            traceparent: parent.map(str::to_owned),
            ..Document::default()
        };
        telemetry.put((id, parent), move || Some(call));
    }
    telemetry.flush(Duration::from_secs(30));
}
