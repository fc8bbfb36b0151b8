//! A Secret that was read.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::names;

/// A Secret that was read: its data, and the metadata that shows who owns it. `Debug` shows the keys only, never a value.
#[derive(Clone, Default, PartialEq)]
pub struct SecretData {
    values: BTreeMap<String, Vec<u8>>,
    metadata: ObjectMeta,
    is_immutable: bool,
}

impl SecretData {
    /// Wraps decoded data.
    #[must_use]
    pub fn new(values: BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }

    /// Takes a Secret as it was read.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        let values = secret.data.iter().flatten();
        Self {
            values: values
                .map(|(name, value)| (name.clone(), value.0.clone()))
                .collect(),
            metadata: identity(&secret.metadata),
            is_immutable: secret.immutable == Some(true),
        }
    }

    /// The value of a key, if it is there and not empty.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.values
            .get(key)
            .map(Vec::as_slice)
            .filter(|value| !value.is_empty())
    }

    /// Whether the API server refuses other values in this Secret.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        self.is_immutable
    }

    /// Name, UID, resource version, labels and owners, and the annotation that a rotation writes.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }
}

/// Other annotations may quote the data (`kubectl apply` does), and no step reads them.
fn identity(metadata: &ObjectMeta) -> ObjectMeta {
    let rotated = metadata.annotations.iter().flatten();
    ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        labels: metadata.labels.clone(),
        owner_references: metadata.owner_references.clone(),
        annotations: Some(
            rotated
                .filter(|(key, _)| *key == names::ROTATED_FOR_ANNOTATION)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        ),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
impl SecretData {
    /// Sets a value.
    pub(crate) fn set(&mut self, key: &str, value: &[u8]) {
        self.values.insert(key.to_owned(), value.to_vec());
    }

    /// Sets the metadata.
    pub(crate) fn with_metadata(mut self, metadata: ObjectMeta) -> Self {
        self.metadata = metadata;
        self
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}
