use super::*;

/// Path of the generated file, below the repository.
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md");

#[test]
fn the_generated_reference_is_up_to_date() {
    let found = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        found == reference(),
        "docs/reference.md is stale: run `make generate` and commit the result"
    );
}

/// Every field of the schema, as a path.
fn fields(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    for (name, field) in properties(schema) {
        found.push((path.to_owned(), name.clone()));
        if let Some((nested, suffix)) = nested(field) {
            fields(nested, &format!("{path}.{name}{suffix}"), found);
        }
    }
}

#[test]
fn every_field_of_spec_and_status_is_in_the_section_of_its_object() {
    let page = reference();
    let root = serde_json::to_value(crd().spec.versions).unwrap()[0]["schema"]["openAPIV3Schema"].take();
    let mut found = Vec::new();
    for part in ["spec", "status"] {
        fields(&root["properties"][part], part, &mut found);
    }
    assert!(found.len() > 100, "{}", found.len());
    for (object, field) in found {
        let section = page
            .split("\n## ")
            .find(|section| section.starts_with(&format!("`{object}`\n")));
        let section = section.unwrap_or_else(|| panic!("{object} has no section"));
        assert!(section.contains(&format!("`{field}`")), "{object}.{field}");
    }
}

#[test]
fn every_annotation_of_the_operator_is_in_the_reference() {
    let page = reference();
    let source = include_str!("../names.rs");
    let mut annotations = 0;
    for line in source.lines().filter(|line| line.contains("_ANNOTATION: &str")) {
        let key = line.split('"').nth(1).unwrap();
        assert!(page.contains(key), "{key}");
        annotations += 1;
    }
    assert_eq!(annotations, FOR_USERS.len() + FOR_THE_OPERATOR.len());
}

#[test]
fn every_link_of_the_reference_has_its_heading() {
    let page = reference();
    let headings: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(anchor)
        .collect();
    for link in page
        .split("](#")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        assert!(headings.iter().any(|heading| heading == link), "{link}");
    }
}
