//! Collectors for a test: one that stores what it receives, and one that never answers.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;

/// A collector that stores what it receives.
pub struct Collector {
    address: SocketAddr,
    requests: Requests,
}

type Requests = Arc<Mutex<Vec<Bytes>>>;
type Attributes = BTreeMap<String, String>;

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct Span {
    pub name: String,
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    /// Empty for the first of its trace.
    pub parent: Vec<u8>,
    pub attributes: Attributes,
    /// The resource attributes of the sender.
    pub resource: Attributes,
    pub events: Vec<String>,
}

impl Collector {
    /// Listens on loopback.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Requests::default();
        let router = Router::new()
            .route("/v1/traces", post(keep))
            .with_state(Arc::clone(&requests));
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { address, requests }
    }

    /// The arguments for the operator.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every byte that arrived, as text.
    pub fn bytes(&self) -> String {
        let requests = self.requests.lock().expect("requests");
        requests
            .iter()
            .map(|request| String::from_utf8_lossy(request))
            .collect()
    }

    /// Every span that arrived.
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.requests.lock().expect("requests");
        let decoded = requests
            .iter()
            .map(|bytes| ExportTraceServiceRequest::decode(bytes.clone()).expect("OTLP"));
        decoded
            .flat_map(|request| request.resource_spans)
            .flat_map(spans)
            .collect()
    }
}

async fn keep(State(requests): State<Requests>, body: Bytes) {
    requests.lock().expect("requests").push(body);
}

fn spans(of_one_resource: ResourceSpans) -> Vec<Span> {
    let resource = attributes(of_one_resource.resource.unwrap_or_default().attributes);
    let spans = of_one_resource
        .scope_spans
        .into_iter()
        .flat_map(|scope| scope.spans);
    spans
        .map(|span| Span {
            name: span.name,
            trace: span.trace_id,
            id: span.span_id,
            parent: span.parent_span_id,
            attributes: attributes(span.attributes),
            resource: resource.clone(),
            events: span.events.into_iter().map(|event| event.name).collect(),
        })
        .collect()
}

fn attributes(list: Vec<KeyValue>) -> Attributes {
    list.into_iter()
        .map(|attribute| (attribute.key, text(attribute.value)))
        .collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// Accepts connections and requests, and never answers.
pub struct Silent {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Silent {
    /// Listens on loopback, until the process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for connection in listener.incoming() {
                open.push(connection);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, connections }
    }

    /// The arguments for the operator.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often the operator has tried.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
