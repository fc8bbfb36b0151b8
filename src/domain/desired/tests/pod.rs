//! The StatefulSet and its pod template.

use std::sync::Arc;

use serde_json::{Value, json};

use super::manifests::EVERYTHING;
use crate::domain::desired::{Workload, desired};
use crate::domain::observed::{Observed, Read};
use crate::domain::settings::Settings;
use crate::domain::testing::{self, valid};
use crate::domain::validate::PodGate;

fn stateful_set(observed: &Observed) -> Value {
    match desired(&valid(observed, PodGate::Open), &Settings::default())
        .expect("children")
        .workload
    {
        Workload::Run { stateful_set, .. } => serde_json::to_value(stateful_set).unwrap(),
        other => panic!("the pod would not run: {other:?}"),
    }
}

fn pod(observed: &Observed) -> Value {
    stateful_set(observed)["spec"]["template"]["spec"].take()
}

/// A variable's literal value, or the Secret and key it comes from.
fn variable(pod: &Value, name: &str) -> Option<String> {
    let variables = pod["containers"][0]["env"].as_array().unwrap();
    let variable = variables.iter().find(|variable| variable["name"] == name)?;
    let reference = &variable["valueFrom"]["secretKeyRef"];
    Some(match variable["value"].as_str() {
        Some(value) => value.to_owned(),
        None => format!(
            "{}/{}",
            reference["name"].as_str().unwrap(),
            reference["key"].as_str().unwrap()
        ),
    })
}

fn has_mount(pod: &Value, path: &str) -> bool {
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    mounts.iter().any(|mount| mount["mountPath"] == path)
}

const SSL_MODE: &str = "DITTOFS_DATABASE_POSTGRES_SSLMODE";
const PERCONA: &str = "percona: {enabled: true}";

fn percona_without_ca() -> Observed {
    let mut observed = testing::ready(PERCONA);
    observed
        .secrets
        .insert("files-postgres-cluster-cert".into(), Read::Missing);
    observed
}

#[test]
fn a_percona_server_reads_its_database_from_the_users_secret_and_verifies_it() {
    let pod = pod(&testing::ready(PERCONA));
    for (name, key) in [
        ("HOST", "host"),
        ("PORT", "port"),
        ("DATABASE", "dbname"),
        ("USER", "user"),
        ("PASSWORD", "password"),
    ] {
        let variable = variable(&pod, &format!("DITTOFS_DATABASE_POSTGRES_{name}"));
        assert_eq!(variable, Some(format!("files-postgres-pguser-dittofs/{key}")));
    }
    assert_eq!(variable(&pod, SSL_MODE).as_deref(), Some("verify-full"));
    let root = variable(&pod, "DITTOFS_DATABASE_POSTGRES_SSL_ROOT_CERT");
    assert_eq!(root.as_deref(), Some("/postgres-ca/ca.crt"));
    assert!(has_mount(&pod, "/postgres-ca"));
    assert_eq!(variable(&pod, "DATABASE_URL"), None);
    assert_eq!(pod.get("initContainers"), None);
}

#[test]
fn a_percona_server_without_a_ca_still_encrypts() {
    let pod = pod(&percona_without_ca());
    assert_eq!(variable(&pod, SSL_MODE).as_deref(), Some("require"));
    assert_eq!(variable(&pod, "DITTOFS_DATABASE_POSTGRES_SSL_ROOT_CERT"), None);
    assert!(!has_mount(&pod, "/postgres-ca"));
}

#[test]
fn a_server_that_verifies_its_database_never_stops_doing_so() {
    let mut observed = percona_without_ca();
    observed.stateful_set = testing::running(PERCONA).stateful_set;
    let pod = pod(&observed);
    assert_eq!(variable(&pod, SSL_MODE).as_deref(), Some("verify-full"));
    assert!(has_mount(&pod, "/postgres-ca"));
}

#[test]
fn an_own_postgresql_decides_on_its_tls_itself() {
    let pod = pod(&testing::ready(
        "database: {postgresSecretRef: {name: pg, key: host}}",
    ));
    assert_eq!(variable(&pod, SSL_MODE).as_deref(), Some("pg/sslmode"));
}

#[test]
fn a_running_server_is_as_desired() {
    for spec in [
        "",
        EVERYTHING,
        PERCONA,
        "storage: {metadataSize: 1024Mi, contentSize: 1Ti}",
    ] {
        let observed = testing::running(spec);
        let live = serde_json::to_value(observed.stateful_set.found().unwrap().as_ref()).unwrap();
        assert_eq!(stateful_set(&observed), live, "{spec}");
    }
}

