use super::*;

const MINIMAL: &str = "apiVersion: dittofs.dittofs.com/v1alpha1\nkind: DittoServer\nmetadata: {name: files}\nspec: {storage: {metadataSize: 1Gi}}\n";

fn rendered(text: &str) -> Result<String, String> {
    let documents = input::documents("server.yaml", text).map_err(|error| error.to_string())?;
    all(&documents, &Settings::default()).map_err(|error| error.to_string())
}

fn refusal(text: &str) -> String {
    rendered(text).expect_err("a refusal")
}

#[test]
fn a_manifest_that_the_schema_refuses_is_refused() {
    let text = MINIMAL.replace("spec: {", "spec: {replicas: 5, replica: 1, ");
    assert_eq!(
        refusal(&text),
        "server.yaml: DittoServer files would be refused:
  spec.replica: unknown field: did you mean replicas?
  spec.replicas: 5 is out of range: write a number from 0 to 1"
    );
}

#[test]
fn a_wrong_api_version_and_a_missing_name_are_refused_together() {
    let text = MINIMAL
        .replace("v1alpha1", "v1beta1")
        .replace("{name: files}", "{}");
    let error = refusal(&text);
    assert!(error.starts_with("server.yaml: DittoServer without a name would be refused:\n  apiVersion: is dittofs.dittofs.com/v1beta1"), "{error}");
    assert!(error.contains("\n  metadata.name: is required"), "{error}");
}

#[test]
fn a_violated_rule_has_the_message_of_the_api_server() {
    let error = refusal(&MINIMAL.replace("1Gi", "0Gi"));
    assert!(
        error.contains("\n  spec.storage.metadataSize: must be a size above zero"),
        "{error}"
    );
}

#[test]
fn yaml_errors_have_the_file_and_the_line_in_it() {
    for (text, line) in [
        ("a: 1\nkind: DittoServer\n  bad: x\n", "line 3"),
        ("a: 1\n---\nb: 2\n---\nkind: x\n  bad: x\n", "line 6"),
    ] {
        let error = refusal(text);
        assert!(
            error.starts_with("server.yaml: ") && error.contains(line),
            "{error}"
        );
        assert!(!error.contains("error:") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn no_error_shows_a_value_of_a_secret() {
    for text in [
        "apiVersion: v1\nkind: Secret\nmetadata: {name: tokens}\nstringData: {key: 31415926}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: tokens}\ndata: {key: '31415926!'}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: tokens}\nstringData:\n  key: 31415926\n bad: x\n",
    ] {
        let error = refusal(text);
        assert!(
            error.starts_with("server.yaml: ") && !error.contains("31415926"),
            "{error}"
        );
    }
}

#[test]
fn the_items_of_a_list_are_read_and_other_kinds_are_ignored() {
    let item: Value = serde_yaml::from_str(MINIMAL).expect("YAML");
    let other = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "data": 5});
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [other, item]});
    let text = serde_json::to_string(&list).expect("JSON");
    assert_eq!(rendered(&text), rendered(MINIMAL));
    assert!(rendered(MINIMAL).is_ok_and(|text| text.contains("kind: StatefulSet")));
}

#[test]
fn null_fields_mean_absent_fields() {
    let text = MINIMAL.replace("spec: {", "spec: {image: null, snapshotPolicies: null, ");
    assert_eq!(rendered(&text), rendered(MINIMAL));
}

#[test]
fn an_input_without_a_server_is_an_error() {
    let error = refusal("");
    assert!(error.starts_with("no DittoServer in the input"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = files(&["no/such/file.yaml".into()], None)
        .expect_err("an error")
        .to_string();
    assert!(error.starts_with("cannot read no/such/file.yaml: "), "{error}");
}

// invariant: 5
#[test]
fn a_secret_that_does_not_parse_is_not_quoted() {
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: s}";
    let broken = [
        format!("{secret}, stringData: {{password: 98765432}}}}"),
        format!("{secret}, data: {{password: 98765432}}}}"),
        format!("{secret}, data: 98765432}}"),
        format!("{secret}, stringData: {{password: \"98765432\n---\n"),
        "apiVersion: v1\nkind: Secret\nstringData:\n  password: 98765432: x\n".into(),
    ];
    for text in broken {
        let error = manifests(&text, &Settings::default())
            .expect_err(&text)
            .to_string();
        assert!(!error.contains("98765432"), "{error}");
    }
}
