//! Behaviour of the local control plane itself, with real processes.

// Helpers of tests are tests too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines
)]

mod audit;
mod demo;
mod faults;
mod lifetime;
mod percona_crd;
mod percona_outages;
mod percona_secrets;
mod percona_states;
mod runner;
mod support;
mod workloads;
