//! What holds for every child.

use std::collections::BTreeSet;

use serde_json::Value;

fn is_subdomain(name: &str) -> bool {
    let is_part = |part: &str| {
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !part.is_empty() && part.chars().all(is_inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_part)
}

fn is_label_value(value: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_end = |c: char| c.is_ascii_alphanumeric();
    value.len() <= 63
        && value.chars().all(is_inner)
        && (value.is_empty() || (value.starts_with(is_end) && value.ends_with(is_end)))
}

/// The API server accepts the names, labels and ports of the children that the operator chooses.
pub fn children(children: &[Value]) {
    for child in children {
        let kind = child["kind"].as_str().unwrap_or_default();
        let name = child["metadata"]["name"].as_str().unwrap_or_default();
        assert!(!kind.is_empty() && is_subdomain(name), "{kind} {name:?}");
        for (key, value) in child["metadata"]["labels"].as_object().into_iter().flatten() {
            assert!(
                value.as_str().is_some_and(is_label_value),
                "label {key} of {kind} {name}: {value}"
            );
        }
        if kind == "Service" {
            service(name, child);
        }
        if kind == "ConfigMap" {
            let config = child["data"]["config.yaml"].as_str().unwrap_or_default();
            let config: Value = serde_yaml::from_str(config)
                .unwrap_or_else(|error| panic!("the configuration is YAML: {error}\n{config}"));
            assert!(config.is_object(), "{config}");
        }
    }
}

/// No two children of a server are the same object.
pub fn differ(children: &[Value]) {
    let name = |child: &Value| format!("{} {}", child["kind"], child["metadata"]["name"]);
    let names: BTreeSet<String> = children.iter().map(name).collect();
    assert_eq!(names.len(), children.len(), "{names:?}");
}

fn service(name: &str, service: &Value) {
    assert!(
        name.len() <= 63,
        "the API server refuses a Service with a longer name: {name}"
    );
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    for port in ports {
        let number = port["port"].as_i64().unwrap_or_default();
        assert!((1..=65_535).contains(&number), "{name}: {port}");
        let port_name = port["name"].as_str().unwrap_or_default();
        assert!(
            is_label_value(port_name) && port_name.len() <= 15,
            "{name}: {port}"
        );
    }
}
