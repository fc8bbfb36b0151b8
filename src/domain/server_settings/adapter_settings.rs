//! Settings of the adapters of NFS and SMB.

use serde_json::{Map, Value, json};

use crate::api::names::{NFS, SMB};
use crate::api::{AdaptersSpec, DittoServerSpec};
use crate::domain::fields::present;

/// What the spec declares of one adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredAdapter {
    /// `nfs` or `smb`.
    pub adapter: &'static str,
    /// Fields of the adapter: whether it is enabled, and its port.
    pub fields: Map<String, Value>,
    /// Fields of its settings.
    pub settings: Map<String, Value>,
}

/// What the spec declares of the adapters.
#[must_use]
pub fn declared(spec: &DittoServerSpec) -> Vec<DeclaredAdapter> {
    let Some(AdaptersSpec { nfs, smb }) = &spec.adapters else {
        return Vec::new();
    };
    let nfs = nfs.as_ref().map(|nfs| DeclaredAdapter {
        adapter: NFS,
        fields: present([
            ("enabled", nfs.enabled.map(Value::from)),
            ("port", nfs.port.map(Value::from)),
        ]),
        settings: Map::new(),
    });
    let smb = smb.as_ref().map(|smb| DeclaredAdapter {
        adapter: SMB,
        fields: present([
            ("enabled", smb.enabled.map(Value::from)),
            ("port", smb.port.map(Value::from)),
        ]),
        settings: present([
            ("min_dialect", smb.min_version.map(|version| json!(version))),
            ("max_dialect", smb.max_version.map(|version| json!(version))),
            ("signing", smb.signing.map(|signing| json!(signing))),
            ("enable_encryption", smb.encryption.map(Value::from)),
        ]),
    });
    nfs.into_iter().chain(smb).collect()
}
