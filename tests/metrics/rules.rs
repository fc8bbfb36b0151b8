//! The alert rules as they are installed: which operator they select, and where their runbooks are.

use std::collections::BTreeSet;
use std::fs::{read_dir, write};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{file, new_folder};
use crate::support::chart::{self, NAMESPACE, RELEASE, documents, helm};

fn objects(output: &Output) -> Vec<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    documents(&String::from_utf8_lossy(&output.stdout))
}

/// What the chart renders with everything for Prometheus on, and with more arguments.
fn rendered(release: &str, namespace: &str, arguments: &[&str]) -> Vec<Value> {
    let on = "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,crds.install=false";
    let mut command = helm();
    command
        .args(["template", release, "--namespace", namespace, "--set", on])
        .arg(chart::folder());
    objects(&command.args(arguments).output().expect("Helm runs"))
}

/// The objects of a kind. The chart has one of each, except Roles.
fn of_kind<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind);
    found.unwrap_or_else(|| panic!("there is a {kind}"))
}

fn rules(objects: &[Value]) -> Vec<Value> {
    let groups = &of_kind(objects, "PrometheusRule")["spec"]["groups"];
    groups[0]["rules"].as_array().expect("rules").clone()
}

fn text<'a>(rule: &'a Value, pointer: &str) -> &'a str {
    rule.pointer(pointer).and_then(Value::as_str).expect("text")
}

/// The names of the runbooks' files, without `.md`.
fn runbooks() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/runbooks");
    let names = read_dir(folder).expect("a folder").map(|entry| {
        let name = entry.expect("a file").file_name();
        name.to_string_lossy().trim_end_matches(".md").to_owned()
    });
    names.collect()
}

#[test]
fn the_absent_alert_names_the_job_that_the_service_monitor_scrapes() {
    for (release, namespace) in [(RELEASE, NAMESPACE), ("files", "team-a")] {
        let objects = rendered(release, namespace, &[]);
        let (service, monitor) = (of_kind(&objects, "Service"), of_kind(&objects, "ServiceMonitor"));
        let selected = monitor["spec"]["selector"]["matchLabels"]
            .as_object()
            .expect("labels");
        assert!(
            selected
                .iter()
                .all(|(key, value)| service["metadata"]["labels"][key] == *value),
            "{service}"
        );
        // So Prometheus names the job after the Service, and keeps the labels of the target.
        assert!(monitor["spec"]["jobLabel"].is_null() && monitor["spec"]["namespaceSelector"].is_null());
        let job = text(service, "/metadata/name");
        let down = format!(r#"absent(dittofs_operator_build_info{{namespace="{namespace}",job="{job}"}})"#);
        let rules = rules(&objects);
        assert_eq!(text(&rules[0], "/expr"), down);
        for rule in &rules[1..] {
            let expr = text(rule, "/expr");
            let grouped = expr.matches("by (namespace, job").count();
            assert!(
                grouped == expr.matches(" by (").count() && grouped > 0,
                "of each operator for itself: {expr}"
            );
        }
    }
}

#[test]
fn an_overlay_sets_its_namespace_in_the_alert_rule_as_documented() {
    let page = file("docs/operations.md");
    let (_, block) = page.split_once("replacements:\n").expect("a block");
    let (block, _) = block.split_once("```").expect("its end");
    let folder = new_folder("overlay");
    let base = new_folder("overlay/base");
    for name in [
        "kustomization.yaml",
        "prometheus_rule.yaml",
        "service_monitor.yaml",
    ] {
        write(base.join(name), file(&format!("config/monitoring/{name}"))).expect("a file");
    }
    let kustomization = format!("namespace: team-a\nresources: [base]\nreplacements:\n{block}");
    write(folder.join("kustomization.yaml"), kustomization).expect("a file");
    let mut kubectl = Command::new("kubectl");
    let output = kubectl
        .arg("kustomize")
        .arg(folder)
        .output()
        .expect("kubectl runs");
    let ours = rules(&objects(&output));
    assert_eq!(ours, rules(&rendered(RELEASE, "team-a", &[])));
}

#[test]
fn every_alert_links_to_its_runbook_and_every_runbook_has_an_alert() {
    let repository = text(
        &documents(&file("charts/dittofs-operator/Chart.yaml"))[0],
        "/sources/0",
    )
    .to_owned();
    let of_version = format!("{repository}/blob/v{}/docs/runbooks", env!("CARGO_PKG_VERSION"));
    let own = "https://wiki.example.com/runbooks";
    for (arguments, folder) in [
        (vec![], of_version.as_str()),
        (
            vec![
                "--set",
                "metrics.prometheusRule.runbookBaseUrl=https://wiki.example.com/runbooks/",
            ],
            own,
        ),
    ] {
        let mut left = runbooks();
        for rule in rules(&rendered(RELEASE, NAMESPACE, &arguments)) {
            let name = text(&rule, "/alert");
            assert_eq!(
                text(&rule, "/annotations/runbook_url"),
                format!("{folder}/{name}.md")
            );
            assert!(left.remove(name), "{name} has a runbook");
            assert!(file(&format!("docs/runbooks/{name}.md")).starts_with(&format!("# {name}\n")));
        }
        assert!(left.is_empty(), "{left:?} have no alert");
    }
}

#[test]
fn the_labels_in_the_runbooks_are_on_the_pods() {
    let objects = rendered(RELEASE, NAMESPACE, &[]);
    let labels = &of_kind(&objects, "Deployment")["spec"]["template"]["metadata"]["labels"];
    let mut selectors = 0;
    for name in runbooks() {
        let page = file(&format!("docs/runbooks/{name}.md"));
        for rest in page.split(" -l ").skip(1) {
            let selector = rest.split([' ', '`', '\n']).next().unwrap_or_default();
            for (key, value) in selector.split(',').filter_map(|pair| pair.split_once('=')) {
                assert_eq!(labels[key], json!(value), "{name}: {selector}");
                selectors += 1;
            }
        }
    }
    assert!(selectors > 0, "the runbooks select pods");
}
