//! A stored server, which may not parse. Pure.
//!
//! The schema refuses objects that do not parse, but one that was stored under an older schema still exists. The commands show it,
//! and still show the other servers.

use std::sync::Arc;

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Error;
use crate::api::{DittoServer, DittoServerSpec};

/// A stored server.
pub(super) struct Stored {
    /// As it is stored, including fields that this version does not know.
    pub(super) object: DynamicObject,
    /// As this version parses it. If it does not parse, the part that does.
    pub(super) server: Arc<DittoServer>,
    /// The error of the parser.
    pub(super) problem: Option<String>,
}

impl Stored {
    /// Parses it.
    pub(super) fn of(object: DynamicObject) -> Self {
        let (server, problem) = match parsed(&object) {
            Ok(server) => (server, None),
            Err(error) => (parsed_in_part(&object), Some(error.to_string())),
        };
        Self {
            object,
            server: Arc::new(server),
            problem,
        }
    }

    /// The server, if it parses.
    pub(super) fn whole(self) -> Result<Arc<DittoServer>, Error> {
        match self.problem {
            None => Ok(self.server),
            Some(detail) => Err(Error::Unparsable {
                name: self.server.name_any(),
                namespace: self.server.namespace().unwrap_or_default(),
                detail,
            }),
        }
    }
}

/// A DittoServer from its object.
pub(super) fn parsed(object: &DynamicObject) -> serde_json::Result<DittoServer> {
    serde_json::from_value(serde_json::to_value(object)?)
}

/// Each field of the spec that parses on its own, and the status if it parses.
fn parsed_in_part(object: &DynamicObject) -> DittoServer {
    let mut kept = json!({"storage": {"metadataSize": ""}});
    for (key, value) in object.data["spec"].as_object().into_iter().flatten() {
        let mut with = kept.clone();
        with[key] = value.clone();
        if of::<DittoServerSpec>(&with).is_some() {
            kept = with;
        }
    }
    DittoServer {
        metadata: object.metadata.clone(),
        spec: of(&kept).unwrap_or_default(),
        status: of(&object.data["status"]),
    }
}

fn of<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_server_that_parses_is_kept_with_the_error() {
        let object = json!({
            "apiVersion": "dittofs.dittofs.com/v1alpha1",
            "kind": "DittoServer",
            "metadata": {"name": "odd", "namespace": "d"},
            "spec": {"image": "x:1", "replicas": 0, "metrics": "several", "percona": {"enabled": true}},
            "status": {"phase": "Failed"},
        });
        let stored = Stored::of(serde_json::from_value(object).unwrap());
        assert_eq!(stored.server.name_any(), "odd");
        assert_eq!(stored.server.spec.image(), "x:1");
        assert_eq!(stored.server.spec.desired_replicas(), 0);
        assert!(stored.server.spec.percona_enabled());
        assert!(stored.server.status.is_some());
        assert!(
            stored
                .problem
                .as_ref()
                .is_some_and(|problem| problem.contains("several")),
            "{:?}",
            stored.problem
        );
        let error = stored.whole().unwrap_err().to_string();
        assert!(error.contains("`kubectl edit dittoserver odd -n d`"), "{error}");
    }

    #[test]
    fn a_server_whose_spec_is_not_an_object_is_still_shown() {
        for data in [
            json!({"spec": 5}),
            json!({"spec": {"storage": "a lot"}, "status": "fine"}),
        ] {
            let mut object = data;
            object["metadata"] = json!({"name": "odd"});
            let stored = Stored::of(serde_json::from_value(object).unwrap());
            assert!(stored.problem.is_some());
            assert_eq!(stored.server.name_any(), "odd");
        }
    }
}
