//! The event of a server whose users and shares are in another database from now on.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::runtime::events::{Event, EventType};

use super::{DATABASE_CHANGED, DATABASE_NOT_ENCRYPTED, event};
use crate::api::{DittoServer, names};
use crate::domain::applied::{Applied, Outcome, Step};
use crate::domain::data_home::{self, Place};
use crate::domain::observed::{Observed, Read};

/// Reported for the reconcile that changes the database, because no data is copied. `None` if the database stays.
///
/// Two PostgreSQL servers are told apart by the Secret that names them. A host that changes in the same Secret is not noticed.
pub(super) fn change(observed: &Observed, applied: &Applied) -> Option<Event> {
    let server = &observed.server;
    let new = applied.stateful_set.found()?;
    let (before, after) = (place_before(observed)?, Place::of_pod(server, new));
    match (before, after) {
        (Place::Sqlite, Place::Sqlite) => {
            let (before, after) = (observed.config_map.found()?, applied.config_map.found()?);
            // The usual case, without parsing YAML.
            if before.data == after.data {
                return None;
            }
            other_file(&sqlite_path(before)?, &sqlite_path(after)?)
        }
        (Place::OwnPostgres(before), Place::OwnPostgres(after)) => other_secret(before?, after?),
        (before, after) if before == after => None,
        (before, after) => Some(other_kind(server, before, after)),
    }
}

/// Where the data was: where the live pod has it, or where an earlier server of this name left it. A cluster that was deleted has
/// no data any longer.
fn place_before(observed: &Observed) -> Option<Place<'_>> {
    match &observed.stateful_set {
        Read::Found(old) => Some(Place::of_pod(&observed.server, old)),
        Read::Missing => data_home::left_by_predecessor(observed)
            .filter(|left| *left != Place::Percona || !matches!(observed.database.cluster, Read::Missing)),
        Read::Unreadable(_) => None,
    }
}

/// The server reads its own PostgreSQL without encryption, because its Secret has no `sslmode`. Reported when the StatefulSet changes.
pub(super) fn not_encrypted(observed: &Observed, applied: &Applied) -> Option<Event> {
    let is_written = |step: &Step| {
        step.kind == "StatefulSet" && matches!(step.outcome, Outcome::Created | Outcome::Updated)
    };
    let secret = data_home::unencrypted_postgres(observed)?;
    let note = format!(
        "The connection to PostgreSQL is not encrypted, because Secret {secret} has no key sslmode: set it to verify-full and add the CA of the server as ca.crt, or set it to disable if that is intended"
    );
    let event = || event(EventType::Warning, DATABASE_NOT_ENCRYPTED, "Update", note);
    applied.steps.iter().any(is_written).then(event)
}

fn other_file(before: &str, after: &str) -> Option<Event> {
    let note = format!(
        "Users and shares of the server are in the SQLite file {after} from now on. The data in {before} stays on its volume and is not copied: set spec.database.sqlite.path back to return to it"
    );
    (before != after).then(|| event(EventType::Warning, DATABASE_CHANGED, "Update", note))
}

fn other_secret(before: &str, after: &str) -> Option<Event> {
    let note = format!(
        "The server finds its PostgreSQL by Secret {after} from now on, not by Secret {before}. If that is another database, no data is copied to it"
    );
    (before != after).then(|| event(EventType::Normal, DATABASE_CHANGED, "Update", note))
}

fn other_kind(server: &DittoServer, before: Place<'_>, after: Place<'_>) -> Event {
    // A server moves to the cluster only after the user has confirmed that the data was moved.
    let type_ = match after {
        Place::Percona => EventType::Normal,
        Place::Sqlite | Place::OwnPostgres(_) => EventType::Warning,
    };
    let name = server.name_any();
    let way_back = match before {
        Place::Sqlite | Place::OwnPostgres(_) => "restore the spec to return to it".into(),
        Place::Percona => format!(
            "to return to it, restore the spec and set the annotation {} again (docs/migrate.md)",
            names::DATABASE_MIGRATED_ANNOTATION
        ),
    };
    let note = format!(
        "Users and shares of the server are in {} from now on. The data in {} stays there and is not copied: {way_back}",
        after.describe(&name),
        before.describe(&name),
    );
    event(type_, DATABASE_CHANGED, "Update", note)
}

