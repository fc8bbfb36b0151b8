//! Structured logs: text on a terminal, otherwise JSON (in a pod, for a log collector).

use std::io::IsTerminal;

use clap::ValueEnum;
use thiserror::Error;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// An output for spans and events, with its own filter: the log, or traces.
pub type OutputLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The module of kube that logs responses, which may contain Secrets: a response that does not parse at level `warn`, and an error,
/// which may quote the object, at `debug`. The caller logs errors itself, without confidential values.
const LOGS_RESPONSES: &str = "kube_client::client";

/// Events that the OpenTelemetry SDK may log: its queue is full (once), and the number of lost spans (when it stops).
#[cfg(feature = "otel")]
const SDK_MAY_LOG: [&str; 2] = [
    "BatchSpanProcessor.SpanDroppingStarted",
    "BatchSpanProcessor.SpansDropped",
];

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLineFormat {
    /// Text if standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text, for users.
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// Why logging cannot be set up.
#[derive(Debug, Error)]
pub enum Error {
    /// The filter does not parse.
    #[error("--log-level {0:?} is not a filter such as `info` or `info,kube=debug`: {1}")]
    Filter(String, tracing_subscriber::filter::ParseError),
    /// There is another subscriber.
    #[error("logging is already set up: {0}")]
    Init(#[from] TryInitError),
}

/// Writes log lines to standard error.
///
/// # Errors
/// If the filter does not parse, or logging is already set up.
pub fn init(filter: &str, format: LogLineFormat) -> Result<(), Error> {
    init_with(filter, format, None)
}

/// As [`init`], with a second output.
///
/// # Errors
/// As [`init`].
pub fn init_with(filter: &str, format: LogLineFormat, second: Option<OutputLayer>) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter).map_err(|error| Error::Filter(filter.into(), error))?;
    let is_terminal = std::io::stderr().is_terminal();
    let is_text = format == LogLineFormat::Text || (format == LogLineFormat::Auto && is_terminal);
    let log = if is_text {
        text(filter, std::io::stderr, is_terminal)
    } else {
        json(filter, std::io::stderr)
    };
    Ok(subscriber([Some(log), second]).try_init()?)
}

pub(crate) fn subscriber(layers: [Option<OutputLayer>; 2]) -> impl Subscriber + Send + Sync {
    let layers: Vec<OutputLayer> = layers.into_iter().flatten().collect();
    // Without this hint the maximum level would be TRACE, and every span and event of tokio and hyper would be evaluated.
    let max_level = layers.max_level_hint().unwrap_or(LevelFilter::TRACE);
    let is_allowed = move |metadata: &Metadata<'_>| *metadata.level() <= max_level && may_be_logged(metadata);
    Registry::default()
        .with(layers)
        .with(filter_fn(is_allowed).with_max_level_hint(max_level))
}

pub(crate) fn text<W>(filter: EnvFilter, writer: W, colours: bool) -> OutputLayer
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false)
        .with_filter(filter)
        .boxed()
}

fn json<W>(filter: EnvFilter, writer: W) -> OutputLayer
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // The steps of a reconcile are spans of level debug. If they are shown, the name of the server is in an outer span.
    let has_steps = filter
        .max_level_hint()
        .is_none_or(|level| level >= LevelFilter::DEBUG);
    tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(has_steps)
        .with_filter(filter)
        .boxed()
}

/// Responses of the API server are in no log and no trace, whatever level or filter the user sets.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    #[cfg(feature = "otel")]
    if is_sdk_internal(metadata) {
        return false;
    }
    metadata.target() != LOGS_RESPONSES
}

/// Whether the OpenTelemetry SDK logs about itself. `traces/delivery.rs` reports its failures less often.
#[cfg(feature = "otel")]
fn is_sdk_internal(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("opentelemetry") && !SDK_MAY_LOG.contains(&metadata.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::log_sink::Sink;

    fn logged(log: impl FnOnce(EnvFilter, Sink) -> OutputLayer) -> String {
        let sink = Sink::default();
        let filter = EnvFilter::new("trace,kube_client::client=trace");
        let log = log(filter, sink.clone());
        tracing::subscriber::with_default(subscriber([Some(log), None]), || {
            tracing::warn!(target: "kube_client::client", "response that quotes a Secret");
            tracing::debug!(target: "kube_client::client::builder", "requesting");
        });
        sink.text()
    }

    // invariant: 5
    #[test]
    fn responses_of_the_api_server_are_never_logged_but_requests_are() {
        let outputs = [
            logged(|filter, sink| text(filter, move || sink.clone(), false)),
            logged(|filter, sink| json(filter, move || sink.clone())),
        ];
        for output in outputs {
            assert!(output.contains("requesting"), "{output}");
            assert!(!output.contains("quotes a Secret"), "{output}");
        }
    }

    /// The log of one step of a reconcile at this level.
    fn step_at(level: &str, log: impl FnOnce(EnvFilter, Sink) -> OutputLayer) -> String {
        let sink = Sink::default();
        let log = log(EnvFilter::new(level), sink.clone());
        tracing::subscriber::with_default(subscriber([Some(log), None]), || {
            let _reconcile = tracing::info_span!("reconcile", object = "a/b").entered();
            let _step = tracing::debug_span!("apply").entered();
            tracing::info!("written");
        });
        sink.text()
    }

    #[test]
    fn events_below_the_level_are_not_evaluated() {
        for (filter, max_level) in [
            ("info", LevelFilter::INFO),
            ("info,kube=debug", LevelFilter::DEBUG),
        ] {
            let log = text(EnvFilter::new(filter), Sink::default, false);
            assert_eq!(subscriber([Some(log), None]).max_level_hint(), Some(max_level));
        }
    }

    #[test]
    fn steps_are_in_the_log_from_level_debug_and_do_not_hide_their_server() {
        let by_text = |filter, sink: Sink| text(filter, move || sink.clone(), false);
        let by_json = |filter, sink: Sink| json(filter, move || sink.clone());
        let server = r#"reconcile{object="a/b"}"#;
        assert!(step_at("info", by_text).ends_with(&format!(" {server}: written\n")));
        assert!(step_at("debug", by_text).ends_with(&format!(" {server}:apply: written\n")));
        let line = step_at("info", by_json);
        assert!(
            line.contains(r#""span":{"object":"a/b","name":"reconcile"}}"#),
            "{line}"
        );
        let line = step_at("debug", by_json);
        assert!(line.contains(r#""span":{"name":"apply"}"#), "{line}");
        assert!(line.contains(r#"{"object":"a/b","name":"reconcile"}"#), "{line}");
    }
}
