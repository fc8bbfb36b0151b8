//! Servers with many combinations of the optional blocks of the spec, as the operator renders them.

use std::collections::BTreeMap;

use dittofs_operator::domain::settings::Settings;
use dittofs_operator::plugin::render;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Container, PodSpec};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::merge::merge;
use crate::support::real::IMAGE;

/// Number of combinations.
const COUNT: usize = 200;
/// Number of servers that are rendered at a time, because the parser limits the number of documents.
const PART: usize = 50;
/// Has no factor in common with the number of all combinations, so no combination comes twice.
const STRIDE: usize = 7919;

/// The choices of each optional block of the spec. `<role>` is a reference to a Secret of the server, and `NAME` the server.
const BLOCKS: [&[&str]; 9] = [
    &["{}", "{logging: {level: DEBUG, format: text, output: stderr}}"],
    &[
        "{}",
        "{controlPlane: {port: 8443}}",
        "{controlPlane: {certSecretName: NAME-cert}}",
        "{controlPlane: {certSecretName: NAME-cert, clientCASecretName: NAME-ca, operatorCertSecretName: NAME-op}}",
    ],
    &[
        "{}",
        "{metrics: {enabled: true}}",
        "{metrics: {enabled: true, port: 9191, path: /m, bearerTokenSecret: <token>}}",
    ],
    &[
        "{}",
        "{database: {type: sqlite, sqlite: {path: /data/controlplane/other.db}}}",
        "{database: {postgresSecretRef: <database>}}",
        "{percona: {enabled: true}}",
    ],
    &["{}", "{identity: {jwt: {secretRef: <jwt>, accessTokenDuration: 5m, refreshTokenDuration: 24h}}}"],
    &["{}", "{identity: {admin: {username: root, passwordSecretRef: <admin>}}}"],
    &[
        "{}",
        "{identity: {ldap: {enabled: false, url: 'ldaps://d', baseDN: dc=x, bindDN: cn=y}}}",
        "{identity: {ldap: {enabled: true, url: 'ldaps://d', baseDN: dc=x, bindDN: cn=y, bindPasswordSecretRef: <bind>,
            caSecretRef: <directory>}}}",
        "{identity: {ldap: {enabled: true, url: 'ldap://d', startTLS: true, allowPlaintext: true, baseDN: dc=x, bindDN: cn=y,
            bindPasswordSecretRef: <bind>, userAttr: uid, realm: X, idmap: rid, nestedGroups: true, caCertFile: /ca.crt,
            insecureSkipVerify: true}}}",
    ],
    // With a krb5.conf: the image has none, and without one the server ends at its start.
    &[
        "{}",
        "{identity: {kerberos: {enabled: true, keytabSecretRef: <keytab>, servicePrincipal: nfs/h@EXAMPLE.COM,
            realm: EXAMPLE.COM, netbiosDomain: EXAMPLE, krb5ConfSecretRef: <krb5>,
            machineAccount: {enabled: true, accountName: H$, secretRef: <account>}}}}",
        "{identity: {kerberos: {enabled: true, keytabSecretRef: <keytab>, servicePrincipal: nfs/h@EXAMPLE.COM, realm: EXAMPLE.COM,
            netbiosDomain: EXAMPLE, dnsDomain: example.com, krb5ConfSecretRef: <krb5>}}}",
        "{identity: {kerberos: {enabled: true, keytabSecretRef: <keytab>, servicePrincipal: nfs/h@EXAMPLE.COM,
            krb5Conf: /etc/krb5/krb5.conf,
            machineAccount: {enabled: true, accountName: H$, keytabSecretRef: <machine>, dcAddress: [dc.example.com]}}},
        podTemplate: {volumes: [{name: krb5, secret: {secretName: NAME-krb5, items: [{key: k, path: krb5.conf}]}}],
            volumeMounts: [{name: krb5, mountPath: /etc/krb5}]}}",
    ],
    &["{}", "{storage: {contentSize: 1Gi}}"],
];

/// A server with some of the blocks, and what of it decides how the process starts.
pub struct Combination {
    pub name: String,
    pub spec: Value,
    pub config: ConfigMap,
    pub set: StatefulSet,
}