#[test]
fn a_content_volume_that_is_added_later_is_mounted_and_one_that_was_removed_from_the_spec_is_kept() {
    let with = "storage: {metadataSize: 10Gi, contentSize: 5Gi}";
    let mut observed = testing::running("");
    assert!(!has_mount(&pod(&observed), "/data/store/block"));
    testing::edit(&mut observed, with);
    assert!(has_mount(&pod(&observed), "/data/store/block"));
    let mut observed = testing::running(with);
    testing::edit(&mut observed, "");
    assert!(has_mount(&pod(&observed), "/data/store/block"));
}

#[test]
fn immutable_fields_do_not_follow_the_spec() {
    let mut observed = testing::running("");
    let before = stateful_set(&observed);
    testing::edit(&mut observed, EVERYTHING);
    for used in crate::domain::secrets::uses(&observed.server) {
        testing::set(
            &mut observed,
            &used.secret,
            &used.key,
            &testing::accepted_value(used.purpose),
        );
    }
    let after = stateful_set(&observed);
    for field in ["serviceName", "selector"] {
        assert_eq!(after["spec"][field], before["spec"][field], "{field}");
    }
}

// invariant: 4
#[test]
fn replicas_and_service_settings_do_not_touch_the_pod_template() {
    let template = |spec: &str| stateful_set(&testing::ready(spec))["spec"]["template"].take();
    let plain = template("");
    for spec in [
        "replicas: 0",
        "service: {type: NodePort, annotations: {a: b}}",
        "adapterServices: {type: ClusterIP}",
    ] {
        assert_eq!(template(spec), plain, "{spec}");
    }
}

#[test]
fn probes_follow_the_tls_of_the_api() {
    let probe = |spec: &str| pod(&testing::ready(spec))["containers"][0]["readinessProbe"].take();
    assert_eq!(probe("")["httpGet"]["scheme"], "HTTP");
    assert_eq!(
        probe("controlPlane: {certSecretName: c}")["httpGet"]["scheme"],
        "HTTPS"
    );
    let mutual = probe("controlPlane: {certSecretName: c, clientCASecretName: d, port: 8443}");
    assert_eq!(
        (mutual.get("httpGet"), &mutual["tcpSocket"]),
        (None, &json!({"port": 8443}))
    );
}

#[test]
fn a_server_that_was_read_from_a_file_has_children_without_an_owner() {
    let mut observed = testing::ready("");
    std::sync::Arc::make_mut(&mut observed.server).metadata.uid = None;
    assert_eq!(stateful_set(&observed)["metadata"].get("ownerReferences"), None);
}

#[test]
fn nothing_that_the_api_server_drops_is_desired() {
    for spec in [
        "{resources: {}, service: {type: ClusterIP, annotations: {}}}",
        EVERYTHING,
        PERCONA,
    ] {
        let set = stateful_set(&testing::ready(spec));
        assert_eq!(dropped(&set, ""), Vec::<String>::new(), "{spec}");
    }
}

/// Paths of empty maps and lists, and of zeros, which Go leaves out. A number of replicas and an `emptyDir` are pointers there.
fn dropped(value: &Value, path: &str) -> Vec<String> {
    let is_dropped = match value {
        Value::Object(map) => map.is_empty() && !path.ends_with("/emptyDir"),
        Value::Array(items) => items.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0) && !path.ends_with("/replicas"),
        _ => false,
    };
    let own = is_dropped.then(|| path.to_owned());
    let inner: Vec<String> = match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| dropped(value, &format!("{path}/{key}")))
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| dropped(item, path)).collect(),
        _ => Vec::new(),
    };
    own.into_iter().chain(inner).collect()
}

#[test]
fn the_ca_of_an_own_postgresql_is_mounted_only_if_the_server_verifies_with_it() {
    const OWN: &str = "database: {postgresSecretRef: {name: pg, key: host}}";
    let with = |mode: Option<&str>, ca: bool| {
        let mut observed = testing::nothing(OWN);
        for (key, value) in [
            ("host", "db"),
            ("database", "d"),
            ("user", "u"),
            ("password", "p"),
        ] {
            testing::set(&mut observed, "pg", key, value.as_bytes());
        }
        if let Some(mode) = mode {
            testing::set(&mut observed, "pg", "sslmode", mode.as_bytes());
        }
        if ca {
            testing::set(&mut observed, "pg", "ca.crt", b"a certificate");
        }
        stateful_set(&observed)["spec"]["template"].take()
    };
    for mode in ["verify-ca", "verify-full"] {
        let template = with(Some(mode), true);
        let pod = &template["spec"];
        let file = variable(pod, "DITTOFS_DATABASE_POSTGRES_SSL_ROOT_CERT");
        assert_eq!(file.as_deref(), Some("/postgres-ca/ca.crt"), "{mode}");
        assert!(has_mount(pod, "/postgres-ca"), "{mode}");
        assert_eq!(
            variable(pod, SSL_MODE).as_deref(),
            Some("pg/sslmode"),
            "the user chooses the mode"
        );
    }
    for mode in [None, Some("disable"), Some("require")] {
        assert_eq!(
            with(mode, true),
            with(mode, false),
            "{mode:?}: the template and its hash do not change"
        );
    }
    assert!(!has_mount(
        &with(Some("verify-full"), false)["spec"],
        "/postgres-ca"
    ));
}