/// The SQLite file that a configuration names.
fn sqlite_path(config_map: &ConfigMap) -> Option<String> {
    let config = config_map.data.as_ref()?.get(names::CONFIG_KEY)?;
    let config: serde_json::Value = serde_yaml::from_str(config).ok()?;
    Some(config["database"]["sqlite"]["path"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::testing;

    /// The event of a server whose spec changes.
    fn changed(from: &str, to: &str) -> Option<String> {
        let (before, after) = (testing::running(from), testing::running(to));
        let event = change(&before, &Applied::nothing(&after))?;
        Some(format!("{:?} {}", event.type_, event.note?))
    }

    const OWN: &str = "{database: {type: postgres, postgresSecretRef: {name: a, key: host}}}";
    const OTHER: &str = "{database: {type: postgres, postgresSecretRef: {name: b, key: host}}}";
    const PERCONA: &str = "{percona: {enabled: true}}";

    #[test]
    fn the_event_names_the_old_database_and_how_to_return_to_it() {
        let table = [
            (
                OWN,
                "",
                "Warning Users and shares of the server are in the SQLite file on its volume from now on. The data in the PostgreSQL that Secret a names stays there and is not copied: restore the spec to return to it",
            ),
            (
                PERCONA,
                OWN,
                "Warning Users and shares of the server are in the PostgreSQL that Secret a names from now on. The data in the PostgreSQL cluster files-postgres stays there and is not copied: to return to it, restore the spec and set the annotation dittofs.dittofs.com/database-migrated again (docs/migrate.md)",
            ),
            (
                OWN,
                PERCONA,
                "Normal Users and shares of the server are in the PostgreSQL cluster files-postgres from now on. The data in the PostgreSQL that Secret a names stays there and is not copied: restore the spec to return to it",
            ),
            (
                OWN,
                OTHER,
                "Normal The server finds its PostgreSQL by Secret b from now on, not by Secret a. If that is another database, no data is copied to it",
            ),
            (
                "",
                "{database: {sqlite: {path: /data/store/metadata/a.db}}}",
                "Warning Users and shares of the server are in the SQLite file /data/store/metadata/a.db from now on. The data in /data/controlplane/controlplane.db stays on its volume and is not copied: set spec.database.sqlite.path back to return to it",
            ),
        ];
        for (from, to, note) in table {
            assert_eq!(changed(from, to).as_deref(), Some(note));
        }
    }

    #[test]
    fn a_server_that_keeps_its_database_has_no_event() {
        for spec in ["", OWN, PERCONA] {
            assert_eq!(changed(spec, spec), None);
        }
    }

    /// The event of a server that is created again, with a claim that has this annotation.
    fn created_again(spec: &str, annotation: Option<&str>) -> Option<String> {
        let mut before = testing::running(spec);
        let running = Applied::nothing(&before);
        before.stateful_set = Read::Missing;
        let mut claim = crate::domain::validate::fixtures::claim("controlplane", &[]);
        let annotation = annotation.map(|value| {
            (
                names::CONTROL_PLANE_DATABASE_ANNOTATION.to_owned(),
                value.to_owned(),
            )
        });
        claim.metadata.annotations = annotation.map(|annotation| [annotation].into());
        before.claims = Read::Found(vec![Arc::new(claim)]);
        change(&before, &running)?.note
    }

    #[test]
    fn a_server_that_is_created_again_with_another_database_has_the_event_of_a_living_one() {
        for annotation in [None, Some(names::BACK_IN_SQLITE)] {
            assert_eq!(
                created_again(OWN, annotation).as_deref(),
                Some(
                    "Users and shares of the server are in the PostgreSQL that Secret a names from now on. The data in the SQLite file on its volume stays there and is not copied: restore the spec to return to it"
                )
            );
        }
        let moved = created_again(PERCONA, Some(names::IN_OWN_POSTGRES)).unwrap_or_default();
        assert!(moved.contains("a PostgreSQL that you run"), "{moved}");
        for (spec, annotation) in [
            ("", None),
            ("", Some(names::BACK_IN_SQLITE)),
            (OWN, Some(names::IN_OWN_POSTGRES)),
            (PERCONA, Some(names::IN_PERCONA)),
        ] {
            assert_eq!(created_again(spec, annotation), None, "{spec} {annotation:?}");
        }
    }

    #[test]
    fn a_server_that_was_just_created_has_no_event() {
        let running = testing::running("");
        let mut without = testing::running(OWN);
        without.stateful_set = Read::Missing;
        assert!(change(&without, &Applied::nothing(&running)).is_none());
        assert!(change(&running, &Applied::nothing(&without)).is_none());
    }
}
