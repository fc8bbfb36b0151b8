//! Clients of the API server: one for calls, one for watches.

use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::timeout::TimeoutLayer;

/// Deadline of every call that is no watch, retries included. kube has none of its own.
const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// Time within which the API server must begin to answer a list or a watch.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// Deadline for a connection to the API server.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Longest silence on a watch. Above the time after which the API server ends a watch by itself (`watch.rs`), so that
/// only a dead connection meets it.
const WATCH_SILENCE: Duration = Duration::from_secs(200);

/// A client whose every call ends within the deadline, one way or the other.
///
/// # Errors
/// When the configuration is unusable: a certificate that does not parse, say.
pub fn for_calls(mut config: Config) -> kube::Result<Client> {
    config.connect_timeout = Some(CONNECT_DEADLINE);
    config.read_timeout = Some(CALL_DEADLINE);
    config.write_timeout = Some(CALL_DEADLINE);
    introduce(&mut config);
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&TimeoutLayer::new(CALL_DEADLINE))
        .build())
}

/// A client for watches, which are silent for long and end by the API server's own time limit.
///
/// # Errors
/// As [`for_calls`].
pub fn for_watches(mut config: Config) -> kube::Result<Client> {
    config.connect_timeout = Some(CONNECT_DEADLINE);
    config.read_timeout = Some(WATCH_SILENCE);
    config.write_timeout = Some(CALL_DEADLINE);
    introduce(&mut config);
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&TimeoutLayer::new(ANSWER_DEADLINE))
        .build())
}

/// Says who calls: the API server's audit log and its metrics show it.
fn introduce(config: &mut Config) {
    let agent = HeaderValue::from_static(concat!("dittofs-operator/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
}

/// What went wrong, for a person: the API server's own sentence where there is one. kube's text repeats it and adds the
/// whole answer in Rust's notation.
#[must_use]
pub fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        kube::Error::Api(status) => format!("{} (HTTP {})", status.reason, status.code),
        other => other.to_string(),
    }
}

/// Whether the API server refused an object for what is in it: asking again without a change is in vain.
#[must_use]
pub fn is_invalid(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 422))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn an_answer_of_the_api_server_is_told_once_and_in_its_own_words() {
        let status = Status {
            code: 422,
            reason: "Invalid".into(),
            message: "spec.x: too long".into(),
            ..Status::default()
        };
        let error = kube::Error::Api(status.boxed());
        assert_eq!(explain(&error), "spec.x: too long");
        assert!(is_invalid(&error));
    }
}
