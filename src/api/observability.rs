//! `spec.metrics` and `spec.logging`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::SecretKeySelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{defaults, rules, schema};

/// Prometheus metrics of the server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::metrics_token_named())]
#[x_kube(validation = rules::metrics_port())]
pub struct MetricsSpec {
    /// Serve metrics, exposed by the Service `<name>-metrics`. Default: false.
    #[serde(default)]
    pub enabled: bool,

    /// Port of the metrics, 1 to 65535, different from `spec.controlPlane.port`. Default: 9090.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::METRICS_PORT), range(min = 1, max = 65535))]
    pub port: Option<i32>,

    /// Path of the metrics. Default: `/metrics`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::METRICS_PATH))]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::metrics_path())]
    pub path: Option<String>,

    /// Secret and key with the bearer token that a scraper must send. Absent: no authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key_selector")]
    pub bearer_token_secret: Option<SecretKeySelector>,

    /// The ServiceMonitor `<name>-metrics`, with which a Prometheus of the Prometheus Operator finds the metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_monitor: Option<ServiceMonitorSpec>,
}

/// The ServiceMonitor `<name>-metrics`, with which a Prometheus of the Prometheus Operator finds the metrics.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitorSpec {
    /// Create the ServiceMonitor. Needs `metrics.enabled` and the kind ServiceMonitor (CRD of the Prometheus Operator), which may be
    /// installed later. Default: false.
    #[serde(default)]
    pub enabled: bool,

    /// Time between two scrapes, as a Prometheus duration, for example `30s`. Absent: the default of Prometheus.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::prometheus_duration())]
    pub interval: Option<String>,

    /// Labels of the ServiceMonitor, for example those that your Prometheus selects. The labels of the operator take precedence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Minimum level of log messages.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(transform = schema::without_description)]
#[strum(serialize_all = "UPPERCASE")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Normal operation.
    #[default]
    Info,
    /// Problems that the server handles.
    Warn,
    /// Failures only.
    Error,
}

impl LogLevel {
    /// The value in the server's configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Format of a log line.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = schema::without_description)]
#[strum(serialize_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    #[default]
    Json,
}

impl LogFormat {
    /// The value in the server's configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Log output of the server.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggingSpec {
    /// Minimum level of log messages: `DEBUG`, `INFO`, `WARN` or `ERROR`. Absent: `INFO`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,

    /// Format of log lines: `text` or `json`. Absent: `json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<LogFormat>,

    /// Destination of the log: `stdout`, `stderr`, or a file path on a mounted volume. Absent: `stdout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}
