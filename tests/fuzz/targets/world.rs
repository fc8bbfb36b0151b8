//! States of the cluster for one server: everything as it should be, or missing, unreadable, changed, or of another owner.

use std::collections::BTreeMap;
use std::sync::Arc;

use dittofs_operator::api::DittoServer;
use dittofs_operator::domain::adapters::{
    Calls, Failure, FailureKind, Listed, Row, ServerReport, Unread, learn, sanitized,
};
use dittofs_operator::domain::desired::desired;
use dittofs_operator::domain::observed::{
    Database, ExpansionAnswer, FreshSecrets, KindState, Observed, Read,
};
use dittofs_operator::domain::secrets::{self, Purpose, SecretData};
use dittofs_operator::domain::settings::Settings;
use dittofs_operator::domain::validate::validate;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::input::Input;
use super::merge::merge;
use super::mutate::mutate;

/// In each value of a Secret, and nowhere else.
pub const CANARY: &str = "canary-4f1b";

/// A server of which nothing exists.
pub fn new_server(server: DittoServer, input: &mut Input<'_>) -> Observed {
    let optional_kinds = if input.one_in(4) {
        KindState::NotServed
    } else {
        KindState::Served
    };
    let names = secrets::names(&server).map(|name| (name, Read::Missing));
    let fresh = FreshSecrets {
        jwt_key: format!("{}{CANARY}", "j".repeat(32)),
        admin_password: format!("fresh {CANARY}"),
    };
    Observed {
        secrets: names.collect(),
        database: Database {
            kind: optional_kinds.clone(),
            cluster: Read::Missing,
        },
        service_monitors: optional_kinds,
        ..Observed::of_new(server, fresh)
    }
}

/// A value that the server accepts.
fn accepted(purpose: Purpose) -> Vec<u8> {
    match purpose {
        Purpose::TlsCertificate | Purpose::ClientCa | Purpose::LdapCa | Purpose::DatabaseCa => {
            format!("-----BEGIN CERTIFICATE-----\n{CANARY}\n-----END CERTIFICATE-----\n")
        }
        Purpose::TlsKey => format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n"),
        Purpose::DatabasePort => "5432".to_owned(),
        Purpose::DatabaseSslMode => "verify-full".to_owned(),
        _ => format!("0123456789abcdef0123456789{CANARY}"),
    }
    .into()
}

/// The Secrets that the pod uses. `is_bad`: some are missing, cannot be read, or have any bytes.
fn read_secrets(
    server: &DittoServer,
    is_bad: bool,
    input: &mut Input<'_>,
) -> BTreeMap<String, Read<SecretData>> {
    let mut data: BTreeMap<String, BTreeMap<String, ByteString>> = BTreeMap::new();
    for used in secrets::uses(server) {
        let value = if is_bad && input.one_in(3) {
            let text = input.text();
            [input.bytes(), CANARY.as_bytes(), text.as_bytes()].concat()
        } else {
            accepted(used.purpose)
        };
        let key = if is_bad && input.one_in(12) {
            input.text()
        } else {
            used.key
        };
        data.entry(used.secret)
            .or_default()
            .insert(key, ByteString(value));
    }
    let mut found: BTreeMap<String, Read<SecretData>> = BTreeMap::new();
    for (name, data) in data {
        let mut secret =
            json!({"metadata": {"name": name, "namespace": "storage", "uid": "u", "resourceVersion": "1"}});
        if is_bad && input.one_in(4) {
            mutate(&mut secret["metadata"], input);
        }
        let read = match input.below(8) {
            6 if is_bad => Read::Missing,
            7 if is_bad => Read::Unreadable(input.text()),
            _ => Read::Found(SecretData::of(&Secret {
                data: Some(data),
                ..serde_json::from_value(secret).unwrap_or_default()
            })),
        };
        found.insert(name, read);
    }
    for name in secrets::names(server) {
        found.entry(name).or_insert(Read::Missing);
    }
    found
}

/// The children of a server of which everything exists, as JSON.
fn children(observed: &Observed) -> Vec<Value> {
    let verdict = validate(observed);
    let desired = verdict
        .valid
        .as_ref()
        .and_then(|valid| desired(valid, &Settings::default()).ok());
    let manifests = desired
        .into_iter()
        .flat_map(dittofs_operator::domain::desired::Desired::into_manifests);
    manifests
        .filter_map(|manifest| serde_json::to_value(manifest).ok())
        .collect()
}

/// An object as it should be with the rest of what the API server adds, or changed.
fn object<T: DeserializeOwned>(child: &Value, extra: &Value, input: &mut Input<'_>) -> Option<T> {
    let mut good = child.clone();
    merge(&mut good, extra);
    let mut changed = good.clone();
    for _ in 0..input.below(4) {
        mutate(&mut changed, input);
    }
    serde_json::from_value(changed)
        .or_else(|_| serde_json::from_value(good))
        .ok()
}

