//! When the pod, its configuration and its managed Secrets may be written.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;

use crate::domain::desired::{Desired, Workload, desired};
use crate::domain::observed::{Observed, Read};
use crate::domain::settings::Settings;
use crate::domain::testing::{self, valid};
use crate::domain::validate::PodGate;

fn children(observed: &Observed, gate: PodGate) -> Desired {
    desired(&valid(observed, gate), &Settings::default()).expect("children")
}

fn unreadable<T>() -> Read<T> {
    Read::Unreadable("timed out".into())
}

#[test]
fn an_open_gate_runs_the_pod() {
    for observed in [testing::ready(""), testing::running("")] {
        assert!(matches!(
            children(&observed, PodGate::Open).workload,
            Workload::Run { .. }
        ));
    }
}

#[test]
fn a_closed_gate_starts_no_pod_but_writes_the_configuration() {
    let children = children(&testing::nothing(""), PodGate::Closed);
    assert_eq!(children.workload, Workload::Await);
    assert!(children.config_map.is_some());
}

#[test]
fn a_closed_gate_leaves_a_pod_and_its_configuration_alone() {
    let mut observed = testing::running("");
    testing::edit(&mut observed, "{replicas: 0, controlPlane: {port: 9999}}");
    let children = children(&observed, PodGate::Closed);
    assert_eq!(children.workload, Workload::Hold { replicas: 0 });
    assert_eq!(children.config_map, None);
}

#[test]
fn a_missing_configuration_is_restored_although_the_pod_must_not_be_changed() {
    let mut observed = testing::running("");
    observed.config_map = Read::Missing;
    assert!(children(&observed, PodGate::Closed).config_map.is_some());
    observed.config_map = unreadable();
    assert_eq!(children(&observed, PodGate::Closed).config_map, None);
}

#[test]
fn a_stateful_set_that_cannot_be_read_may_exist_and_is_not_changed() {
    let mut observed = testing::running("");
    observed.stateful_set = unreadable();
    for gate in [PodGate::Open, PodGate::Closed] {
        let children = children(&observed, gate);
        assert_eq!(children.workload, Workload::Hold { replicas: 1 });
        assert_eq!(children.config_map, None);
    }
}

#[test]
fn the_configuration_hash_on_the_pod_is_the_one_that_is_reported() {
    let Workload::Run {
        stateful_set,
        config_hash,
    } = children(&testing::ready(""), PodGate::Open).workload
    else {
        panic!("the pod would not run");
    };
    let template = stateful_set.spec.unwrap().template.metadata.unwrap();
    assert_eq!(
        template.annotations.unwrap()["dittofs.io/config-hash"],
        config_hash
    );
}

fn names(secrets: &[Secret]) -> Vec<&str> {
    secrets
        .iter()
        .filter_map(|secret| secret.metadata.name.as_deref())
        .collect()
}

// invariant: 9
#[test]
fn missing_managed_secrets_are_created_with_random_values_and_without_an_owner() {
    let observed = testing::nothing("");
    let secrets = children(&observed, PodGate::Closed).secrets;
    assert_eq!(
        names(&secrets),
        ["files-jwt-secret", "files-admin-bootstrap-credentials"]
    );
    let value =
        |index: usize, key: &str| String::from_utf8(secrets[index].data.as_ref().unwrap()[key].0.clone());
    assert_eq!(value(0, "jwt-secret").unwrap(), observed.fresh.jwt_key);
    assert_eq!(value(1, "password").unwrap(), observed.fresh.admin_password);
    assert_eq!(value(1, "username").unwrap(), "admin");
    assert!(
        secrets
            .iter()
            .all(|secret| secret.metadata.owner_references.is_none())
    );
}

#[test]
fn only_the_managed_secret_that_is_missing_is_made() {
    let mut observed = testing::nothing("");
    testing::set(
        &mut observed,
        "files-jwt-secret",
        "jwt-secret",
        testing::JWT_KEY.as_bytes(),
    );
    assert_eq!(
        names(&children(&observed, PodGate::Open).secrets),
        ["files-admin-bootstrap-credentials"]
    );
}

#[test]
fn a_secret_of_the_users_is_never_made() {
    let spec =
        "identity: {jwt: {secretRef: {name: j, key: k}}, admin: {passwordSecretRef: {name: a, key: p}}}";
    assert_eq!(children(&testing::nothing(spec), PodGate::Closed).secrets, []);
}

#[test]
fn a_managed_secret_that_cannot_be_read_is_not_made() {
    let mut observed = testing::nothing("");
    for read in observed.secrets.values_mut() {
        *read = unreadable();
    }
    assert_eq!(children(&observed, PodGate::Closed).secrets, []);
}

#[test]
fn no_managed_secret_is_generated_while_a_server_runs_or_may_run() {
    let mut observed = testing::nothing("");
    observed.stateful_set = Read::Found(Arc::default());
    observed.pods = Read::Found(vec![Arc::new(crate::domain::validate::fixtures::running_pod())]);
    assert_eq!(children(&observed, PodGate::Closed).secrets, []);
    observed.stateful_set = unreadable();
    assert_eq!(children(&observed, PodGate::Closed).secrets, []);
}

#[test]
fn metrics_that_are_off_want_no_service() {
    assert_eq!(children(&testing::ready(""), PodGate::Open).metrics_service, None);
}

// invariant: 5
#[test]
fn no_child_contains_the_value_of_a_secret() {
    let observed = testing::ready(super::manifests::EVERYTHING);
    let children = format!("{:?}", children(&observed, PodGate::Open));
    for used in crate::domain::secrets::uses(&observed.server) {
        let value = String::from_utf8(testing::accepted_value(used.purpose)).unwrap();
        assert!(!children.contains(&value), "{used:?}");
    }
}

// invariant: 5
#[test]
fn a_generated_value_is_not_printed_with_the_children() {
    let observed = testing::nothing("");
    let children = children(&observed, PodGate::Closed);
    let printed = format!("{children:?}");
    assert!(printed.contains("files-jwt-secret"));
    for secret in &children.secrets {
        for value in secret.data.iter().flatten().map(|(_, value)| value) {
            assert!(!printed.contains(&format!("{value:?}")));
        }
    }
    assert!(!printed.contains(&observed.fresh.jwt_key));
}
