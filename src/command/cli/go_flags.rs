//! Flags that the chart and the manifests of the Go operator pass. They are accepted so that its Deployment can start this operator
//! unchanged (contract, section 10). They are hidden from `--help`, because new manifests do not need them.

use clap::{Args, ValueEnum};

use crate::command::telemetry::LogLineFormat;

/// Flags of the Go operator.
#[derive(Clone, Debug, Default, Args)]
pub struct GoFlags {
    /// There is no webhook. The rules are in the CRD.
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    enable_webhooks: Option<std::primitive::bool>,
    #[arg(long, hide = true, value_name = "FOLDER")]
    webhook_cert_path: Option<String>,
    #[arg(long, hide = true, value_name = "FILE")]
    webhook_cert_name: Option<String>,
    #[arg(long, hide = true, value_name = "FILE")]
    webhook_cert_key: Option<String>,
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    enable_http2: Option<std::primitive::bool>,
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    zap_devel: Option<std::primitive::bool>,
    /// Sets the log level.
    #[arg(long, hide = true, value_name = "LEVEL", value_parser = zap_level)]
    zap_log_level: Option<&'static str>,
    /// Sets the log format.
    #[arg(long, hide = true, value_name = "ENCODER")]
    zap_encoder: Option<ZapEncoder>,
    #[arg(long, hide = true, value_name = "LEVEL")]
    zap_stacktrace_level: Option<String>,
    #[arg(long, hide = true, value_name = "ENCODING")]
    zap_time_encoding: Option<String>,
}

/// Log encoders of zap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ZapEncoder {
    Json,
    Console,
}

/// A log level of zap: a name, or a number. A higher number means more detail.
fn zap_level(text: &str) -> Result<&'static str, String> {
    match text {
        "debug" => Ok("debug"),
        "info" => Ok("info"),
        "error" | "panic" => Ok("error"),
        number if number.parse::<u8>().is_ok_and(|level| level > 0) => Ok("debug"),
        _ => Err("it must be debug, info, error, panic or a number above 0. --log-level accepts more levels and filters".into()),
    }
}

impl GoFlags {
    /// The filter of `--zap-log-level`.
    #[must_use]
    pub fn log_level(&self) -> Option<&'static str> {
        self.zap_log_level
    }

    /// The format of `--zap-encoder`.
    #[must_use]
    pub fn log_format(&self) -> Option<LogLineFormat> {
        self.zap_encoder.map(|encoder| match encoder {
            ZapEncoder::Json => LogLineFormat::Json,
            ZapEncoder::Console => LogLineFormat::Text,
        })
    }

    /// Whether the flags enable the webhook. If its configuration is still in the cluster, the API server refuses every write.
    #[must_use]
    pub fn asks_for_webhook(&self) -> bool {
        self.enable_webhooks == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::command::cli::Cli;

    fn parsed(flags: &[&str]) -> GoFlags {
        let args = ["dittofs-operator"].iter().chain(flags);
        Cli::try_parse_from(args)
            .expect("flags of the Go operator")
            .run
            .go
    }

    /// Contract, section 8.
    #[test]
    fn every_flag_of_the_go_operator_is_accepted() {
        let flags = [
            "--metrics-bind-address=:8443",
            "--metrics-secure=true",
            "--metrics-cert-path=/certs",
            "--metrics-cert-name=tls.crt",
            "--metrics-cert-key=tls.key",
            "--health-probe-bind-address=:8081",
            "--leader-elect",
            "--enable-webhooks=false",
            "--webhook-cert-path=/tmp/k8s-webhook-server/serving-certs",
            "--webhook-cert-name=tls.crt",
            "--webhook-cert-key=tls.key",
            "--enable-http2=false",
            "--kubeconfig=/root/.kube/config",
            "--zap-devel=false",
            "--zap-log-level=info",
            "--zap-encoder=json",
            "--zap-stacktrace-level=error",
            "--zap-time-encoding=rfc3339",
        ];
        let go = parsed(&flags);
        assert!(!go.asks_for_webhook());
        assert_eq!(
            (go.log_level(), go.log_format()),
            (Some("info"), Some(LogLineFormat::Json))
        );
        assert!(parsed(&["--enable-webhooks"]).asks_for_webhook());
        let flagless = parsed(&[]);
        assert_eq!((flagless.log_level(), flagless.log_format()), (None, None));
    }

    #[test]
    fn a_level_of_zap_is_a_name_or_a_number() {
        for (text, expected) in [
            ("debug", "debug"),
            ("error", "error"),
            ("panic", "error"),
            ("2", "debug"),
        ] {
            assert_eq!(zap_level(text), Ok(expected), "{text}");
        }
        for wrong in ["", "0", "loud", "-1"] {
            assert!(zap_level(wrong).is_err(), "{wrong}");
        }
    }
}
