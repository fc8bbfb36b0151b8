//! What a StatefulSet, its pod template, its pods and a database cluster report.

pub mod percona;
pub mod pod_template;
pub mod pods;
pub mod rollout;
pub mod running;
pub mod stuck_pod;