fn read<T: DeserializeOwned>(child: Option<&Value>, extra: &Value, input: &mut Input<'_>) -> Read<Arc<T>> {
    let unreadable = input.below(8);
    match child {
        Some(_) if unreadable == 6 => Read::Missing,
        _ if unreadable == 7 => Read::Unreadable(input.text()),
        Some(child) => {
            object(child, extra, input).map_or(Read::Missing, |object| Read::Found(Arc::new(object)))
        }
        None => Read::Missing,
    }
}

fn list<T: DeserializeOwned>(of: &[Value], extra: &Value, input: &mut Input<'_>) -> Vec<Arc<T>> {
    let objects = of.iter().filter_map(|child| object(child, extra, input));
    objects.map(Arc::new).collect()
}

fn time(second: i64) -> Value {
    json!(Timestamp::from_second(second).unwrap_or_default())
}

fn stateful_set_status(input: &mut Input<'_>) -> Value {
    json!({
        "metadata": {"uid": "set", "generation": 2, "resourceVersion": "7"},
        "status": {
            "observedGeneration": input.below(4), "replicas": input.below(3), "readyReplicas": input.below(2), "updatedReplicas": input.below(2),
            "currentRevision": input.pick(&["a", "b", ""]), "updateRevision": input.pick(&["a", "b", ""]),
        },
    })
}

/// The pod of a StatefulSet.
fn pod(name: &str, stateful_set: &Value, confidential: &str, input: &mut Input<'_>, now: i64) -> Value {
    let message = match input.below(4) {
        0 => format!("{}{confidential}{}", input.text(), input.text()),
        1 => format!("{}\n{confidential}\n", input.text()),
        _ => input.text(),
    };
    let reason = *input.pick(&[
        "CrashLoopBackOff",
        "ErrImagePull",
        "CreateContainerConfigError",
        "Completed",
        "",
    ]);
    let states = [
        json!({"running": {"startedAt": time(now - 60)}}),
        json!({"waiting": {"reason": reason, "message": message}}),
        json!({"terminated": {"exitCode": 1, "reason": "Error", "message": message}}),
    ];
    let mut pod = stateful_set["spec"]["template"].clone();
    let ready = *input.pick(&["True", "False", "Unknown"]);
    merge(
        &mut pod,
        &json!({
            "metadata": {
                "name": format!("{name}-0"), "namespace": "storage", "uid": "pod", "creationTimestamp": time(now - 700),
                "labels": {"controller-revision-hash": input.pick(&["a", "b"])},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "uid": "set", "controller": true}],
            },
            "status": {
                "phase": input.pick(&["Running", "Pending", "Failed"]), "message": message, "reason": reason,
                "conditions": [
                    {"type": "Ready", "status": ready, "lastTransitionTime": time(now - 30)},
                    {"type": "PodScheduled", "status": input.pick(&["True", "False"]), "message": message},
                ],
                "containerStatuses": [{
                    "name": "dittofs", "ready": ready == "True", "restartCount": input.below(3), "image": "i", "imageID": "",
                    "state": input.pick(&states), "lastState": input.pick(&states),
                }],
            },
        }),
    );
    pod
}

/// The claims of the templates of a StatefulSet.
fn claims(name: &str, stateful_set: &Value, input: &mut Input<'_>) -> Vec<Value> {
    let templates = stateful_set["spec"]["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten();
    let claim = |template: &Value| {
        let mut claim = template.clone();
        let volume = template["metadata"]["name"].as_str().unwrap_or_default();
        claim["metadata"]["name"] = format!("{volume}-{name}-0").into();
        claim["metadata"]["uid"] = volume.into();
        claim["status"] = json!({
            "phase": input.pick(&["Bound", "Pending", "Lost"]), "capacity": {"storage": input.pick(&["1Gi", "10Gi", "1Ti", "x"])},
        });
        claim
    };
    templates.map(claim).collect()
}

/// What some answers of the API in a row say.
fn report(input: &mut Input<'_>, now: Timestamp) -> ServerReport {
    let mut calls = Calls::new(std::time::Duration::from_secs(1));
    let mut report = if input.one_in(2) {
        ServerReport::of_a_new_server()
    } else {
        ServerReport::default()
    };
    for _ in 0..input.below(4) {
        let rows = |input: &mut Input<'_>| Row {
            adapter_type: sanitized(&if input.one_in(3) {
                input.text()
            } else {
                (*input.pick(&["nfs", "smb"])).to_owned()
            }),
            is_enabled: !input.one_in(4),
            port: u16::try_from(input.number()).unwrap_or(0),
            is_healthy: input.one_in(2),
            message: Some(input.text()),
        };
        let answer = if input.one_in(3) {
            calls.failed(now);
            Err(Failure {
                kind: *input.pick(&[FailureKind::Connect, FailureKind::Token, FailureKind::Answer]),
                message: input.text(),
            })
        } else {
            calls.succeeded(now);
            let unread = |input: &mut Input<'_>| Unread {
                adapter_type: input.one_in(2).then(|| sanitized(&input.text())),
                error: input.text(),
            };
            Ok(Listed {
                rows: (0..input.below(4)).map(|_| rows(input)).collect(),
                unread: (0..input.below(2)).map(|_| unread(input)).collect(),
            })
        };
        report = learn(&report, answer, &calls, now);
    }
    report
}

