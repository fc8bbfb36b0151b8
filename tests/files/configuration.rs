//! The rendered configuration, as the real server reads it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use dittofs_operator::domain::settings::Settings;
use dittofs_operator::plugin::render;
use local_control_plane::binaries::{self, Progress};
use serde_json::{Value, json};

/// Number of configurations.
const COUNT: usize = 200;
/// Number of servers that are rendered at a time.
const PART: usize = 50;
/// Has no factor in common with the number of all combinations, so no combination comes twice.
const STRIDE: usize = 7919;

const SECRET: &str = "{name: s, key: k}";

/// The choices of each optional block of the spec, with `SECRET` for a reference.
const BLOCKS: [&[&str]; 9] = [
    &["{}", "{logging: {level: DEBUG, format: text, output: stderr}}"],
    &[
        "{}",
        "{controlPlane: {port: 8443}}",
        "{controlPlane: {certSecretName: cert}}",
        "{controlPlane: {certSecretName: cert, clientCASecretName: ca, operatorCertSecretName: op}}",
    ],
    &[
        "{}",
        "{metrics: {enabled: true}}",
        "{metrics: {enabled: true, port: 9191, path: /m, bearerTokenSecret: SECRET}}",
    ],
    &[
        "{}",
        "{database: {type: sqlite, sqlite: {path: /data/controlplane/other.db}}}",
        "{database: {postgresSecretRef: SECRET}}",
        "{percona: {enabled: true}}",
    ],
    &["{}", "{identity: {jwt: {secretRef: SECRET, accessTokenDuration: 5m, refreshTokenDuration: 24h}}}"],
    &["{}", "{identity: {admin: {username: root, passwordSecretRef: SECRET}}}"],
    &[
        "{}",
        "{identity: {ldap: {enabled: false, url: 'ldaps://d', baseDN: dc=x, bindDN: cn=y}}}",
        "{identity: {ldap: {enabled: true, url: 'ldaps://d', baseDN: dc=x, bindDN: cn=y, bindPasswordSecretRef: SECRET}}}",
        "{identity: {ldap: {enabled: true, url: 'ldap://d', startTLS: true, allowPlaintext: true, baseDN: dc=x, bindDN: cn=y,
            bindPasswordSecretRef: SECRET, userAttr: uid, realm: X, idmap: rid, nestedGroups: true, caCertFile: /ca.crt,
            insecureSkipVerify: true}}}",
    ],
    &[
        "{}",
        "{identity: {kerberos: {enabled: true, keytabSecretRef: SECRET, servicePrincipal: nfs/h@EXAMPLE.COM}}}",
        "{identity: {kerberos: {enabled: true, keytabSecretRef: SECRET, servicePrincipal: nfs/h@EXAMPLE.COM, realm: EXAMPLE.COM,
            netbiosDomain: EXAMPLE, dnsDomain: example.com, krb5ConfSecretRef: SECRET}}}",
        "{identity: {kerberos: {enabled: true, keytabSecretRef: SECRET, servicePrincipal: nfs/h@EXAMPLE.COM,
            krb5Conf: /etc/krb5.conf,
            machineAccount: {enabled: true, accountName: H$, keytabSecretRef: SECRET, dcAddress: [dc.example.com]}}}}",
    ],
    &["{}", "{storage: {contentSize: 1Gi}}"],
];

