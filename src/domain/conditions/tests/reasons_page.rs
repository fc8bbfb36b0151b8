//! The form of the reasons, and their page.

#[test]
fn every_reason_is_of_the_form_that_the_api_accepts() {
    let source = include_str!("../../../api/reasons.rs");
    let values: Vec<&str> = source.lines().filter_map(|line| line.split('"').nth(1)).collect();
    assert!(values.len() > 50);
    for value in &values {
        assert!(
            value.chars().all(|c| c.is_ascii_alphanumeric()) && value.starts_with(char::is_uppercase),
            "{value}"
        );
    }
    let distinct: std::collections::BTreeSet<_> = values.iter().collect();
    assert_eq!(distinct.len(), values.len());
}

/// Every reason in the table, as its value.
fn reasons_in_source() -> Vec<&'static str> {
    let source = include_str!("../../../api/reasons.rs");
    let constants = source.lines().filter(|line| line.starts_with("pub const"));
    constants.filter_map(|line| line.split('"').nth(1)).collect()
}

#[test]
fn every_reason_has_an_entry_in_the_troubleshooting_page_and_every_entry_a_reason() {
    let page = include_str!("../../../../docs/troubleshooting.md");
    let entries: Vec<(&str, &str)> = page
        .split("\n### `")
        .skip(1)
        .filter_map(|entry| entry.split_once('`'))
        .collect();
    let known = reasons_in_source();
    for reason in &known {
        let text = entries
            .iter()
            .find(|(name, _)| name == reason)
            .map(|(_, text)| *text);
        let text = text.unwrap_or_else(|| panic!("docs/troubleshooting.md has no entry for {reason}"));
        for part in ["**Means**", "**Do**"] {
            assert!(text.contains(part), "the entry for {reason} lacks {part}");
        }
    }
    for (name, _) in &entries {
        assert!(
            known.contains(name),
            "docs/troubleshooting.md has an entry for {name}, which is no reason"
        );
    }
    assert_eq!(entries.len(), known.len(), "one entry for each reason");
}
