//! Manifests for pods that use a share.

use kube::ResourceExt;
use serde_json::{Value, json};

use super::share;
use crate::api::{DittoServer, Endpoint};
use crate::plugin::Error;
use crate::plugin::args::MountArgs;

/// Provisioner of csi-driver-nfs.
const CSI_DRIVER_NFS: &str = "nfs.csi.k8s.io";

/// A `PersistentVolume` for one share, and the claim that it is bound to, in the namespace of the server.
///
/// The kubelet mounts it with the DNS of the node, so it has the address of the Service and not its name.
pub(super) fn persistent_volume(
    server: &DittoServer,
    endpoint: &Endpoint,
    args: &MountArgs,
) -> Result<String, Error> {
    let share = share(args);
    let name = format!("{}-{}", server.name_any(), share.replace('/', "-"));
    let namespace = server.namespace().unwrap_or_default();
    let host = endpoint.cluster_ip.as_ref().unwrap_or(&endpoint.host);
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": format!("{namespace}-{name}")},
        "spec": {
            "capacity": {"storage": args.size},
            "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"namespace": namespace, "name": name},
            "mountOptions": ["nfsvers=4.1", format!("port={}", endpoint.port)],
            "nfs": {"server": host, "path": format!("/{share}")},
        },
    });
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "volumeName": format!("{namespace}-{name}"),
            "resources": {"requests": {"storage": args.size}},
        },
    });
    Ok(format!("{}---\n{}", yaml(&volume)?, yaml(&claim)?))
}

/// A StorageClass that makes one directory of a share for each claim, with csi-driver-nfs.
pub(super) fn storage_class(
    server: &DittoServer,
    endpoint: &Endpoint,
    args: &MountArgs,
) -> Result<String, Error> {
    let share = share(args);
    let namespace = server.namespace().unwrap_or_default();
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": format!("{}-{}", server.name_any(), share.replace('/', "-"))},
        "provisioner": CSI_DRIVER_NFS,
        "parameters": {
            "server": format!("{}.{namespace}.svc", endpoint.service),
            "share": format!("/{share}"),
            // The directory of a deleted claim is renamed, and its files are kept.
            "onDelete": "archive",
        },
        "mountOptions": ["nfsvers=4.1", format!("port={}", endpoint.port)],
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    });
    yaml(&class)
}

fn yaml(manifest: &Value) -> Result<String, Error> {
    serde_yaml::to_string(manifest).map_err(|error| Error::Encode(error.to_string()))
}
