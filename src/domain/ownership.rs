//! Who owns an existing object that has the name of a child?

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use crate::api::DittoServer;
use crate::api::names::{self, FIELD_MANAGER};

/// The owner of an object, as seen by one DittoServer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This server: its UID is in the controller owner reference.
    Us,
    /// No owner now, but this operator created it for a server of this name. It may be adopted.
    Orphan,
    /// A deleted server of the same name. Garbage collection will remove the object.
    Predecessor,
    /// Another owner, which the text names. The operator never changes the object.
    Other(String),
}

/// Reads the owner from an object's metadata.
#[must_use]
pub fn owner(metadata: &ObjectMeta, server: &DittoServer) -> Owner {
    let Some(controller) = controller(metadata) else {
        return owner_by_label(metadata, server);
    };
    if !is_server(controller) || controller.name != server.name_any() {
        return Owner::Other(format!("{} {}", controller.kind, controller.name));
    }
    if server.meta().uid.as_deref() == Some(controller.uid.as_str()) {
        Owner::Us
    } else {
        Owner::Predecessor
    }
}

/// The reference to an object's controller.
#[must_use]
pub fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    let references = metadata.owner_references.as_deref().unwrap_or_default();
    references
        .iter()
        .find(|reference| reference.controller == Some(true))
}

/// Whether a reference is to a DittoServer, of any version.
#[must_use]
pub fn is_server(reference: &OwnerReference) -> bool {
    let group = reference.api_version.split('/').next();
    reference.kind == DittoServer::kind(&()) && group == Some(names::GROUP)
}

/// Whether garbage collection would delete an object with the server of this UID.
#[must_use]
pub fn is_bound(metadata: &ObjectMeta, server_uid: Option<&str>) -> bool {
    let mut owners = metadata.owner_references.iter().flatten();
    owners.any(|owner| Some(owner.uid.as_str()) == server_uid)
}

/// Whether `server` may use a database that this operator did not create: the spec asks for it, the database has no controller, and
/// an annotation on the database allows it. Otherwise a user who may only edit DittoServers could take any database of the namespace.
#[must_use]
pub fn may_adopt(database: &ObjectMeta, server: &DittoServer) -> bool {
    asks_to_adopt(server) && controller(database).is_none() && allows_adoption(database, server)
}

/// Whether an annotation on the database allows `server` to use it.
fn allows_adoption(database: &ObjectMeta, server: &DittoServer) -> bool {
    let annotations = database.annotations.as_ref();
    let allowed = annotations.and_then(|annotations| annotations.get(names::ADOPT_ANNOTATION));
    allowed.is_some_and(|name| *name == server.name_any())
}

fn asks_to_adopt(server: &DittoServer) -> bool {
    let percona = server.spec.percona.as_ref();
    percona.is_some_and(|percona| percona.adopt_existing)
}

/// Whether `server` uses a database that this operator did not create. Such a database is never deleted with its server.
#[must_use]
pub fn is_adopted(database: &ObjectMeta, server: &DittoServer) -> bool {
    asks_to_adopt(server) || allows_adoption(database, server)
}

