//! What the chart renders.

use clap::Parser;
use dittofs_operator::command::cli::{Cli, Command};
use serde_json::{Value, json};

use super::{NAMESPACE, RELEASE, VERSION, chart_dir, everything, helm, objects, of_kind, one, rendered};

pub(super) const LEASE: &str = "b837d6c8.dittofs.com";

/// The sets of values that every test below uses.
pub(super) fn variants() -> Vec<Value> {
    vec![
        json!({}),
        everything(),
        json!({"watchNamespaces": ["team-a", "team-b"]}),
        json!({"shardSelector": "team in (a,b)"}),
        json!({"watchNamespaces": [NAMESPACE], "metrics": {"enabled": false}, "leaderElection": {"enabled": false}, "replicas": 1}),
    ]
}

fn snapshot(name: &str, values: &Value) {
    let mut values = values.clone();
    // The CRD has 100 kB and is compared elsewhere.
    values["crds"] = json!({"install": false});
    let text = rendered(&values).replace(VERSION, "<version>");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots");
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn the_chart_with_default_values_renders_as_in_the_snapshot() {
    snapshot("defaults", &json!({}));
}

#[test]
fn the_chart_with_everything_enabled_renders_as_in_the_snapshot() {
    snapshot("everything", &everything());
}

#[test]
fn the_chart_for_two_namespaces_renders_as_in_the_snapshot() {
    snapshot(
        "watch_namespaces",
        &json!({"watchNamespaces": ["team-a", "team-b"]}),
    );
}

fn deployment(values: &Value) -> Value {
    one(&objects(values), "Deployment").clone()
}

pub(super) fn pod(values: &Value) -> Value {
    deployment(values)["spec"]["template"]["spec"].clone()
}

#[test]
fn the_image_is_named_by_registry_and_tag_or_digest() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    for (image, expected) in [
        (
            json!({}),
            format!("docker.io/marmos91c/dittofs-operator:{VERSION}"),
        ),
        (
            json!({"tag": "1.2.3"}),
            "docker.io/marmos91c/dittofs-operator:1.2.3".to_owned(),
        ),
        (
            json!({"registry": "r.example.com:5000", "repository": "a/b"}),
            format!("r.example.com:5000/a/b:{VERSION}"),
        ),
        (
            json!({"registry": "", "repository": "a/b"}),
            format!("a/b:{VERSION}"),
        ),
        (
            json!({"tag": "1.2.3", "digest": digest}),
            format!("docker.io/marmos91c/dittofs-operator@{digest}"),
        ),
    ] {
        assert_eq!(pod(&json!({"image": image}))["containers"][0]["image"], expected);
    }
    assert_eq!(
        pod(&everything())["imagePullSecrets"],
        json!([{"name": "regcred"}])
    );
}

#[test]
fn the_operator_accepts_the_arguments_of_the_deployment() {
    for values in variants() {
        let pod = pod(&values);
        let args = pod["containers"][0]["args"]
            .as_array()
            .expect("arguments")
            .clone();
        let args = args.iter().map(|arg| arg.as_str().expect("text").to_owned());
        let mut all: Vec<String> = std::iter::once("dittofs-operator".to_owned())
            .chain(args)
            .collect();
        // Given twice there on purpose: the operator uses one.
        all.retain(|arg| arg != "--percona-registry=overridden");
        let cli = Cli::try_parse_from(&all).unwrap_or_else(|error| panic!("{all:?}: {error}"));
        let Some(Command::Run(run)) = cli.command else {
            panic!("{all:?} does not run the operator");
        };
        assert_eq!(
            run.leader_elect,
            values["leaderElection"]["enabled"] != false,
            "{all:?}"
        );
    }
}

#[test]
fn the_operator_watches_the_namespaces_that_its_roles_cover() {
    let args = |values: Value| pod(&values)["containers"][0]["args"].to_string();
    let env = |values: Value| pod(&values)["containers"][0]["env"].to_string();
    let two = json!({"watchNamespaces": ["team-a", "team-b"]});
    assert!(
        args(two.clone()).contains("--watch-namespace=team-a")
            && args(two).contains("--watch-namespace=team-b")
    );
    assert!(!args(json!({})).contains("--watch-namespace") && !env(json!({})).contains("WATCH_NAMESPACE"));
    // The pod's own namespace is used, so that the manifests work in a namespace of any name.
    let own = json!({"watchNamespaces": [NAMESPACE]});
    assert!(!args(own.clone()).contains("--watch-namespace") && env(own).contains("WATCH_NAMESPACE"));
}

#[test]
fn the_pod_meets_pod_security_restricted() {
    for values in variants() {
        let pod = pod(&values);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["runAsUser"], 65532);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(
            pod["containers"][0]["securityContext"],
            json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            })
        );
    }
}

#[test]
fn a_value_of_null_uses_the_default_of_the_cluster() {
    let ids = json!({"runAsUser": null, "runAsGroup": null, "fsGroup": null});
    let pod = pod(&json!({"podSecurityContext": ids, "livenessProbe": null, "readinessProbe": null}));
    let context = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    assert_eq!(pod["securityContext"], context, "as OpenShift wants it");
    for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        let get = json!({"httpGet": {"path": path, "port": "health"}});
        assert_eq!(pod["containers"][0][probe], get);
    }
}

