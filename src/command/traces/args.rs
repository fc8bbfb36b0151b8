//! The flags of traces. They exist with the feature `otel` only.

use clap::Args;

/// Options of traces.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Traces (OpenTelemetry)")]
pub struct TracesArgs {
    /// Collector that gets a trace of each reconcile, by OTLP over HTTP: its base URL, `http://collector:4318` say. No traces if
    /// not given. The other variables of the OpenTelemetry specification (`OTEL_TRACES_SAMPLER` and so on) are honoured.
    #[arg(
        long = "otlp-endpoint",
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        hide_env_values = true
    )]
    pub endpoint: Option<String>,
    /// The same as a whole URL, for a collector that has another path than /v1/traces. Goes before `--otlp-endpoint`.
    #[arg(
        long = "otlp-traces-endpoint",
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        hide_env_values = true
    )]
    pub traces_endpoint: Option<String>,
}
