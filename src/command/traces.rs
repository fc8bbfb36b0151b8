//! Traces by OpenTelemetry: every reconcile is one, with a span for each of its steps and for each call in them.
//!
//! Built in by the feature `otel`. The spans are those of `tracing`, so the code that makes them knows nothing of this.
//! They wait in a queue of bounded length for a thread of their own, which hands them to the collector by OTLP over HTTP.
//! Neither a slow collector nor a dead one is waited for: what does not fit the queue is dropped.
//!
//! | file | what |
//! |---|---|
//! | `traces/settings.rs` | flags and variables; pure |
//! | `traces/filter.rs` | what belongs to a trace, and what must not; pure |
//! | `traces/delivery.rs` | says once that nothing arrives |
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

use self::collector::{Collector, Trouble};
use self::delivery::Delivery;
use self::settings::Settings;
use crate::command::telemetry::Teller;
use crate::command::traces::args::TracesArgs;

/// How long the operator waits, when it stops, for the collector to take the last spans. Its lease is given back by then.
const FLUSH: Duration = Duration::from_secs(3);

/// Why traces cannot be sent.
#[derive(Debug, Error)]
pub enum Error {
    /// The collector's address cannot be used. It is not quoted: it may hold a password.
    #[error("{0} is no URL such as http://collector:4318")]
    Endpoint(&'static str),
    /// Another protocol is asked for.
    #[error(
        "OTEL_EXPORTER_OTLP_PROTOCOL is {0:?}, but traces are sent by http/protobuf only (port 4318 as a rule)"
    )]
    Protocol(String),
    /// Another sampler is asked for.
    #[error("OTEL_TRACES_SAMPLER is {0:?}, but has to be one of {known}", known = settings::SAMPLERS.join(", "))]
    Sampler(String),
    /// The sampler's argument is no share.
    #[error("OTEL_TRACES_SAMPLER_ARG is {0:?}, but has to be a number from 0 to 1")]
    SamplerArgument(String),
    /// The certificate that the collector's is checked against cannot be read.
    #[error("OTEL_EXPORTER_OTLP_CERTIFICATE: {0} holds no usable certificate: {1}")]
    Certificate(PathBuf, String),
    /// TLS could not be set up.
    #[error(
        "no TLS to the collector: {0}. OTEL_EXPORTER_OTLP_CERTIFICATE names a file with authorities to trust"
    )]
    Tls(#[source] Box<kube::Error>),
    /// The exporter refuses what a variable says.
    #[error("traces cannot be sent: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// The way of traces to a collector, or nothing where none is given.
#[derive(Debug)]
pub struct Traces(Option<Pipeline>);

#[derive(Debug)]
struct Pipeline {
    provider: SdkTracerProvider,
    /// Without what may be secret.
    collector: String,
}

impl Traces {
    /// Sets it up from flags and the standard variables. Within a runtime, which sends them later on.
    ///
    /// # Errors
    /// When a flag or a variable says something that cannot be done.
    pub fn start(args: &TracesArgs) -> Result<Self, Error> {
        let variable = |name: &str| std::env::var(name).ok();
        let Some(settings) = Settings::new(args, variable)? else {
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

    /// Where spans enter.
    #[must_use]
    pub fn teller(&self) -> Option<Teller> {
        self.0.as_ref().map(|pipeline| teller(&pipeline.provider))
    }

    /// Says in the log where traces go, if they do.
    pub fn announce(&self) {
        if let Some(Pipeline { collector, .. }) = &self.0 {
            tracing::info!(%collector, "traces are sent");
        }
    }

    /// Hands the last spans over, within a bounded time. Nothing is traced any more afterwards.
    pub async fn flush(self) {
        let Some(Pipeline { provider, .. }) = self.0 else {
            return;
        };
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("the collector did not take the last traces in time");
        }
    }
}

fn exporter(settings: &Settings) -> Result<Delivery<SpanExporter>, Error> {
    let trouble = Trouble::default();
    let collector = Collector::new(settings, Handle::current(), trouble.clone())?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(settings.timeout)
        .build()?;
    Ok(Delivery::new(exporter, trouble))
}

/// Who sends them. What the user's variables say goes before what the operator says of itself.
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

fn teller(provider: &SdkTracerProvider) -> Teller {
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("dittofs-operator"))
        // Of the code's places, threads and polls a reader of traces has nothing.
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // All spans come from `tracing`, which knows their parents.
        .with_context_activation(false)
        .with_filter(filter::filter())
        .boxed()
}

#[cfg(test)]
mod tests;
