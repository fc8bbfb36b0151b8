//! What the operator does, on a real control plane. Each behaviour has its file; `support` is what they share.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test panics, and the shared helpers are not marked `#[test]`"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a test that is a table or a sequence of steps reads best in one piece"
)]

mod adapters;
mod admission;
mod canary;
mod certificates;
mod chaos;
mod contests;
mod database;
mod definitions;
mod deletion;
mod denied;
mod docs;
mod drift;
mod drift_on_server;
mod edits;
mod faults;
mod files;
mod first_reconcile;
mod fixpoint;
mod golden;
mod hibernate;
mod immutable;
mod interrupted;
mod invariants;
mod isolation;
mod kerberos;
mod kstatus;
mod leader;
mod load;
mod lost_data;
mod metrics;
mod model;
mod namespaces;
mod network;
#[cfg(feature = "otel")]
mod otel;
mod packaging;
mod pause;
mod plugin;
mod pod_template;
mod policies;
mod proxy;
mod reads;
mod reclaim;
mod requested_restarts;
mod restarts;
mod rollouts;
mod rooms;
mod rotation;
mod samples;
mod secrets;
mod service_monitors;
mod shards;
mod support;
mod takeover;
mod uploads;
mod volumes;
