//! The `CustomResourceDefinition` of `DittoServer`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::{DittoServer, defaults};

/// First line of the generated file.
const HEADER: &str = "# Generated from src/api by `make generate`. Do not edit.\n";

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
    if let Some(status) = root
        .properties
        .as_mut()
        .and_then(|properties| properties.get_mut("status"))
    {
        status.default = Some(JSON(json!({"observedGeneration": defaults::OBSERVED_GENERATION})));
    }
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
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
    {
        tidy(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items.as_mut() {
        tidy(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        tidy(values);
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
        found.retain(|path| !path.contains("ecurityContext") && !path.ends_with("Ref.key"));
        let wanted = [
            "spec.identity.jwt.secretRef",
            "spec.identity.ldap.baseDN",
            "spec.identity.ldap.bindDN",
            "spec.identity.ldap.url",
            "spec.metrics.bearerTokenSecret.key",
            "spec.resources.claims[].name",
            "spec.snapshotPolicies[].interval",
            "spec.snapshotPolicies[].share",
            "spec.storage",
            "spec.storage.metadataSize",
            "status.conditions[].lastTransitionTime",
            "status.conditions[].message",
            "status.conditions[].reason",
            "status.conditions[].status",
            "status.conditions[].type",
        ];
        assert_eq!(found, wanted.map(str::to_owned).into());
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
