//! The `CustomResourceDefinition` of `DittoServer`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::{DittoServer, defaults};

/// First line of the generated file.
const HEADER: &str = "# Generated from src/api by `make generate`. Do not edit.\n";

/// Maximum length of a text without a limit of its own: the size of all annotations of an object.
const MAX_TEXT: i64 = 262_144;
/// Maximum number of items of a list, or entries of a map, without a limit of its own.
const MAX_ITEMS: i64 = 1024;

/// The `CustomResourceDefinition` of `DittoServer`.
#[must_use]
pub fn crd() -> CustomResourceDefinition {
    let mut crd = DittoServer::crd();
    for version in &mut crd.spec.versions {
        if let Some(root) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        {
            finish(root);
        }
    }
    crd
}

/// [`crd`] as YAML, with a header that names its source.
///
/// # Errors
///
/// If the YAML serialiser fails. No `CustomResourceDefinition` is known to cause that.
pub fn crd_yaml() -> Result<String, serde_yaml::ser::Error> {
    Ok(format!("{HEADER}{}", serde_yaml::to_string(&crd())?))
}

/// Adds what attributes of the Rust types cannot express.
fn finish(root: &mut JSONSchemaProps) {
    tidy(root);
    // The rule `rules::spec_present` requires it instead, and accepts stored objects without a spec.
    root.required = None;
    // A rule can have a `fieldPath` only to a field in the schema.
    let name = JSONSchemaProps {
        type_: Some("string".to_owned()),
        ..JSONSchemaProps::default()
    };
    let metadata = JSONSchemaProps {
        type_: Some("object".to_owned()),
        properties: Some([("name".to_owned(), name)].into()),
        ..JSONSchemaProps::default()
    };
    root.properties
        .get_or_insert_default()
        .insert("metadata".to_owned(), metadata);
    let properties = root.properties.get_or_insert_default();
    if let Some(spec) = properties.get_mut("spec") {
        limit(spec);
    }
    if let Some(status) = properties.get_mut("status") {
        status.default = Some(JSON(json!({"observedGeneration": defaults::OBSERVED_GENERATION})));
    }
}

/// Limits every text, list and map in the spec that has no limit of its own, so that no write can make a rule or the operator expensive.
/// Limits every `int32` too: a number that does not fit would not parse.
fn limit(schema: &mut JSONSchemaProps) {
    if schema.format.as_deref() == Some("int32") {
        schema.minimum.get_or_insert((-i32::MAX).into());
        schema.maximum.get_or_insert(i32::MAX.into());
    }
    match schema.type_.as_deref() {
        Some("string") if schema.enum_.is_none() => drop(schema.max_length.get_or_insert(MAX_TEXT)),
        Some("array") => drop(schema.max_items.get_or_insert(MAX_ITEMS)),
        Some("object") if schema.additional_properties.is_some() => {
            schema.max_properties.get_or_insert(MAX_ITEMS);
        }
        _ => {}
    }
    for_each_child(schema, limit);
}

/// Removes `nullable`, which the derive sets on every `Option`. Without it the API server treats `null` as absent and sets the
/// default, as with the Go operator's definition. Joins the lines of paragraphs, because `kubectl explain` wraps them itself.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(description) = &mut schema.description {
        let paragraphs: Vec<String> = description
            .split("\n\n")
            .map(|text| text.replace('\n', " "))
            .collect();
        *description = paragraphs.join("\n\n");
    }
    for_each_child(schema, tidy);
}

