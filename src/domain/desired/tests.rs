//! What the children look like, and what may and may not change them.

mod config;
mod hash;
mod hibernation;
mod leaves;
mod managed_secrets;
mod manifests;
mod percona;
mod pod;
mod workload;
