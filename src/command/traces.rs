//! Traces with OpenTelemetry: each reconcile is one trace, with a span for each step and for each API call.
//!
//! Needs the cargo feature `otel`. The spans are those of `tracing`, so the code that creates them does not depend on this module.
//! A thread takes them from a bounded queue and sends them to the collector with OTLP over HTTP. The operator never waits for a
//! collector: if the queue is full, spans are dropped.
//!
//! | file | content |
//! |---|---|
//! | `traces/settings.rs` | flags and environment variables; pure |
//! | `traces/filter.rs` | which spans and events are in a trace; pure |
//! | `traces/delivery.rs` | logs once that the collector is not reachable |
//! | `traces/collector.rs` | the HTTP client |

pub mod args;
mod collector;
mod delivery;
mod filter;
mod settings;

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tokio::runtime::Handle;
use tracing_subscriber::Layer;

use self::collector::{Collector, LastFailure};
use self::delivery::Delivery;
use self::settings::TracesSettings;
use crate::command::telemetry::OutputLayer;
use crate::command::traces::args::TracesArgs;

/// How long the operator waits for the collector to accept the last spans when it stops. The lease is already released then.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why traces cannot be sent.
#[derive(Debug, Error)]
pub enum Error {
    /// The URL of the collector is not valid. It is not quoted, because it may contain a password.
    #[error("{0} is not a valid URL such as http://collector:4318")]
    Endpoint(&'static str),
    /// The protocol is not supported.
    #[error(
        "OTEL_EXPORTER_OTLP_PROTOCOL is {0:?}, but only http/protobuf is supported (usually on port 4318)"
    )]
    Protocol(String),
    /// The sampler is not supported.
    #[error("OTEL_TRACES_SAMPLER is {0:?}, but must be one of {known}", known = settings::SAMPLERS.join(", "))]
    Sampler(String),
    /// The argument of the sampler is not valid.
    #[error("OTEL_TRACES_SAMPLER_ARG is {0:?}, but must be a number from 0 to 1")]
    SamplerArgument(String),
    /// The CA certificate for the collector cannot be read.
    #[error("OTEL_EXPORTER_OTLP_CERTIFICATE: {0} contains no valid certificate: {1}")]
    Certificate(PathBuf, String),
    /// TLS cannot be set up.
    #[error(
        "TLS to the collector cannot be set up: {0}. Set OTEL_EXPORTER_OTLP_CERTIFICATE to a file with the CA certificates to trust"
    )]
    Tls(#[source] Box<kube::Error>),
    /// The exporter refuses the value of a variable.
    #[error("traces cannot be sent: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// The export of traces. It does nothing if no collector is configured.
#[derive(Debug)]
pub struct Traces(Option<Pipeline>);

#[derive(Debug)]
struct Pipeline {
    provider: SdkTracerProvider,
    /// URL of the collector, without secret parts.
    collector: String,
}

impl Traces {
    /// Sets up the export from flags and the standard variables. Must be called in the runtime that later sends the spans.
    ///
    /// # Errors
    /// If the value of a flag or a variable is not supported.
    pub fn start(args: &TracesArgs) -> Result<Self, Error> {
        let variable = |name: &str| std::env::var(name).ok();
        let Some(settings) = TracesSettings::new(args, variable)? else {
            return Ok(Self(None));
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter(&settings)?)
            .with_resource(resource(settings.service_name.as_deref()))
            .build();
        Ok(Self(Some(Pipeline {
            provider,
            collector: settings.shown(),
        })))
    }

    /// The layer that records spans.
    #[must_use]
    pub fn layer(&self) -> Option<OutputLayer> {
        self.0.as_ref().map(|pipeline| layer(&pipeline.provider))
    }

    /// Logs the address of the collector, if there is one.
    pub fn announce(&self) {
        if let Some(Pipeline { collector, .. }) = &self.0 {
            tracing::info!(%collector, "traces are exported");
        }
    }

    /// Sends the last spans, with a timeout. No spans are recorded afterwards.
    pub async fn flush(self) {
        let Some(Pipeline { provider, .. }) = self.0 else {
            return;
        };
        let flushed =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("the collector did not accept the last traces in time");
        }
    }
}

fn exporter(settings: &TracesSettings) -> Result<Delivery<SpanExporter>, Error> {
    let last_failure = LastFailure::default();
    let collector = Collector::new(settings, Handle::current(), last_failure.clone())?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(settings.timeout)
        .build()?;
    Ok(Delivery::new(exporter, last_failure))
}

/// The service that sends the traces. The user's variables have priority over the default name.
fn resource(service_name: Option<&str>) -> Resource {
    let own = [
        KeyValue::new("service.name", "dittofs-operator"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let builder = Resource::builder_empty()
        .with_attributes(own)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match service_name {
        Some(name) => builder.with_service_name(name.to_owned()).build(),
        None => builder.build(),
    }
}

fn layer(provider: &SdkTracerProvider) -> OutputLayer {
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("dittofs-operator"))
        // Source locations, threads and polls are not useful in a trace.
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // All spans come from `tracing`, which knows the parent spans.
        .with_context_activation(false)
        .with_filter(filter::filter())
        .boxed()
}

#[cfg(test)]
mod tests;
