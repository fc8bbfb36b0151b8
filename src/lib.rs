//! Kubernetes operator that runs DittoFS file servers.
