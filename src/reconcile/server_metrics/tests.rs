use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;

impl fmt::Debug for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Series")
    }
}

impl Collector for Series {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        Series::encode(self, &mut encoder)
    }
}

/// The series of a server in namespace `team-a` with this status.
fn series_of(spec: &Value, status: &Value) -> Vec<String> {
    let stored: StoredServer = serde_json::from_value(json!({
        "apiVersion": "dittofs.dittofs.com/v1alpha1",
        "kind": "DittoServer",
        "metadata": {"name": "files", "namespace": "team-a"},
        "spec": spec,
        "status": status,
    }))
    .unwrap();
    let (series, mut registry) = (Series::default(), Registry::default());
    series.add(&stored);
    registry.register_collector(Box::new(series));
    let mut encoded = String::new();
    text::encode(&mut encoded, &registry).unwrap();
    let mut lines: Vec<String> = encoded
        .lines()
        .filter_map(|line| line.strip_prefix("dittoserver_"))
        .map(|line| line.replace(r#"server_namespace="team-a",server_name="files","#, ""))
        .collect();
    lines.sort();
    lines
}

fn valid() -> Value {
    json!({"storage": {"metadataSize": "1Gi"}})
}

fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": "", "lastTransitionTime": "2024-01-01T00:00:00Z"})
}

#[test]
fn each_condition_of_this_operator_has_a_series_and_others_have_none() {
    let conditions = [
        condition("Ready", "False", "ConditionsNotMet"),
        condition("Available", "Unknown", "StatefulSetUnreadable"),
        condition("Progressing", "True", "RolloutInProgress"),
        condition("Stalled", "True", "ConditionsNotMet"),
        condition("ThirdParty", "True", "Whatever"),
    ];
    let expected = [
        r#"condition{condition="Available"} -1"#,
        r#"condition{condition="Progressing"} 1"#,
        r#"condition{condition="Ready"} 0"#,
        r#"condition{condition="Stalled"} 1"#,
    ];
    assert_eq!(series_of(&valid(), &json!({"conditions": conditions})), expected);
}

#[test]
fn a_server_without_conditions_has_an_unknown_ready_condition() {
    let unknown = [r#"condition{condition="Ready"} -1"#];
    assert_eq!(series_of(&valid(), &Value::Null), unknown);
    assert_eq!(series_of(&valid(), &json!({"conditions": []})), unknown);
}

#[test]
fn a_server_that_cannot_be_parsed_is_not_ready() {
    let conditions = [condition("Ready", "True", "AllConditionsMet")];
    let series = series_of(&json!({"storage": 1}), &json!({"conditions": conditions}));
    assert_eq!(series, [r#"condition{condition="Ready"} 0"#]);
}

#[test]
fn each_certificate_has_a_series_with_its_end_and_its_secret() {
    let certificate =
        json!({"secret": "cert", "key": "tls.crt", "notAfter": "2027-03-15T00:00:00Z", "state": "Valid"});
    let series = series_of(&valid(), &json!({"certificates": [certificate]}));
    let expected = r#"certificate_expiry_timestamp_seconds{secret="cert"} 1805068800"#;
    assert_eq!(
        series
            .iter()
            .find(|line| line.starts_with("certificate"))
            .map(String::as_str),
        Some(expected)
    );
}

#[test]
fn a_server_that_is_left_to_another_operator_has_a_series_with_its_lease() {
    let (series, mut registry) = (Series::default(), Registry::default());
    let owner = LeaseName::parse("system/lease").unwrap();
    series.add_left(&ObjectRef::new("files").within("team-a"), &owner);
    registry.register_collector(Box::new(series));
    let mut encoded = String::new();
    text::encode(&mut encoded, &registry).unwrap();
    let expected =
        r#"dittoserver_other_shard{server_namespace="team-a",server_name="files",lease="system/lease"} 1"#;
    assert!(encoded.contains(expected), "{encoded}");
}

#[test]
fn a_stuck_volume_has_a_series_with_its_reason_although_the_server_is_ready() {
    let with = |reason| {
        let progressing = condition("Progressing", "False", reason);
        let ready = condition("Ready", "True", "AllConditionsMet");
        let mut series = series_of(&valid(), &json!({"conditions": [ready, progressing]}));
        series.retain(|line| line.starts_with("volume_stuck"));
        series
    };
    for reason in reasons::BLOCKED_VOLUME {
        assert_eq!(with(reason), [format!(r#"volume_stuck{{reason="{reason}"}} 1"#)]);
    }
    assert!(with("ReconcileComplete").is_empty() && with("ThirdParty").is_empty());
}
