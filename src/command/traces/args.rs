//! The flags of traces. They exist only with the cargo feature `otel`.

use clap::Args;

/// Options of traces.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Traces (OpenTelemetry)")]
pub struct TracesArgs {
    /// Base URL of the collector, for example `http://collector:4318`. It receives a trace of each reconcile, with OTLP over HTTP.
    /// Default: no traces. Other variables of the OpenTelemetry specification (such as `OTEL_TRACES_SAMPLER`) are supported.
    #[arg(
        long = "otlp-endpoint",
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        hide_env_values = true
    )]
    pub endpoint: Option<String>,
    /// Complete URL of the collector, if its path is not /v1/traces. Has priority over `--otlp-endpoint`.
    #[arg(
        long = "otlp-traces-endpoint",
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        hide_env_values = true
    )]
    pub traces_endpoint: Option<String>,
}
