//! Field ownership of a child that was created with a plain POST.
//!
//! A POST is the only call that can create an object and never touch one that exists, so children are created with it.
//! The API server then records our fields under operation `Update`, while server-side apply records under `Apply`, and
//! a field that leaves the desired object would stay, owned by the `Update` entry. So before the first apply the entry
//! is renamed, as client-go's `csaupgrade` does. See the Kubernetes documentation of server-side apply, "Upgrading from
//! client-side apply".

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

/// The entries with ours moved from operation `Update` to `Apply`, or `None` if there is nothing to move.
///
/// An `Apply` entry of ours that exists already is newer and wins; then the old one is dropped.
#[must_use]
pub fn upgraded(entries: &[ManagedFieldsEntry], manager: &str) -> Option<Vec<ManagedFieldsEntry>> {
    let is_ours = |entry: &ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(manager)
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    };
    let is = |entry: &ManagedFieldsEntry, operation| entry.operation.as_deref() == Some(operation);
    if !entries.iter().any(|entry| is_ours(entry) && is(entry, "Update")) {
        return None;
    }
    let mut applied = entries.iter().any(|entry| is_ours(entry) && is(entry, "Apply"));
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        if !(is_ours(entry) && is(entry, "Update")) {
            kept.push(entry.clone());
        } else if !applied {
            applied = true;
            kept.push(ManagedFieldsEntry {
                operation: Some("Apply".into()),
                ..entry.clone()
            });
        }
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, subresource: Option<&str>) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some(operation.into()),
            subresource: subresource.map(Into::into),
            ..ManagedFieldsEntry::default()
        }
    }

    #[test]
    fn the_entry_of_the_create_becomes_an_apply_entry() {
        let entries = [
            entry("us", "Update", None),
            entry("kubectl", "Update", None),
            entry("us", "Update", Some("status")),
        ];
        let upgraded = upgraded(&entries, "us").expect("there is an entry to move");
        assert_eq!(
            upgraded,
            [entry("us", "Apply", None), entries[1].clone(), entries[2].clone()]
        );
    }

    #[test]
    fn an_older_entry_beside_an_apply_entry_is_dropped() {
        let entries = [entry("us", "Apply", None), entry("us", "Update", None)];
        assert_eq!(upgraded(&entries, "us"), Some(vec![entries[0].clone()]));
    }

    #[test]
    fn an_applied_object_needs_no_upgrade() {
        assert_eq!(
            upgraded(
                &[entry("us", "Apply", None), entry("kubectl", "Update", None)],
                "us"
            ),
            None
        );
    }
}
