//! What the documents say of the code is so.

use std::path::Path;

/// The tests that ARCHITECTURE.md names as `path.rs::name`.
fn named(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|quote| quote.split_once("::"))
        .filter(|(path, _)| {
            Path::new(path)
                .extension()
                .is_some_and(|extension| extension == "rs")
        })
        .collect()
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = named(include_str!("../ARCHITECTURE.md"));
    assert!(tests.len() > 40, "the table was read: {}", tests.len());
    for (path, name) in tests {
        let source = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(source.contains(&format!("fn {name}(")), "{path} has no {name}");
    }
}
