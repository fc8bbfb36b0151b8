//! The settings of traces, from flags and the variables of the OpenTelemetry specification.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::Error;
use crate::command::traces::args::TracesArgs;

/// The samplers of the SDK. For an unknown name it samples every trace, without a message.
pub const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];
/// Path for traces below the base URL of a collector.
const PATH: &str = "/v1/traces";
/// Timeout of one request, unless `OTEL_EXPORTER_OTLP_TIMEOUT` is set.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracesSettings {
    /// URL of the collector, with its path.
    pub endpoint: Uri,
    /// Timeout of one request.
    pub timeout: Duration,
    /// CA certificates for the collector. `None`: those of the system.
    pub certificate: Option<PathBuf>,
    /// Service name, if it is not the default.
    pub service_name: Option<String>,
}

impl TracesSettings {
    /// `None` if traces are disabled. The exporter and the SDK read some variables themselves (headers, compression, batches,
    /// resource attributes).
    ///
    /// # Errors
    /// If a value is not supported.
    pub fn new(args: &TracesArgs, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let Some(endpoint) = endpoint(args)?.filter(|_| !is_off(variable)) else {
            return Ok(None);
        };
        let of_exporter = |name: &str| {
            variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
                .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        if let Some(protocol) = of_exporter("PROTOCOL").filter(|protocol| protocol != "http/protobuf") {
            return Err(Error::Protocol(protocol));
        }
        check_sampler(variable)?;
        let timeout = of_exporter("TIMEOUT").and_then(|milliseconds| milliseconds.parse().ok());
        Ok(Some(Self {
            endpoint,
            timeout: timeout.map_or(TIMEOUT, Duration::from_millis),
            certificate: of_exporter("CERTIFICATE").map(PathBuf::from),
            service_name: variable("OTEL_SERVICE_NAME"),
        }))
    }

    /// The collector for the log: only host and port, because a user name, a path or a query may contain a secret.
    pub fn shown(&self) -> String {
        let scheme = self.endpoint.scheme_str().unwrap_or_default();
        let host = self.endpoint.host().unwrap_or_default();
        let port = self.endpoint.port().map(|port| format!(":{port}"));
        format!("{scheme}://{host}{}", port.unwrap_or_default())
    }
}

/// The complete URL has priority over the base URL, as in the specification.
fn endpoint(args: &TracesArgs) -> Result<Option<Uri>, Error> {
    let given = |url: &Option<String>| url.clone().filter(|url| !url.is_empty());
    let (flag, url) = if let Some(whole) = given(&args.traces_endpoint) {
        (
            "--otlp-traces-endpoint (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)",
            whole,
        )
    } else if let Some(base) = given(&args.endpoint) {
        let url = format!("{}{PATH}", base.trim_end_matches('/'));
        ("--otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)", url)
    } else {
        return Ok(None);
    };
    let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    let uri = url.parse().ok().filter(is_http);
    uri.map(Some).ok_or(Error::Endpoint(flag))
}

/// Two variables disable traces while the endpoint stays set.
fn is_off(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is = |name: &str, value: &str| variable(name).is_some_and(|given| given.eq_ignore_ascii_case(value));
    is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none")
}

/// The SDK reads this variable, but ignores unknown values without a message.
fn check_sampler(variable: impl Fn(&str) -> Option<String>) -> Result<(), Error> {
    let Some(sampler) = variable("OTEL_TRACES_SAMPLER") else {
        return Ok(());
    };
    if !SAMPLERS.contains(&sampler.as_str()) {
        return Err(Error::Sampler(sampler));
    }
    let argument = variable("OTEL_TRACES_SAMPLER_ARG").unwrap_or_default();
    let is_share = argument
        .parse()
        .is_ok_and(|share: f64| (0.0..=1.0).contains(&share));
    if sampler.ends_with("traceidratio") && !is_share {
        return Err(Error::SamplerArgument(argument));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(endpoint: &str, traces_endpoint: &str) -> TracesArgs {
        TracesArgs {
            endpoint: Some(endpoint.into()),
            traces_endpoint: Some(traces_endpoint.into()),
        }
    }

    fn with(variables: &[(&str, &str)]) -> Result<Option<TracesSettings>, Error> {
        let variables: std::collections::HashMap<_, _> = variables.iter().copied().collect();
        TracesSettings::new(&args("http://collector:4318", ""), |name| {
            variables.get(name).map(|value| (*value).to_owned())
        })
    }

    #[test]
    fn the_path_of_traces_is_added_to_the_base_url_and_the_complete_url_has_priority() {
        for (base, whole, expected) in [
            ("", "", None),
            ("http://a:4318", "", Some("http://a:4318/v1/traces")),
            ("https://a/otlp/", "", Some("https://a/otlp/v1/traces")),
            ("http://a:4318", "http://b/in", Some("http://b/in")),
        ] {
            let uri = endpoint(&args(base, whole)).expect("a URL");
            assert_eq!(uri.map(|uri| uri.to_string()).as_deref(), expected);
        }
    }

    #[test]
    fn an_invalid_url_is_refused_with_the_name_of_the_flag_and_never_quoted() {
        for (base, whole, flag) in [
            ("collector:4318", "", "--otlp-endpoint"),
            ("me:canary@collector", "", "--otlp-endpoint"),
            ("http://a", "grpc://me:canary@b", "--otlp-traces-endpoint"),
            ("ht tp://canary", "", "--otlp-endpoint"),
        ] {
            let error = endpoint(&args(base, whole)).expect_err(base).to_string();
            assert!(error.starts_with(flag), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_log_contains_neither_the_password_nor_the_path_of_a_collector() {
        let args = args("", "https://me:canary@collector:4318/key/canary?key=canary");
        let settings = TracesSettings::new(&args, |_| None).unwrap().unwrap();
        assert_eq!(settings.shown(), "https://collector:4318");
    }

    #[test]
    fn variables_for_traces_have_priority_over_general_variables() {
        let settings = with(&[
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2000"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.crt"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_SERVICE_NAME", "another"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.timeout, Duration::from_secs(2));
        assert_eq!(settings.certificate, Some(PathBuf::from("/ca.crt")));
        assert_eq!(settings.service_name.as_deref(), Some("another"));
        assert_eq!(with(&[]).unwrap().unwrap().timeout, TIMEOUT);
    }

    #[test]
    fn traces_can_be_disabled_while_the_endpoint_is_set() {
        for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert_eq!(with(&[off]).unwrap(), None);
        }
        for on in [("OTEL_SDK_DISABLED", "false"), ("OTEL_TRACES_EXPORTER", "otlp")] {
            assert!(with(&[on]).unwrap().is_some());
        }
    }

    #[test]
    fn values_that_the_sdk_would_ignore_are_refused() {
        let sampler = |name, argument| {
            with(&[
                ("OTEL_TRACES_SAMPLER", name),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ])
        };
        assert!(sampler("always_off", "").is_ok());
        assert!(sampler("parentbased_traceidratio", "0.1").is_ok());
        let message = |refused: Result<_, Error>| refused.expect_err("refused").to_string();
        assert!(message(sampler("ratio", "0.1")).contains("one of always_on, always_off"));
        assert!(message(sampler("traceidratio", "10%")).contains("from 0 to 1"));
        let grpc = with(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert!(message(grpc).contains("only http/protobuf is supported"));
    }
}