/// Without a controller, our label decides; or, if that was removed as well, our entry among the field managers. The caches drop the
/// latter, so it needs a read from the API server.
fn owner_by_label(metadata: &ObjectMeta, server: &DittoServer) -> Owner {
    let label = |key: &str| {
        metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(key))
            .map(String::as_str)
    };
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let wrote = entries
        .iter()
        .any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
    let is_ours = wrote || label(names::MANAGED_BY_LABEL) == Some(names::MANAGED_BY);
    let name = server.name_any();
    if is_ours && label(names::INSTANCE_LABEL).is_none_or(|instance| instance == name) {
        return Owner::Orphan;
    }
    Owner::Other(
        "an unknown owner (it has no controller owner reference and not the labels of this operator)".into(),
    )
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, OwnerReference};

    use super::*;

    fn server() -> DittoServer {
        let mut server = DittoServer::new("files", crate::api::DittoServerSpec::default());
        server.metadata.uid = Some("u1".into());
        server
    }

    fn owned(kind: &str, api_version: &str, name: &str, uid: &str) -> ObjectMeta {
        let reference = OwnerReference {
            api_version: api_version.into(),
            kind: kind.into(),
            name: name.into(),
            uid: uid.into(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        ObjectMeta {
            owner_references: Some(vec![reference]),
            ..ObjectMeta::default()
        }
    }

    // invariant: 7
    #[test]
    fn a_database_is_adopted_only_if_spec_and_database_allow_it_and_nothing_controls_it() {
        let server = |adopt: bool| {
            let spec = format!("percona: {{enabled: true, adoptExisting: {adopt}}}");
            crate::domain::testing::server(&spec)
        };
        let annotated = |value: Option<&str>| ObjectMeta {
            annotations: value.map(|value| [(names::ADOPT_ANNOTATION.to_owned(), value.to_owned())].into()),
            ..ObjectMeta::default()
        };
        let controlled = ObjectMeta {
            annotations: annotated(Some("files")).annotations,
            ..owned("Deployment", "apps/v1", "web", "u9")
        };
        let check = |what: &str, adopt: bool, database: &ObjectMeta, may: bool| {
            assert_eq!(may_adopt(database, &server(adopt)), may, "{what}");
        };
        check("both allow it", true, &annotated(Some("files")), true);
        check("the database does not", true, &annotated(None), false);
        check(
            "the database allows another server",
            true,
            &annotated(Some("other")),
            false,
        );
        check("the spec does not", false, &annotated(Some("files")), false);
        check("a controller owns it", true, &controlled, false);
        assert!(
            is_adopted(&annotated(Some("files")), &server(false)),
            "the annotation stays"
        );
        assert!(
            is_adopted(&annotated(None), &server(true)),
            "an older version adopted it"
        );
        assert!(!is_adopted(&annotated(None), &server(false)));
    }

    #[test]
    fn the_uid_decides_between_a_server_and_its_predecessor() {
        let version = "dittofs.dittofs.com/v1alpha1";
        assert_eq!(
            owner(&owned("DittoServer", version, "files", "u1"), &server()),
            Owner::Us
        );
        assert_eq!(
            owner(&owned("DittoServer", version, "files", "u0"), &server()),
            Owner::Predecessor
        );
    }

    #[test]
    fn an_object_of_another_controller_is_named_with_it() {
        let other = owner(&owned("Deployment", "apps/v1", "files", "u1"), &server());
        assert_eq!(other, Owner::Other("Deployment files".into()));
        for group in ["example.org", "dittofs.dittofs.com.example.org"] {
            let other = owned("DittoServer", &format!("{group}/v1"), "files", "u1");
            assert!(
                matches!(owner(&other, &server()), Owner::Other(_)),
                "a kind of that name in another group is not ours"
            );
        }
    }

    #[test]
    fn an_object_without_controller_is_ours_if_it_has_our_labels_and_no_other_instance() {
        let labelled = |pairs: &[(&str, &str)]| ObjectMeta {
            labels: Some(
                pairs
                    .iter()
                    .map(|(key, value)| ((*key).into(), (*value).into()))
                    .collect(),
            ),
            ..ObjectMeta::default()
        };
        let both = [
            (names::MANAGED_BY_LABEL, names::MANAGED_BY),
            (names::INSTANCE_LABEL, "files"),
        ];
        assert_eq!(owner(&labelled(&both), &server()), Owner::Orphan);
        assert!(matches!(owner(&labelled(&both[1..]), &server()), Owner::Other(_)));
        assert!(matches!(
            owner(&labelled(&[both[0], (names::INSTANCE_LABEL, "b")]), &server()),
            Owner::Other(_)
        ));
    }

    #[test]
    fn an_object_without_owner_and_labels_is_recognised_by_its_field_manager() {
        let entry = |manager: &str| ManagedFieldsEntry {
            manager: Some(manager.into()),
            ..ManagedFieldsEntry::default()
        };
        let written_by = |manager| ObjectMeta {
            managed_fields: Some(vec![entry(manager)]),
            ..ObjectMeta::default()
        };
        assert_eq!(owner(&written_by(FIELD_MANAGER), &server()), Owner::Orphan);
        assert!(matches!(
            owner(&written_by("kubectl"), &server()),
            Owner::Other(_)
        ));
    }
}
