//! Values that the chart refuses, and values that need quotes.

use clap::Parser;
use dittofs_operator::command::cli::Cli;
use serde_json::{Value, json};

use super::{chart_dir, helm, template};

#[test]
fn helm_lint_finds_nothing() {
    let output = helm()
        .args(["lint", "--strict"])
        .arg(chart_dir())
        .output()
        .expect("Helm runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !said.contains("[WARNING]"), "{said}");
}

#[test]
fn a_value_that_is_unknown_or_wrong_is_refused() {
    for (values, expected) in [
        (json!({"replica": 3}), "replica"),
        (json!({"image": {"tagg": "x"}}), "tagg"),
        (json!({"image": {"digest": "latest"}}), "digest"),
        (json!({"image": {"pullPolicy": "Sometimes"}}), "pullPolicy"),
        (json!({"replicas": "3"}), "replicas"),
        (json!({"watchNamespaces": ["Team A"]}), "watchNamespaces"),
        (json!({"watchNamespaces": ["a", "a"]}), "watchNamespaces"),
        (json!({"leaderElection": {"leaseDuration": 15}}), "leaseDuration"),
        (json!({"metrics": {"port": 0}}), "port"),
        (json!({"log": {"format": "xml"}}), "format"),
        (json!({"networkPolicy": {"apiServerPorts": []}}), "apiServerPorts"),
        (json!({"nameOverride": "file.server"}), "nameOverride"),
        (json!({"fullnameOverride": "1st"}), "fullnameOverride"),
        (
            json!({"podDisruptionBudget": {"maxUnavailable": "0%"}}),
            "maxUnavailable",
        ),
        (
            json!({"podDisruptionBudget": {"maxUnavailable": "101%"}}),
            "maxUnavailable",
        ),
        (
            json!({"metrics": {"serviceMonitor": {"authorization": {"name": "token"}}}}),
            "authorization",
        ),
        (json!({"serviceAccount": {"create": false}}), "set the name"),
        (
            json!({"metrics": {"enabled": false, "serviceMonitor": {"enabled": true}}}),
            "metrics.serviceMonitor.enabled",
        ),
        (
            json!({"metrics": {"enabled": false, "prometheusRule": {"enabled": true}}}),
            "metrics.prometheusRule.enabled",
        ),
        (
            json!({"metrics": {"certSecretName": "cert"}}),
            "metrics.secure=true",
        ),
        (
            json!({"leaderElection": {"enabled": false}, "replicas": 1, "shardSelector": "team=a"}),
            "shardSelector needs a Lease",
        ),
        (
            json!({"leaderElection": {"enabled": false}}),
            "without leader election",
        ),
    ] {
        let output = template(&values);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(expected),
            "{values}: {said}"
        );
    }
}

/// The output with this name wherever a name can be set.
fn named(name: &str) -> Vec<Value> {
    let full = if name.starts_with('1') { "files" } else { name };
    let settings = json!({
        "watchNamespaces": [name],
        "fullnameOverride": full,
        "nameOverride": full,
        "priorityClassName": name,
        "metrics": {
            "secure": true,
            "certSecretName": name,
            "serviceMonitor": {"enabled": true},
            "prometheusRule": {"enabled": true},
        },
        "networkPolicy": {"enabled": true},
        "podDisruptionBudget": {"enabled": true},
    });
    let output = helm()
        .args(["template", name, "--namespace", name])
        .arg(chart_dir())
        .args(super::settings(&settings))
        .output()
        .expect("Helm runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    serde_yaml::from_multiple(&String::from_utf8_lossy(&output.stdout)).expect("YAML")
}

/// The types of what an object holds, by path.
fn types(value: &Value, path: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| types(value, &format!("{path}.{key}"), into)),
        Value::Array(list) => list
            .iter()
            .for_each(|value| types(value, &format!("{path}[]"), into)),
        Value::String(_) => into.push(format!("{path} text")),
        Value::Bool(_) => into.push(format!("{path} bool")),
        Value::Number(_) => into.push(format!("{path} number")),
        Value::Null => into.push(format!("{path} null")),
    }
}

#[test]
fn a_name_that_yaml_could_read_as_another_type_stays_a_string() {
    let shape = |name: &str| {
        let mut shape = Vec::new();
        for object in named(name) {
            types(&object, "", &mut shape);
        }
        shape
    };
    let usual = shape("files");
    for name in ["true", "null", "123", "1e3"] {
        assert_eq!(shape(name), usual, "{name}");
    }
}

#[test]
fn a_release_name_that_is_not_a_service_name_is_refused_with_the_value_to_override() {
    for (release, full, is_fine) in [
        ("files", "", true),
        ("1st", "", false),
        ("file.server", "", false),
        ("file.server", "files", true),
    ] {
        let output = helm()
            .args(["template", release])
            .arg(chart_dir())
            .args(["--set", &format!("fullnameOverride={full}")])
            .output()
            .expect("Helm runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_fine, "{release}: {said}");
        assert!(is_fine || said.contains("set fullnameOverride"), "{said}");
    }
}

#[test]
fn the_chart_refuses_the_lease_times_that_the_operator_refuses() {
    let mut refused = 0;
    for times in [
        ["15s", "10s", "2s"],
        ["1m30s", "1m", "1500ms"],
        ["15s", "10s", "8.3s"],
        ["15s", "10s", "9s"],
        ["15s", "1.2s", "1s"],
        ["15s", "15s", "2s"],
        ["10s", "1m", "2s"],
        ["15s", "10s", "0s"],
        ["500ms", "300ms", "100ms"],
        ["1500ms", "1s", "100ms"],
    ] {
        let [lease, renew, retry] = times;
        let election = json!({"leaseDuration": lease, "renewDeadline": renew, "retryPeriod": retry});
        let flags = [
            format!("--leader-elect-lease-duration={lease}"),
            format!("--leader-elect-renew-deadline={renew}"),
            format!("--leader-elect-retry-period={retry}"),
        ];
        let all = ["dittofs-operator".to_owned()].into_iter().chain(flags);
        let cli = Cli::try_parse_from(all).expect("durations");
        let is_fine = cli.run.election.timing().is_ok();
        let output = template(&json!({"leaderElection": election}));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_fine, "{times:?}: {said}");
        refused += usize::from(!is_fine);
    }
    assert_eq!(refused, 7);
}
