//! Observations for unit tests of the pure steps, built from the `spec` of a DittoServer.
//!
//! The server is `files` in the namespace `storage`. Start with [`nothing`], [`ready`] or [`running`], change what the test is
//! about, then check the result of the step.

use std::sync::Arc;

use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::DittoServer;
use crate::api::percona::PerconaPGCluster;
use crate::domain::desired::{Workload, desired};
use crate::domain::observed::{FreshSecrets, Observed, Read};
use crate::domain::secrets::{self, Origin, Purpose, SecretData};
use crate::domain::settings::Settings;
use crate::domain::validate::{PodGate, Valid};

/// A signing key that the server accepts.
pub(crate) const JWT_KEY: &str = "0123456789abcdef0123456789abcdef";
/// An initial password that the server accepts.
pub(crate) const ADMIN_PASSWORD: &str = "correct horse";

/// A server from the YAML of its `spec`. `storage` may be omitted. The metadata is that of a stored object.
pub(crate) fn server(spec: &str) -> DittoServer {
    let mut spec: Value = if spec.trim().is_empty() {
        json!({})
    } else {
        serde_yaml::from_str(spec).expect("YAML")
    };
    if spec.get("storage").is_none() {
        spec["storage"] = json!({"metadataSize": "10Gi"});
    }
    DittoServer {
        metadata: ObjectMeta {
            name: Some("files".into()),
            namespace: Some("storage".into()),
            uid: Some("8e1c2f4a-0000-4000-8000-000000000001".into()),
            generation: Some(1),
            ..ObjectMeta::default()
        },
        spec: serde_json::from_value(spec).expect("a spec"),
        status: None,
    }
}

/// The owner reference of a child of the server.
pub(crate) fn controller(server: &DittoServer) -> Value {
    json!(server.controller_owner_ref(&()))
}

/// Only the server exists: no child, and no Secret.
pub(crate) fn nothing(spec: &str) -> Observed {
    let server = server(spec);
    let uses = secrets::uses(&server).into_iter();
    let fresh = FreshSecrets {
        jwt_key: "fresh-".repeat(7),
        admin_password: "fresh password".into(),
    };
    Observed {
        secrets: uses.map(|used| (used.secret, Read::Missing)).collect(),
        ..Observed::of_new(server, fresh)
    }
}

/// Everything that the pod needs exists, with values that the server accepts: its Secrets, and a database that serves. No other child
/// exists. The Secret of an own PostgreSQL has no CA.
pub(crate) fn ready(spec: &str) -> Observed {
    let mut observed = nothing(spec);
    for used in secrets::uses(&observed.server) {
        if used.purpose == Purpose::DatabaseCa && used.origin != Origin::Percona {
            continue;
        }
        set(
            &mut observed,
            &used.secret,
            &used.key,
            &accepted_value(used.purpose),
        );
    }
    if observed.server.spec.percona_enabled() {
        let cluster = json!({"state": "ready", "host": "files-postgres-primary.storage.svc"});
        observed.database.cluster = Read::Found(Arc::new(percona("{postgresVersion: 17}", &cluster)));
    }
    observed
}

/// [`ready`], and the ConfigMap and the StatefulSet exist as they are desired.
pub(crate) fn running(spec: &str) -> Observed {
    let observed = ready(spec);
    let children = desired(&valid(&observed, PodGate::Open), &Settings::default()).expect("children");
    let Workload::Run { stateful_set, .. } = children.workload else {
        panic!("the pod would not run: {:?}", children.workload);
    };
    Observed {
        config_map: children
            .config_map
            .map_or(Read::Missing, |config_map| Read::Found(Arc::new(config_map))),
        stateful_set: Read::Found(Arc::from(stateful_set)),
        ..observed
    }
}

/// Sets one value of a Secret; the Secret then exists.
pub(crate) fn set(observed: &mut Observed, secret: &str, key: &str, value: &[u8]) {
    let read = observed.secrets.entry(secret.to_owned()).or_insert(Read::Missing);
    if !matches!(read, Read::Found(_)) {
        *read = Read::Found(SecretData::default());
    }
    if let Read::Found(data) = read {
        data.set(key, value);
    }
}

/// The observation as validated, with this gate.
pub(crate) fn valid(observed: &Observed, pod: PodGate) -> Valid<'_> {
    Valid {
        uses: crate::domain::data_home::uses(observed),
        observed,
        pod,
    }
}

/// A database cluster of `files`, from the YAML of its spec.
pub(crate) fn percona(spec: &str, status: &Value) -> PerconaPGCluster {
    let spec: Value = serde_yaml::from_str(spec).expect("YAML");
    let metadata = json!({"name": "files-postgres", "namespace": "storage"});
    serde_json::from_value(json!({
        "apiVersion": "pgv2.percona.com/v2",
        "kind": "PerconaPGCluster",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }))
    .expect("a PerconaPGCluster")
}

/// Changes a value by a merge patch (RFC 7396).
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    for (key, value) in patch {
        merge(&mut target[key], value);
    }
}

/// A value of this purpose that the server accepts.
pub(crate) fn accepted_value(purpose: Purpose) -> Vec<u8> {
    match purpose {
        Purpose::JwtKey => JWT_KEY.into(),
        Purpose::AdminPassword => ADMIN_PASSWORD.into(),
        Purpose::DatabasePort => "5432".into(),
        Purpose::DatabaseSslMode => "verify-full".into(),
        other => format!("value of {other:?}").into(),
    }
}

/// A change of the server's spec, as a user would edit it.
pub(crate) fn edit(observed: &mut Observed, spec: &str) {
    let edited = server(spec);
    let added = secrets::uses(&edited).into_iter().map(|used| used.secret);
    for secret in added {
        observed.secrets.entry(secret).or_insert(Read::Missing);
    }
    assert_eq!(edited.name_any(), observed.server.name_any());
    observed.server = Arc::new(edited);
}
