//! The event of a server whose users and shares are in another place from now on. Pure.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::runtime::events::{Event, EventType};

use super::{DATABASE_CHANGED, event};
use crate::api::names;
use crate::pod_template;

/// Told of the pass that changes the pod template of `server` from `before` to `after`, because no row goes along. `None` where
/// the server stays where it is.
///
/// The places are told apart by the Secret that names them. A file or a host that changes under the same name is not seen.
#[must_use]
pub fn moved(server: &str, before: Option<&StatefulSet>, after: Option<&StatefulSet>) -> Option<Event> {
    let (before, after) = (Place::of(server, before?), Place::of(server, after?));
    if before == after {
        return None;
    }
    if let (Place::Own(before), Place::Own(after)) = (before, after) {
        let note = format!(
            "The server finds its PostgreSQL by Secret {after} from now on, not by Secret {before}. If that is another database, nothing of the old one is copied"
        );
        return Some(event(EventType::Normal, DATABASE_CHANGED, "Update", note));
    }
    // Nobody gets to the cluster without having said that the data has moved.
    let type_ = match after {
        Place::Cluster => EventType::Normal,
        Place::File | Place::Own(_) => EventType::Warning,
    };
    let note = format!(
        "Users and shares of the server are in {} from now on. What is in {} stays there and is not copied: {}",
        after.told(server),
        before.told(server),
        before.way_back()
    );
    Some(event(type_, DATABASE_CHANGED, "Update", note))
}

/// Where users and shares are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place<'a> {
    /// In the SQLite file.
    File,
    /// In the PostgreSQL of the user that this Secret names.
    Own(&'a str),
    /// In the server's PerconaPGCluster.
    Cluster,
}

impl<'a> Place<'a> {
    fn of(server: &str, set: &'a StatefulSet) -> Self {
        match pod_template::database_secret(set) {
            None => Self::File,
            Some(secret) if secret == names::percona_user_secret(server) => Self::Cluster,
            Some(secret) => Self::Own(secret),
        }
    }

    fn told(self, server: &str) -> String {
        match self {
            Self::File => "the SQLite file on its volume".into(),
            Self::Own(secret) => format!("the PostgreSQL that Secret {secret} names"),
            Self::Cluster => format!("the PostgreSQL cluster {}", names::percona_cluster(server)),
        }
    }

    fn way_back(self) -> String {
        let word = names::DATABASE_MIGRATED_ANNOTATION;
        match self {
            Self::File | Self::Own(_) => "restore the spec to go back to it".into(),
            Self::Cluster => format!(
                "to go back to it, restore the spec and set the annotation {word} anew (docs/migrate.md)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn told(from: &str, to: &str) -> Option<String> {
        let set = |spec| testing::running(spec).stateful_set.found().cloned();
        let (before, after) = (set(from), set(to));
        let event = moved("files", before.as_deref(), after.as_deref())?;
        Some(format!("{:?} {}", event.type_, event.note?))
    }

    const OWN: &str = "{database: {type: postgres, postgresSecretRef: {name: a, key: host}}}";
    const OTHER: &str = "{database: {type: postgres, postgresSecretRef: {name: b, key: host}}}";
    const PERCONA: &str = "{percona: {enabled: true}}";

    #[test]
    fn what_was_left_is_told_with_the_way_back() {
        let table = [
            (
                OWN,
                "",
                "Warning Users and shares of the server are in the SQLite file on its volume from now on. What is in the PostgreSQL that Secret a names stays there and is not copied: restore the spec to go back to it",
            ),
            (
                PERCONA,
                OWN,
                "Warning Users and shares of the server are in the PostgreSQL that Secret a names from now on. What is in the PostgreSQL cluster files-postgres stays there and is not copied: to go back to it, restore the spec and set the annotation dittofs.dittofs.com/database-migrated anew (docs/migrate.md)",
            ),
            (
                OWN,
                PERCONA,
                "Normal Users and shares of the server are in the PostgreSQL cluster files-postgres from now on. What is in the PostgreSQL that Secret a names stays there and is not copied: restore the spec to go back to it",
            ),
            (
                OWN,
                OTHER,
                "Normal The server finds its PostgreSQL by Secret b from now on, not by Secret a. If that is another database, nothing of the old one is copied",
            ),
        ];
        for (from, to, note) in table {
            assert_eq!(told(from, to).as_deref(), Some(note));
        }
    }

    #[test]
    fn a_server_that_stays_where_it_is_is_not_told() {
        for spec in ["", OWN, PERCONA] {
            assert_eq!(told(spec, spec), None);
        }
    }

    #[test]
    fn a_server_that_is_made_has_not_moved() {
        let made = testing::running("").stateful_set.found().cloned();
        assert!(moved("files", None, made.as_deref()).is_none());
        assert!(moved("files", made.as_deref(), None).is_none());
    }
}
