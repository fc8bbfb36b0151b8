//! What a StatefulSet, its pod template and its pods report.

pub mod pod_template;
pub mod pods;
pub mod rollout;
