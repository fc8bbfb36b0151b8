//! A stored server, whether or not it parses. Pure.
//!
//! The schema keeps out what does not parse, but an object stored under an older, looser one stays. It is told of, and hides
//! no other server.

use std::sync::Arc;

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Error;
use crate::api::{DittoServer, DittoServerSpec};

/// A stored server.
pub(super) struct Stored {
    /// As it is stored, fields that this version does not know included.
    pub(super) object: DynamicObject,
    /// As this version reads it; where it does not parse, what parses of it.
    pub(super) server: Arc<DittoServer>,
    /// Why it does not parse, in the parser's words.
    pub(super) problem: Option<String>,
}

impl Stored {
    /// Parses it.
    pub(super) fn of(object: DynamicObject) -> Self {
        let (server, problem) = match parsed(&object) {
            Ok(server) => (server, None),
            Err(error) => (salvaged(&object), Some(error.to_string())),
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

/// Of the spec, each field that parses by itself; of the status, all or nothing.
fn salvaged(object: &DynamicObject) -> DittoServer {
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
    fn what_parses_of_a_server_is_kept_and_the_problem_is_told() {
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
        let said = stored.whole().unwrap_err().to_string();
        assert!(said.contains("`kubectl edit dittoserver odd -n d`"), "{said}");
    }

    #[test]
    fn a_server_with_nonsense_in_the_place_of_its_spec_is_still_one() {
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