/// The pod of a server whose StatefulSet an earlier version created.
fn after_an_earlier_version(spec: &str, now: &str) -> Value {
    let mut set = stateful_set(&testing::ready(spec));
    let template = &mut set["spec"]["template"]["spec"];
    let context = template["securityContext"].as_object_mut().unwrap();
    context.remove("fsGroupChangePolicy");
    for (list, name) in [
        ("/volumes", "server-tmp"),
        ("/containers/0/volumeMounts", "server-tmp"),
    ] {
        let list = template.pointer_mut(list).unwrap().as_array_mut().unwrap();
        list.retain(|item| item["name"] != name);
    }
    // What the API server adds.
    template["restartPolicy"] = json!("Always");
    let mut observed = testing::ready(now);
    observed.stateful_set = Read::Found(Arc::new(serde_json::from_value(set).unwrap()));
    pod(&observed)
}

#[test]
fn newer_defaults_do_not_restart_a_server_and_come_with_its_next_restart() {
    const READ_ONLY: &str = "securityContext: {readOnlyRootFilesystem: true}";
    let policy = |pod: &Value| pod["securityContext"]["fsGroupChangePolicy"].clone();
    for spec in ["", READ_ONLY] {
        let kept = after_an_earlier_version(spec, spec);
        assert_eq!(
            (policy(&kept), has_mount(&kept, "/tmp")),
            (Value::Null, false),
            "{spec}"
        );
        let other = format!("{{image: example.org/dittofs:2, {spec}}}");
        let restarted = after_an_earlier_version(spec, &other);
        assert_eq!(policy(&restarted), "OnRootMismatch");
        assert_eq!(has_mount(&restarted, "/tmp"), spec == READ_ONLY);
        let new = pod(&testing::nothing(spec));
        assert_eq!(policy(&new), "OnRootMismatch");
        assert_eq!(has_mount(&new, "/tmp"), spec == READ_ONLY);
    }
    let mut observed = testing::ready("");
    let set = serde_json::from_value(stateful_set(&observed)).unwrap();
    observed.stateful_set = Read::Found(Arc::new(set));
    assert_eq!(policy(&pod(&observed)), "OnRootMismatch", "it stays");
}

#[test]
fn a_mount_of_the_user_at_the_temporary_directory_comes_first() {
    let spec = "{securityContext: {readOnlyRootFilesystem: true}, podTemplate: {volumes: [{name: mine, emptyDir: {}}], volumeMounts: [{name: mine, mountPath: /tmp/}]}}";
    let pod = pod(&testing::nothing(spec));
    let mounts = pod["containers"][0]["volumeMounts"].to_string();
    assert!(
        mounts.contains("mine") && !mounts.contains("server-tmp"),
        "{mounts}"
    );
}

#[test]
fn the_ca_of_the_directory_is_mounted_where_the_configuration_names_it_and_a_new_one_does_not_restart() {
    let spec = "identity: {ldap: {enabled: true, url: 'ldaps://ad', baseDN: dc=x, bindDN: cn=y, bindPasswordSecretRef: {name: ldap, key: p}, caSecretRef: {name: ad, key: root.pem}}}";
    let mut observed = testing::ready(spec);
    let before = stateful_set(&observed);
    let pod = &before["spec"]["template"]["spec"];
    assert!(has_mount(pod, "/ldap-ca"));
    let volumes = pod["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|volume| volume["name"] == "ldap-ca").unwrap();
    assert_eq!(
        volume["secret"],
        json!({"secretName": "ad", "items": [{"key": "root.pem", "path": "ca.crt"}]})
    );
    let built = desired(&valid(&observed, PodGate::Open), &Settings::default()).unwrap();
    let config = built.config_map.unwrap().data.unwrap()["config.yaml"].clone();
    assert!(config.contains("ca_cert_file: '/ldap-ca/ca.crt'"), "{config}");
    let providers = crate::domain::server_settings::providers::declared(&observed, || false);
    assert_eq!(providers[0].fields["tls"]["ca_cert_file"], "/ldap-ca/ca.crt");

    testing::set(&mut observed, "ad", "root.pem", b"another");
    assert_eq!(stateful_set(&observed), before);
}
