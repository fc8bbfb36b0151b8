//! An object as a cache keeps it: compressed JSON. The structs of a pod or a StatefulSet are ten times larger, and most objects are
//! looked at once in hours.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use super::Cached;
use super::overlay::version;

/// An object and its version. Cheap to clone.
pub(super) struct Packed<K> {
    /// JSON in an LZ4 block, after its length.
    block: Arc<[u8]>,
    version: Option<u64>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Packed<K> {
    fn clone(&self) -> Self {
        Self {
            block: Arc::clone(&self.block),
            version: self.version,
            kind: PhantomData,
        }
    }
}

impl<K: Cached> Packed<K> {
    pub(super) fn new(object: &K) -> Self {
        // What was read from JSON can be written as JSON. If not, [`Self::object`] reports it.
        let json = serde_json::to_vec(object).unwrap_or_default();
        Self {
            block: lz4_flex::compress_prepend_size(&json).into(),
            version: version(object),
            kind: PhantomData,
        }
    }

    /// The `resourceVersion`, if it is a number.
    pub(super) fn version(&self) -> Option<u64> {
        self.version
    }

    /// The object.
    ///
    /// # Errors
    /// When the kind cannot read what it has written itself: an error in its type.
    pub(super) fn object(&self) -> io::Result<Arc<K>> {
        let json = lz4_flex::decompress_size_prepended(&self.block).map_err(io::Error::other)?;
        Ok(Arc::new(serde_json::from_slice(&json)?))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;

    use super::*;

    fn config_map(text: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some("files".into()),
                resource_version: Some("7".into()),
                ..ObjectMeta::default()
            },
            data: Some([("config.yaml".into(), text.into())].into()),
            ..ConfigMap::default()
        }
    }

    #[test]
    fn an_object_is_the_same_after_it_was_packed_and_smaller_in_between() {
        let object = config_map(&"logging: {level: INFO}\n".repeat(50));
        let packed = Packed::new(&object);
        assert_eq!(*packed.object().unwrap(), object);
        assert_eq!(packed.version(), Some(7));
        let json = serde_json::to_vec(&object).unwrap();
        assert!(packed.block.len() < json.len() / 2);
    }

    #[test]
    fn a_damaged_object_is_an_error() {
        let mut packed = Packed::new(&config_map("a"));
        packed.block = Arc::from(&packed.block[..9]);
        assert!(packed.object().is_err());
    }
}