fn for_each_child(schema: &mut JSONSchemaProps, change: fn(&mut JSONSchemaProps)) {
    schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
        .for_each(change);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items.as_mut() {
        change(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        change(values);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/dittoservers.yaml");

    fn root() -> Value {
        let mut versions = serde_json::to_value(crd().spec.versions).unwrap();
        versions[0]["schema"]["openAPIV3Schema"].take()
    }

    /// Calls `visit` with the path and the schema of every node.
    fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
        visit(path, schema);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            walk(property, format!("{path}.{name}").trim_start_matches('.'), visit);
        }
        for (key, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
            if let Some(child) = schema.get(key) {
                walk(child, &format!("{path}{suffix}"), visit);
            }
        }
    }

    #[test]
    fn the_generated_file_is_up_to_date() {
        let wanted = crd_yaml().unwrap();
        if std::env::var_os("UPDATE_CRDS").is_some_and(|value| value == "1") {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/crds")).unwrap();
            std::fs::write(PATH, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(PATH).unwrap_or_default();
        assert!(
            found == wanted,
            "crds/dittoservers.yaml is stale: run `make generate` and commit the result"
        );
    }

    #[test]
    fn the_generated_file_fits_the_annotation_of_client_side_apply() {
        let yaml = crd_yaml().unwrap();
        let json = serde_json::to_string(&crd()).unwrap();
        assert!(
            yaml.len() < 256 * 1024 && json.len() < 256 * 1024,
            "{} and {} bytes",
            yaml.len(),
            json.len()
        );
    }

    #[test]
    fn the_yaml_equals_the_definition() {
        let read: Value = serde_yaml::from_str(&crd_yaml().unwrap()).unwrap();
        assert_eq!(read, serde_json::to_value(crd()).unwrap());
    }

    #[test]
    fn the_schema_is_structural() {
        walk(&root(), "", &mut |path, schema| {
            let typed = schema["type"].is_string() || schema["x-kubernetes-int-or-string"] == true;
            assert!(typed, "{path} has no type");
            for key in [
                "$ref",
                "oneOf",
                "allOf",
                "not",
                "nullable",
                "const",
                "definitions",
            ] {
                assert!(schema.get(key).is_none(), "{path} has {key}");
            }
            let closed = schema.get("properties").is_none() || schema.get("additionalProperties").is_none();
            assert!(closed, "{path} has properties and additionalProperties");
        });
    }

    #[test]
    fn exactly_the_fields_of_the_contract_are_required() {
        let mut found = BTreeSet::new();
        walk(&root(), "", &mut |path, schema| {
            for name in schema["required"].as_array().into_iter().flatten() {
                found.insert(format!("{path}.{}", name.as_str().unwrap()));
            }
        });
        found.retain(|path| {
            let is_of_kubernetes = path.contains("ecurityContext")
                || path.contains("networkPolicy.f")
                || path.contains("podTemplate.");
            !is_of_kubernetes && !path.ends_with("Ref.key")
        });
        let wanted = [
            "spec.groups[].name",
            "spec.identity.jwt.secretRef",
            "spec.identity.ldap.baseDN",
            "spec.identity.ldap.bindDN",
            "spec.identity.ldap.url",
            "spec.metrics.bearerTokenSecret.key",
            "spec.remoteStores[].name",
            "spec.remoteStores[].s3",
            "spec.remoteStores[].s3.bucket",
            "spec.remoteStores[].s3.credentialsSecretRef",
            "spec.resources.claims[].name",
            "spec.shares[].name",
            "spec.shares[].snapshots.interval",
            "spec.snapshotPolicies[].interval",
            "spec.snapshotPolicies[].share",
            "spec.storage",
            "spec.storage.metadataSize",
            "spec.users[].name",
            "spec.users[].passwordSecretRef",
            "status.conditions[].lastTransitionTime",
            "status.conditions[].message",
            "status.conditions[].reason",
            "status.conditions[].status",
            "status.conditions[].type",
        ];
        assert_eq!(found, wanted.map(str::to_owned).into());
    }

    #[test]
    fn every_text_list_and_map_in_the_spec_has_a_limit_and_a_small_one_if_it_has_a_rule() {
        walk(&root()["properties"]["spec"], "spec", &mut |path, schema| {
            let keyword = match schema["type"].as_str() {
                Some("string") if schema.get("enum").is_none() => "maxLength",
                Some("array") => "maxItems",
                Some("object") if schema.get("additionalProperties").is_some() => "maxProperties",
                _ => return,
            };
            let limit = schema[keyword].as_u64();
            assert!(limit.is_some(), "{path} has no {keyword}");
            let has_rule = schema.get("x-kubernetes-validations").is_some();
            assert!(!has_rule || limit <= Some(4096), "{path}: {limit:?}");
        });
    }

    #[test]
    fn every_int32_in_the_spec_has_limits_with_which_it_parses() {
        walk(&root()["properties"]["spec"], "spec", &mut |path, schema| {
            if schema["format"] != "int32" {
                return;
            }
            let limits = ["minimum", "maximum"].map(|keyword| schema[keyword].as_f64());
            let parses = |limit: &Option<f64>| limit.is_some_and(|limit| limit.abs() <= f64::from(i32::MAX));
            assert!(limits.iter().all(parses), "{path}: {limits:?}");
        });
    }

    #[test]
    fn every_rule_limits_a_quantity_before_it_parses_it() {
        walk(&root(), "", &mut |path, schema| {
            for rule in schema["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let rule = rule["rule"].as_str().unwrap();
                assert!(!rule.contains("isQuantity("), "{path}: {rule}");
                let guard = rule.find(".matches('^").unwrap_or(usize::MAX);
                assert!(
                    rule.find("quantity(").is_none_or(|call| guard < call),
                    "{path}: {rule}"
                );
            }
        });
    }

    #[test]
    fn every_field_has_a_description() {
        walk(&root(), "", &mut |path, schema| {
            let own =
                path.starts_with("spec.") && !path.contains("ecurityContext") && !path.ends_with(['*', ']']);
            assert!(
                !own || schema["description"].is_string(),
                "{path} has no description"
            );
        });
    }

    #[test]
    fn lists_and_references_merge_as_kubernetes_merges_them() {
        let root = root();
        let conditions = &root["properties"]["status"]["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map");
        assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
        walk(&root, "", &mut |path, schema| {
            if path.ends_with("Ref") || path.ends_with("bearerTokenSecret") {
                assert_eq!(schema["x-kubernetes-map-type"], "atomic", "{path}");
            }
        });
    }
}
