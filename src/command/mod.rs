//! The `dittofs-operator` command: its flags, the admin servers, logs and traces.

pub mod admin;
pub mod cli;
mod cluster_domain;
pub mod run;
pub mod telemetry;
#[cfg(feature = "otel")]
pub mod traces;