impl Combination {
    /// The server's pod.
    pub fn pod(&self) -> &PodSpec {
        let template = self.set.spec.as_ref().map(|set| &set.template);
        let pod = template.and_then(|template| template.spec.as_ref());
        pod.expect("a pod template")
    }

    /// The server's container.
    pub fn container(&self) -> &Container {
        &self.pod().containers[0]
    }

    /// The server's configuration.
    pub fn text(&self) -> &str {
        &self.config.data.as_ref().expect("data")["config.yaml"]
    }
}

/// All of them.
pub fn all() -> Vec<Combination> {
    let all: usize = BLOCKS.iter().map(|choices| choices.len()).product();
    let indexes: Vec<usize> = (0..COUNT).map(|position| position * STRIDE % all).collect();
    rendered(&indexes)
}

/// As few of them as show each choice of each block.
pub fn sample() -> Vec<Combination> {
    let all: usize = BLOCKS.iter().map(|choices| choices.len()).product();
    let mut unseen: Vec<(usize, usize)> = BLOCKS
        .iter()
        .enumerate()
        .flat_map(|(block, choices)| (0..choices.len()).map(move |choice| (block, choice)))
        .collect();
    let mut chosen = Vec::new();
    while !unseen.is_empty() {
        let shows = |index: &usize| {
            let choices = choices(*index);
            unseen
                .iter()
                .filter(|(block, choice)| choices[*block] == *choice)
                .count()
        };
        let indexes = (0..COUNT).map(|position| position * STRIDE % all);
        let best = indexes.max_by_key(shows).expect("a combination");
        let choices = choices(best);
        unseen.retain(|(block, choice)| choices[*block] != *choice);
        chosen.push(best);
    }
    rendered(&chosen)
}

/// The choice of each block in a combination.
fn choices(index: usize) -> [usize; BLOCKS.len()] {
    let mut rest = index;
    BLOCKS.map(|choices| {
        let choice = rest % choices.len();
        rest /= choices.len();
        choice
    })
}

fn spec(name: &str, index: usize) -> Value {
    let mut spec = json!({"image": IMAGE, "storage": {"metadataSize": "1Gi"}});
    for (choices, choice) in BLOCKS.iter().zip(choices(index)) {
        let text = choices[choice]
            .replace('<', "{name: NAME-")
            .replace('>', ", key: k}")
            .replace("NAME", name);
        merge(&mut spec, &serde_yaml::from_str(&text).expect("YAML"));
    }
    spec
}

fn rendered(indexes: &[usize]) -> Vec<Combination> {
    let specs = indexes.iter().enumerate().map(|(position, index)| {
        let name = format!("s{position}");
        let spec = spec(&name, *index);
        (name, spec)
    });
    let specs: Vec<(String, Value)> = specs.collect();
    let children = specs.chunks(PART).flat_map(children);
    let mut children: BTreeMap<(String, String), Value> =
        children.map(|child| (key(&child), child)).collect();
    let combination = |(name, spec): (String, Value)| Combination {
        config: take(&mut children, "ConfigMap", &format!("{name}-config")),
        set: take(&mut children, "StatefulSet", &name),
        name,
        spec,
    };
    specs.into_iter().map(combination).collect()
}

fn children(servers: &[(String, Value)]) -> Vec<Value> {
    let manifests = servers.iter().map(|(name, spec)| {
        let server = json!({
            "apiVersion": "dittofs.dittofs.com/v1alpha1", "kind": "DittoServer",
            "metadata": {"name": name}, "spec": spec,
        });
        format!("---\n{server}\n")
    });
    let rendered = render::manifests(&manifests.collect::<String>(), &Settings::default());
    let rendered = rendered.expect("every combination is valid");
    serde_yaml::from_multiple(&rendered).expect("YAML")
}

fn key(child: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&child["kind"]), text(&child["metadata"]["name"]))
}

/// A child, without the namespace and the owner that were assumed.
fn take<K: DeserializeOwned>(children: &mut BTreeMap<(String, String), Value>, kind: &str, name: &str) -> K {
    let child = children.remove(&(kind.to_owned(), name.to_owned()));
    let mut child = child.unwrap_or_else(|| panic!("no {kind} {name}"));
    let metadata = child["metadata"].as_object_mut().expect("metadata");
    metadata.retain(|key, _| !["namespace", "ownerReferences"].contains(&key.as_str()));
    serde_json::from_value(child).expect("a child")
}
