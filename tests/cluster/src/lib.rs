//! A Kubernetes control plane on loopback, for tests and for `make run`.
