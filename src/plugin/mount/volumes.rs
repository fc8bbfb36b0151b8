//! Manifests for pods that use a share.

use kube::ResourceExt;
use serde_json::{Value, json};

use super::names::object_name;
use super::{address, share};
use crate::api::{DittoServer, Endpoint};
use crate::plugin::Error;
use crate::plugin::args::MountArgs;

/// Provisioner of csi-driver-nfs.
const CSI_DRIVER_NFS: &str = "nfs.csi.k8s.io";

/// A `PersistentVolume` for one share, and the claim that it is bound to, in the namespace of the server.
///
/// The kubelet mounts it with the DNS of the node, so it has the address of the Service and not its name. An IPv6 address has no
/// brackets here: the kubelet adds them.
pub(super) fn persistent_volume(
    server: &DittoServer,
    endpoint: &Endpoint,
    args: &MountArgs,
) -> Result<String, Error> {
    let (share, server, namespace) = (
        share(args),
        server.name_any(),
        server.namespace().unwrap_or_default(),
    );
    let name = object_name(&[&server, share]);
    let volume_name = object_name(&[&namespace, &server, share]);
    let host = endpoint.cluster_ip.as_ref().unwrap_or(&endpoint.host);
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name},
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
            "volumeName": volume_name,
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
        // Not a part of the namespace, so its name says where the server is.
        "metadata": {"name": object_name(&[&namespace, &server.name_any(), share])},
        "provisioner": CSI_DRIVER_NFS,
        "parameters": {
            "server": address::in_cluster(endpoint, &namespace),
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
