//! Structured logs: text on a terminal, JSON elsewhere (in a pod, where a collector reads them).

use std::io::IsTerminal;

use clap::ValueEnum;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

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
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let is_text = format == LogFormat::Text || (format == LogFormat::Auto && is_terminal);
    if is_text {
        subscriber
            .with_ansi(is_terminal)
            .with_target(false)
            .finish()
            .try_init()?;
    } else {
        subscriber
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .finish()
            .try_init()?;
    }
    Ok(())
}