fn answer(input: &mut Input<'_>) -> ExpansionAnswer {
    match input.below(4) {
        0 => ExpansionAnswer::Allowed,
        1 => ExpansionAnswer::Fixed(input.text()),
        2 => ExpansionAnswer::Refused(input.text()),
        _ => ExpansionAnswer::Unread,
    }
}

/// One state of the cluster.
pub fn observed(server: DittoServer, input: &mut Input<'_>, now: Timestamp) -> Observed {
    let mut good = new_server(server, &mut Input::new(&[]));
    let server = Arc::clone(&good.server);
    let name = server.name_any();
    good.secrets = read_secrets(&server, false, &mut Input::new(&[]));
    let percona = json!({"status": {"state": "ready", "host": "db"}, "spec": {}});
    let without_database = children(&good);
    let cluster = without_database
        .iter()
        .find(|child| child["kind"] == "PerconaPGCluster");
    good.database.cluster = cluster.map_or(Read::Missing, |cluster| {
        read(Some(cluster), &percona, &mut Input::new(&[]))
    });
    let children = children(&good);
    let of = |kind: &str| -> Vec<Value> {
        children
            .iter()
            .filter(|child| child["kind"] == kind)
            .cloned()
            .collect()
    };
    let (sets, maps, clusters) = (of("StatefulSet"), of("ConfigMap"), of("PerconaPGCluster"));
    let state = *input.pick(&["ready", "initializing", "stopping", "paused", "", "error"]);
    let secrets = if input.one_in(3) {
        good.secrets.clone()
    } else {
        read_secrets(&server, true, input)
    };
    let nothing = json!({});
    let set = sets.first();
    let confidential = secrets::uses(&server).first().map_or(String::new(), |used| {
        let value = secrets
            .get(&used.secret)
            .and_then(Read::found)
            .and_then(|data| data.value(&used.key));
        String::from_utf8(value.unwrap_or_default().to_vec()).unwrap_or_default()
    });
    let pods = set.map(|set| pod(&name, set, &confidential, input, now.as_second()));
    let claims = set.map(|set| claims(&name, set, input)).unwrap_or_default();
    let kind = [
        KindState::Served,
        KindState::NotServed,
        KindState::Unknown("timeout".into()),
    ];
    Observed {
        at: now,
        config_map: read(maps.first(), &nothing, input),
        stateful_set: read(set, &stateful_set_status(input), input),
        services: match input.below(8) {
            7 => Read::Unreadable(input.text()),
            _ => Read::Found(list(&of("Service"), &nothing, input)),
        },
        pods: match input.below(8) {
            6 => Read::Unreadable(input.text()),
            7 => Read::Found(Vec::new()),
            _ => Read::Found(
                pods.iter()
                    .filter_map(|pod| object(pod, &nothing, input))
                    .map(Arc::new)
                    .collect(),
            ),
        },
        claims: match input.below(8) {
            7 => Read::Unreadable(input.text()),
            _ => Read::Found(list(&claims, &nothing, input)),
        },
        expansion_answers: claims
            .iter()
            .filter_map(|claim| Some((claim["metadata"]["name"].as_str()?.to_owned(), answer(input))))
            .collect(),
        adapter_policies: list(&of("NetworkPolicy"), &nothing, input),
        report: Arc::new(report(input, now)),
        database: Database {
            kind: input.pick(&kind).clone(),
            cluster: read(clusters.first(), &json!({"status": {"state": state}}), input),
        },
        service_monitors: input.pick(&kind).clone(),
        secrets,
        ..good
    }
}

/// A server of which everything is as it should be, and whose pod is ready.
pub fn running(server: DittoServer) -> Observed {
    let mut observed = new_server(server, &mut Input::new(&[]));
    let name = observed.server.name_any();
    observed.secrets = read_secrets(&observed.server, false, &mut Input::new(&[]));
    let set = children(&observed)
        .into_iter()
        .find(|child| child["kind"] == "StatefulSet")
        .unwrap_or_default();
    let pod = pod(&name, &set, "", &mut Input::new(&[]), 0);
    observed.stateful_set = read(Some(&set), &json!({}), &mut Input::new(&[]));
    observed.pods = Read::Found(
        object(&pod, &json!({}), &mut Input::new(&[]))
            .into_iter()
            .map(Arc::new)
            .collect(),
    );
    observed
}