/// One combination of the choices.
fn spec(index: usize) -> Value {
    let mut spec = json!({"storage": {"metadataSize": "1Gi"}});
    let mut rest = index;
    for choices in BLOCKS {
        let choice = choices[rest % choices.len()].replace("SECRET", SECRET);
        rest /= choices.len();
        merge(&mut spec, serde_yaml::from_str(&choice).expect("YAML"));
    }
    spec
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// What a server reads: its configuration, and its variables with a value for each Secret.
struct Input {
    config: String,
    variables: BTreeMap<String, String>,
}

fn inputs() -> Vec<(Value, Input)> {
    let all: usize = BLOCKS.iter().map(|choices| choices.len()).product();
    let specs: Vec<Value> = (0..COUNT).map(|index| spec(index * STRIDE % all)).collect();
    let manifests = specs.iter().enumerate().map(|(index, spec)| {
        let server = json!({
            "apiVersion": "dittofs.dittofs.com/v1alpha1", "kind": "DittoServer",
            "metadata": {"name": format!("s{index}")}, "spec": spec,
        });
        format!("---\n{server}\n")
    });
    let manifests: Vec<String> = manifests.collect();
    // In parts: the parser limits the number of documents.
    let children: Vec<Value> = manifests
        .chunks(PART)
        .flat_map(|part| children(&part.concat()))
        .collect();
    let mut children: BTreeMap<(String, String), Value> =
        children.into_iter().map(|child| (key(&child), child)).collect();
    let mut take = |kind: &str, name: String| {
        let child = children.remove(&(kind.to_owned(), name));
        child.unwrap_or_else(|| panic!("no {kind}"))
    };
    let mut input = |index: usize| Input {
        config: take("ConfigMap", format!("s{index}-config"))["data"]["config.yaml"]
            .as_str()
            .expect("a configuration")
            .to_owned(),
        variables: variables(&take("StatefulSet", format!("s{index}"))),
    };
    specs
        .into_iter()
        .enumerate()
        .map(|(index, spec)| (spec, input(index)))
        .collect()
}

fn children(manifests: &str) -> Vec<Value> {
    let rendered = render::manifests(manifests, &Settings::default());
    let rendered = rendered.expect("every combination is valid");
    serde_yaml::from_multiple(&rendered).expect("YAML")
}

fn key(child: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&child["kind"]), text(&child["metadata"]["name"]))
}

fn variables(set: &Value) -> BTreeMap<String, String> {
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let variables = container["env"].as_array().expect("variables").iter();
    variables
        .map(|variable| {
            let name = variable["name"].as_str().expect("a name").to_owned();
            let value = variable["value"].as_str();
            // A number is right for a port, and long enough for a key.
            let secret = if name.ends_with("_PORT") {
                "5432"
            } else {
                "0123456789abcdef0123456789abcdef"
            };
            (name, value.unwrap_or(secret).to_owned())
        })
        .collect()
}

/// What the server says of a configuration. Nothing if it has no objection.
fn objection(dfs: &Path, file: &Path, input: &Input) -> Option<String> {
    std::fs::write(file, &input.config).expect("a file");
    let output = Command::new(dfs)
        .args(["config", "validate", "--config"])
        .arg(file)
        .env_clear()
        .envs(&input.variables)
        .stdin(Stdio::null())
        .output()
        .expect("the server runs");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let is_accepted =
        output.status.success() && stderr.trim().is_empty() && stdout.contains("Validation: OK\n");
    (!is_accepted).then(|| format!("{stdout}{stderr}"))
}

#[tokio::test]
async fn the_server_reads_every_combination_of_blocks_without_a_warning() {
    let build = tokio::task::spawn_blocking(|| binaries::dfs(&Progress::stderr()));
    let dfs = build.await.expect("no panic").expect("the server is built");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config-of-a-combination.yaml");
    let inputs = inputs();
    let blocks = |spec: &Value| spec.as_object().map_or(0, serde_json::Map::len);
    assert!(
        inputs.iter().any(|(spec, _)| blocks(spec) >= 6),
        "the blocks are combined"
    );
    for (spec, input) in &inputs {
        if let Some(objection) = objection(&dfs, &file, input) {
            panic!("{objection}\nof {spec:#}\n{}", input.config);
        }
    }
    // The check itself: the server does warn of a key that it does not know.
    let (_, input) = &inputs[0];
    let unknown = Input {
        config: format!("{}unknown_key: 1\n", input.config),
        variables: input.variables.clone(),
    };
    let objection = objection(&dfs, &file, &unknown).expect("a warning");
    assert!(objection.contains("unknown_key"), "{objection}");
}
