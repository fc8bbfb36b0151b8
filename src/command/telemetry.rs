//! Structured logs: text on a terminal, JSON elsewhere (in a pod, where a collector reads them).

use std::io::IsTerminal;

use clap::ValueEnum;
use thiserror::Error;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// One way to tell what happens: the log, or traces. Each has a filter of its own.
pub type Teller = Box<dyn Layer<Registry> + Send + Sync>;

/// The module of kube that logs the texts of answers, which may be Secrets: one that does not parse at level `warn`, an
/// error, which can quote the object, at `debug`. Errors reach the log by the caller, who knows what they may say.
const QUOTES_ANSWERS: &str = "kube_client::client";

/// What the OpenTelemetry SDK may log: that its queue is full, once, and at its end how many spans were lost.
#[cfg(feature = "otel")]
const SDK_MAY_LOG: [&str; 2] = [
    "BatchSpanProcessor.SpanDroppingStarted",
    "BatchSpanProcessor.SpansDropped",
];

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text if standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum Error {
    /// The filter does not parse.
    #[error("--log-level {0:?} is not a filter such as `info` or `info,kube=debug`: {1}")]
    Filter(String, tracing_subscriber::filter::ParseError),
    /// Another subscriber is in place.
    #[error("logging is set up already: {0}")]
    Init(#[from] TryInitError),
}

/// Sends log lines to standard error.
///
/// # Errors
/// When the filter does not parse, or logging is set up already.
pub fn init(filter: &str, format: LogFormat) -> Result<(), Error> {
    init_with(filter, format, None)
}

/// As [`init`], and tells it in a second way too.
///
/// # Errors
/// As [`init`].
pub fn init_with(filter: &str, format: LogFormat, second: Option<Teller>) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter).map_err(|error| Error::Filter(filter.into(), error))?;
    let is_terminal = std::io::stderr().is_terminal();
    let is_text = format == LogFormat::Text || (format == LogFormat::Auto && is_terminal);
    let log = if is_text {
        text(filter, std::io::stderr, is_terminal)
    } else {
        json(filter, std::io::stderr)
    };
    Ok(subscriber([Some(log), second]).try_init()?)
}

pub(crate) fn subscriber(tellers: [Option<Teller>; 2]) -> impl Subscriber + Send + Sync {
    let tellers: Vec<Teller> = tellers.into_iter().flatten().collect();
    // Named, or it would count as the finest there is, and all that tokio and hyper trace would be looked at.
    let finest = tellers.max_level_hint().unwrap_or(LevelFilter::TRACE);
    let safe = move |metadata: &Metadata<'_>| *metadata.level() <= finest && may_be_told(metadata);
    Registry::default()
        .with(tellers)
        .with(filter_fn(safe).with_max_level_hint(finest))
}

pub(crate) fn text<W>(filter: EnvFilter, writer: W, colours: bool) -> Teller
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

fn json<W>(filter: EnvFilter, writer: W) -> Teller
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // The steps of a reconcile are spans of level debug. Where they are shown, the server that they work on is further out.
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

/// No level and no filter of the user brings back what quotes answers of the API server: neither in the log nor in a trace.
fn may_be_told(metadata: &Metadata<'_>) -> bool {
    #[cfg(feature = "otel")]
    if is_chatter(metadata) {
        return false;
    }
    metadata.target() != QUOTES_ANSWERS
}

/// What the OpenTelemetry SDK logs about itself. `traces/delivery.rs` reports its failures, and less often.
#[cfg(feature = "otel")]
fn is_chatter(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("opentelemetry") && !SDK_MAY_LOG.contains(&metadata.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::log_sink::Sink;

    fn logged(log: impl FnOnce(EnvFilter, Sink) -> Teller) -> String {
        let sink = Sink::default();
        let filter = EnvFilter::new("trace,kube_client::client=trace");
        let log = log(filter, sink.clone());
        tracing::subscriber::with_default(subscriber([Some(log), None]), || {
            tracing::warn!(target: "kube_client::client", "answer that quotes a Secret");
            tracing::debug!(target: "kube_client::client::builder", "requesting");
        });
        sink.text()
    }

    // invariant: 5
    #[test]
    fn answers_of_the_api_server_are_never_logged_and_requests_are() {
        let outputs = [
            logged(|filter, sink| text(filter, move || sink.clone(), false)),
            logged(|filter, sink| json(filter, move || sink.clone())),
        ];
        for output in outputs {
            assert!(output.contains("requesting"), "{output}");
            assert!(!output.contains("quotes a Secret"), "{output}");
        }
    }

    /// What one step of a reconcile logs at this level.
    fn step_at(level: &str, log: impl FnOnce(EnvFilter, Sink) -> Teller) -> String {
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
    fn what_is_finer_than_the_level_costs_nothing() {
        for (filter, finest) in [
            ("info", LevelFilter::INFO),
            ("info,kube=debug", LevelFilter::DEBUG),
        ] {
            let log = text(EnvFilter::new(filter), Sink::default, false);
            assert_eq!(subscriber([Some(log), None]).max_level_hint(), Some(finest));
        }
    }

    #[test]
    fn steps_are_in_the_log_from_debug_on_and_never_hide_their_server() {
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
