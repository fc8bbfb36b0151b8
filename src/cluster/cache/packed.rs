//! An object as a cache keeps it: compressed JSON. The structs of a pod or a StatefulSet are ten times larger, and most objects are
//! looked at once in hours.
//!
//! The objects of one kind resemble each other: most of their JSON is the same. So they are compressed with the first of them as
//! [`Dictionary`], and what is left of each is what is its own.

use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};

use super::Cached;
use super::overlay::version;

/// LZ4 looks back this many bytes. What is before that in a dictionary would not be found.
const LONGEST_DICTIONARY: usize = 64 * 1024;

/// JSON that the objects of one kind are compressed with. It is that of the first object, and stays when that object is gone.
#[derive(Default)]
pub(super) struct Dictionary(OnceLock<Arc<[u8]>>);

impl Dictionary {
    /// The dictionary, which is `json` from now on if there was none.
    fn get_or_start_with(&self, json: &[u8]) -> Arc<[u8]> {
        let start = || json.get(..LONGEST_DICTIONARY).unwrap_or(json).into();
        Arc::clone(self.0.get_or_init(start))
    }
}

/// An object and its version. Cheap to clone.
pub(super) struct Packed<K> {
    /// JSON in an LZ4 block, after its length.
    block: Arc<[u8]>,
    dictionary: Arc<[u8]>,
    version: Option<u64>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Packed<K> {
    fn clone(&self) -> Self {
        Self {
            block: Arc::clone(&self.block),
            dictionary: Arc::clone(&self.dictionary),
            version: self.version,
            kind: PhantomData,
        }
    }
}

impl<K: Cached> Packed<K> {
    pub(super) fn new(object: &K, dictionary: &Dictionary) -> Self {
        // What was read from JSON can be written as JSON. If not, [`Self::object`] reports it.
        let json = serde_json::to_vec(object).unwrap_or_default();
        let dictionary = dictionary.get_or_start_with(&json);
        Self {
            block: compress_prepend_size_with_dict(&json, &dictionary).into(),
            dictionary,
            version: version(object),
            kind: PhantomData,
        }
    }

    /// The `resourceVersion`, if it is a number.
    pub(super) fn version(&self) -> Option<u64> {
        self.version
    }

    /// What it is packed in: each packed object has its own.
    pub(super) fn block(&self) -> &Arc<[u8]> {
        &self.block
    }

    /// The object.
    ///
    /// # Errors
    /// When the kind cannot read what it has written itself: an error in its type.
    pub(super) fn object(&self) -> io::Result<Arc<K>> {
        let json =
            decompress_size_prepended_with_dict(&self.block, &self.dictionary).map_err(io::Error::other)?;
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
    fn an_object_is_the_same_after_it_was_packed() {
        let dictionary = Dictionary::default();
        for text in ["", "first", &"logging: {level: INFO}\n".repeat(9000), "last"] {
            let object = config_map(text);
            let packed = Packed::new(&object, &dictionary);
            assert_eq!(*packed.object().unwrap(), object);
            assert_eq!(packed.version(), Some(7));
        }
    }

    #[test]
    fn an_object_that_resembles_the_first_one_of_its_kind_needs_a_fraction_of_its_json() {
        let lines: Vec<_> = (0..300)
            .map(|line| format!("option-{line}: {}", line * line))
            .collect();
        let text = lines.join("\n");
        let dictionary = Dictionary::default();
        let (first, other) = (
            config_map(&text),
            config_map(&text.replace("option-150", "other")),
        );
        let _ = Packed::new(&first, &dictionary);
        let packed = Packed::new(&other, &dictionary);
        assert_eq!(*packed.object().unwrap(), other);
        let json = serde_json::to_vec(&other).unwrap();
        assert!(
            packed.block.len() < json.len() / 20,
            "{} of {}",
            packed.block.len(),
            json.len()
        );
    }

    #[test]
    fn a_damaged_object_is_an_error() {
        let mut packed = Packed::new(&config_map("a"), &Dictionary::default());
        packed.block = Arc::from(&packed.block[..2]);
        assert!(packed.object().is_err());
    }
}