#[test]
fn without_leader_election_an_upgrade_stops_the_old_operator_first() {
    let strategy = |values: Value| deployment(&values)["spec"]["strategy"].clone();
    let alone = json!({"leaderElection": {"enabled": false}, "replicas": 1});
    assert_eq!(strategy(alone), json!({"type": "Recreate"}));
    assert_eq!(strategy(json!({}))["type"], "RollingUpdate");
}

#[test]
fn prometheus_sends_a_token_and_verifies_the_certificate_if_possible() {
    let endpoint = |mut metrics: Value, monitor: Value| {
        metrics["secure"] = json!(true);
        metrics["serviceMonitor"] = monitor;
        metrics["serviceMonitor"]["enabled"] = json!(true);
        one(&objects(&json!({"metrics": metrics})), "ServiceMonitor")["spec"]["endpoints"][0].clone()
    };
    let made = endpoint(json!({}), json!({}));
    assert_eq!(made["tlsConfig"], json!({"insecureSkipVerify": true}));
    assert!(made["bearerTokenFile"].is_string() && made["authorization"].is_null());
    let known = endpoint(json!({"certSecretName": "cert"}), json!({}));
    let verified = json!({
        "serverName": format!("{RELEASE}-metrics.{NAMESPACE}.svc"),
        "ca": {"secret": {"name": "cert", "key": "ca.crt"}},
    });
    assert_eq!(
        known["tlsConfig"], verified,
        "pods are scraped by address, and no certificate names that"
    );
    let tls = json!({"serverName": "metrics", "ca": {"secret": {"name": "cert", "key": "ca.crt"}}});
    for metrics in [json!({}), json!({"certSecretName": "cert"})] {
        assert_eq!(endpoint(metrics, json!({"tlsConfig": tls}))["tlsConfig"], tls);
    }
    let token = json!({"credentials": {"name": "scrape", "key": "token"}});
    let shown = endpoint(json!({}), json!({"authorization": token}));
    assert_eq!(shown["authorization"], token);
    assert!(shown["bearerTokenFile"].is_null(), "{shown}");
}

#[test]
fn the_crd_is_kept_on_uninstall_unless_the_user_disables_that() {
    let policy =
        |values: Value| one(&objects(&values), "CustomResourceDefinition")["metadata"]["annotations"].clone();
    assert_eq!(policy(json!({}))["helm.sh/resource-policy"], "keep");
    assert!(policy(json!({"crds": {"keep": false}})).is_null());
    assert!(
        of_kind(
            &objects(&json!({"crds": {"install": false}})),
            "CustomResourceDefinition"
        )
        .is_empty()
    );
}

#[test]
fn optional_objects_are_off_by_default_and_can_be_enabled() {
    let (off, on) = (objects(&json!({})), objects(&everything()));
    for kind in [
        "ServiceMonitor",
        "PrometheusRule",
        "NetworkPolicy",
        "ValidatingAdmissionPolicy",
    ] {
        assert!(of_kind(&off, kind).is_empty(), "{kind}");
        assert!(!of_kind(&on, kind).is_empty(), "{kind}");
    }
    assert_eq!(of_kind(&off, "PodDisruptionBudget").len(), 1);
    assert!(of_kind(&objects(&json!({"replicas": 1})), "PodDisruptionBudget").is_empty());
}

#[test]
fn every_object_has_the_common_labels_and_no_label_breaks_a_selector() {
    let mut values = everything();
    values["commonLabels"] = json!({"team": "storage", "app.kubernetes.io/name": "mine", "mesh": "on"});
    for object in objects(&values) {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["team"], "storage", "{}", super::identity(&object));
        assert_eq!(labels["app.kubernetes.io/name"], RELEASE);
        assert_eq!(object["metadata"]["annotations"]["example.com/cost-center"], "42");
    }
    let spec = &deployment(&values)["spec"];
    let labels = &spec["template"]["metadata"]["labels"];
    for (key, value) in spec["selector"]["matchLabels"].as_object().expect("a selector") {
        assert_eq!(labels[key], *value);
    }
    assert_eq!(
        labels["mesh"], "off",
        "the pod's own label wins over the common one"
    );
    let spread = &spec["template"]["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["labelSelector"], spec["selector"]);
}

#[test]
fn the_notes_list_the_next_steps_and_warnings() {
    let notes = |values: &Value| {
        let output = helm()
            .args(["install", RELEASE, "--dry-run=client", "--namespace", NAMESPACE])
            .arg(chart_dir())
            .args(super::settings(values))
            .output()
            .expect("Helm runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_once("NOTES:").expect("notes").1.to_owned()
    };
    let usual = notes(&json!({}));
    assert!(
        usual.contains("kubectl -n dittofs-system rollout status deployment/dittofs-operator"),
        "{usual}"
    );
    assert!(
        usual.contains("leaves the CRD") && !usual.contains("WARNING"),
        "{usual}"
    );
    // A here-document that is pasted with indentation would not end.
    assert!(!usual.contains("<<"), "{usual}");
    assert!(
        usual.contains("  kubectl create namespace files\n") && usual.contains("kubectl -n files apply -f -"),
        "{usual}"
    );
    let watching = notes(&json!({"watchNamespaces": ["team-a", "team-b"]}));
    assert!(
        watching.contains("kubectl -n team-a apply -f -") && !watching.contains("create namespace"),
        "{watching}"
    );
    let risky = notes(&json!({"crds": {"keep": false}}));
    assert_eq!(risky.matches("WARNING").count(), 1, "{risky}");
}
