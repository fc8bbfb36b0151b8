//! What the pod template of a live StatefulSet says about the server.
//!
//! It outlives operators, so an older version of this operator or the Go operator may have written it.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::EnvVar;
use kube::api::ObjectMeta;

use crate::api::names;
use crate::domain::secrets::{Purpose, SSL_MODE_VARIABLE, SSL_ROOT_CERT_VARIABLE, VERIFY_FULL};

/// Whether the server verifies the certificate of its database.
#[must_use]
pub fn verifies_database(stateful_set: &StatefulSet) -> bool {
    variable(stateful_set, SSL_MODE_VARIABLE).is_some_and(|mode| mode.value.as_deref() == Some(VERIFY_FULL))
}

/// Whether the server has a CA with which it verifies its database.
#[must_use]
pub fn has_database_ca(stateful_set: &StatefulSet) -> bool {
    variable(stateful_set, SSL_ROOT_CERT_VARIABLE).is_some()
}

/// The name of the Secret from which the server takes a value, if it takes it as a variable.
#[must_use]
pub fn secret_of(stateful_set: &StatefulSet, purpose: Purpose) -> Option<&str> {
    let source = variable(stateful_set, purpose.variable()?)?.value_from.as_ref()?;
    Some(source.secret_key_ref.as_ref()?.name.as_str())
}

/// A variable of any container: a sidecar that a user added has none of the server's variables.
fn variable<'s>(stateful_set: &'s StatefulSet, name: &str) -> Option<&'s EnvVar> {
    let pod = stateful_set.spec.as_ref()?.template.spec.as_ref()?;
    let mut variables = pod
        .containers
        .iter()
        .flat_map(|container| container.env.iter().flatten());
    variables.find(|variable| variable.name == name)
}

/// The hash of the configuration on the pod template in the cluster.
pub(crate) fn config_hash(stateful_set: &StatefulSet) -> Option<&str> {
    hash_on(stateful_set.spec.as_ref()?.template.metadata.as_ref()?)
}

/// The hash of the configuration on a pod, or on its template.
pub(crate) fn hash_on(metadata: &ObjectMeta) -> Option<&str> {
    let annotations = metadata.annotations.as_ref()?;
    annotations.get(names::CONFIG_HASH_ANNOTATION).map(String::as_str)
}
