//! Structured logs: text on a terminal, JSON elsewhere (in a pod, where a collector reads them).

use std::io::IsTerminal;

use clap::ValueEnum;
use thiserror::Error;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The module of kube that logs the texts of answers, which may be Secrets: one that does not parse at level `warn`, an
/// error, which can quote the object, at `debug`. Errors reach the log by the caller, who knows what they may say.
const QUOTES_ANSWERS: &str = "kube_client::client";

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
    let filter = EnvFilter::try_new(filter).map_err(|error| Error::Filter(filter.into(), error))?;
    let is_terminal = std::io::stderr().is_terminal();
    let is_text = format == LogFormat::Text || (format == LogFormat::Auto && is_terminal);
    if is_text {
        text(filter, std::io::stderr, is_terminal).try_init()?;
    } else {
        json(filter, std::io::stderr).try_init()?;
    }
    Ok(())
}

fn text<W>(filter: EnvFilter, writer: W, colours: bool) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false)
        .finish()
        .with(filter_fn(may_be_logged))
}

fn json<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .finish()
        .with(filter_fn(may_be_logged))
}

/// No level and no filter of the user brings back what quotes answers of the API server.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    metadata.target() != QUOTES_ANSWERS
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(subscriber: impl FnOnce(EnvFilter, Sink) -> Box<dyn Subscriber + Send + Sync>) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let filter = EnvFilter::new("trace,kube_client::client=trace");
        tracing::subscriber::with_default(subscriber(filter, writer), || {
            tracing::warn!(target: "kube_client::client", "answer that quotes a Secret");
            tracing::debug!(target: "kube_client::client::builder", "requesting");
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn answers_of_the_api_server_are_never_logged_and_requests_are() {
        let outputs = [
            logged(|filter, sink| Box::new(text(filter, move || sink.clone(), false))),
            logged(|filter, sink| Box::new(json(filter, move || sink.clone()))),
        ];
        for output in outputs {
            assert!(output.contains("requesting"), "{output}");
            assert!(!output.contains("quotes a Secret"), "{output}");
        }
    }
}
