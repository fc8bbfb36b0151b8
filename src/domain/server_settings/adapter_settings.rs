//! Settings of the adapters of NFS and SMB.

use serde_json::{Map, Value, json};

use crate::api::names::{NFS, SMB};
use crate::api::{AdaptersSpec, DittoServerSpec};

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

fn present<const COUNT: usize>(fields: [(&str, Option<Value>); COUNT]) -> Map<String, Value> {
    let present = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    present.collect()
}

/// The declared fields that the server does not have.
#[must_use]
pub fn differences(declared: &Map<String, Value>, live: &Value) -> Map<String, Value> {
    let differing = declared
        .iter()
        .filter(|(name, value)| live.get(*name) != Some(value));
    differing
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
