//! A stored DittoServer, which may be one that cannot be parsed.

use std::borrow::Cow;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::api::DittoServer;

/// Where the JSON of a server that cannot be parsed has the reason. The schema has no such field, so the API server sends none.
const UNPARSABLE: &str = "unparsable";

/// A stored DittoServer. One that cannot be parsed is an `Err`, and does not stop the watch of the others.
///
/// kube's `DeserializeGuard` does the same, but it cannot be written as JSON, and it copies each object twice.
#[derive(Clone, Debug)]
pub struct StoredServer(pub Result<DittoServer, InvalidObject>);

impl<'de> Deserialize<'de> for StoredServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Value::deserialize(deserializer)?;
        if let Value::String(error) = &object[UNPARSABLE] {
            return invalid(&object, error.clone());
        }
        DittoServer::deserialize(&object).map_or_else(
            |error| invalid(&object, error.to_string()),
            |server| Ok(Self(Ok(server))),
        )
    }
}

fn invalid<E: serde::de::Error>(object: &Value, error: String) -> Result<StoredServer, E> {
    let metadata = ObjectMeta::deserialize(&object["metadata"]).map_err(E::custom)?;
    Ok(StoredServer(Err(InvalidObject { error, metadata })))
}

impl Serialize for StoredServer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(server) => server.serialize(serializer),
            Err(invalid) => {
                let mut object = serializer.serialize_map(Some(2))?;
                object.serialize_entry("metadata", &invalid.metadata)?;
                object.serialize_entry(UNPARSABLE, &invalid.error)?;
                object.end()
            }
        }
    }
}

impl Resource for StoredServer {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(dynamic: &()) -> Cow<'_, str> {
        DittoServer::kind(dynamic)
    }

    fn group(dynamic: &()) -> Cow<'_, str> {
        DittoServer::group(dynamic)
    }

    fn version(dynamic: &()) -> Cow<'_, str> {
        DittoServer::version(dynamic)
    }

    fn plural(dynamic: &()) -> Cow<'_, str> {
        DittoServer::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0
            .as_ref()
            .map_or_else(|invalid| &invalid.metadata, Resource::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0
            .as_mut()
            .map_or_else(|invalid| &mut invalid.metadata, Resource::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(spec: &Value) -> StoredServer {
        serde_json::from_value(json!({
            "apiVersion": "dittofs.dittofs.com/v1alpha1",
            "kind": "DittoServer",
            "metadata": {"name": "files", "namespace": "a", "resourceVersion": "7"},
            "spec": spec,
        }))
        .unwrap()
    }

    fn again(server: &StoredServer) -> StoredServer {
        serde_json::from_str(&serde_json::to_string(server).unwrap()).unwrap()
    }

    #[test]
    fn a_server_is_the_same_after_it_was_kept_as_json() {
        let server = stored(&json!({"storage": {"metadataSize": "1Gi"}, "replicas": 0}));
        let (before, after) = (server.0.clone().unwrap(), again(&server).0.unwrap());
        assert_eq!((&before.spec, &before.metadata), (&after.spec, &after.metadata));
    }

    #[test]
    fn a_server_that_cannot_be_parsed_keeps_its_metadata_and_the_reason() {
        let server = stored(&json!({"storage": 7}));
        let (before, after) = (server.0.clone().unwrap_err(), again(&server).0.unwrap_err());
        assert!(
            before.error.contains("storage") || before.error.contains("integer"),
            "{}",
            before.error
        );
        assert_eq!((before.error, before.metadata), (after.error, after.metadata));
    }
}
