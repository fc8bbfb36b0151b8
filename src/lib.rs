//! Kubernetes operator that runs DittoFS file servers.

pub mod api;
