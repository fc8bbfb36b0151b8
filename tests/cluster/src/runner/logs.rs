//! The log files of containers: `NAMESPACE_POD_UID_CONTAINER_RESTARTS.log`.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// The name of the log of one life of a container.
pub(super) fn name(pod: &Pod, container: &str, restarts: i32) -> String {
    let namespace = pod.namespace().unwrap_or_default();
    let uid = pod.uid().unwrap_or_default();
    let short = uid.split('-').next().unwrap_or_default();
    format!(
        "{namespace}_{}_{short}_{container}_{restarts}.log",
        pod.name_any()
    )
}

/// The logs of a namespace in a directory, by name.
pub(crate) fn of(directory: &Path, namespace: &str) -> Vec<PathBuf> {
    let prefix = format!("{namespace}_");
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let mut logs: Vec<_> = ours.map(|entry| entry.path()).collect();
    logs.sort();
    logs
}
