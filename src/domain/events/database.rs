//! The event of a server whose users and shares are in another place from now on. Pure.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::events::{Event, EventType};

use super::{DATABASE_CHANGED, event};
use crate::api::names;
use crate::domain::observed::Read;
use crate::domain::workload::pod_template;

/// What tells where the users and shares of a running server are.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Its pod template names the Secret of a PostgreSQL.
    stateful_set: &'a StatefulSet,
    /// Its configuration names the SQLite file.
    config_map: Option<&'a ConfigMap>,
}

impl<'a> Run<'a> {
    /// `None` where there is no StatefulSet, or it is not known.
    #[must_use]
    pub fn of(
        stateful_set: &'a Read<Arc<StatefulSet>>,
        config_map: &'a Read<Arc<ConfigMap>>,
    ) -> Option<Self> {
        Some(Self {
            stateful_set: stateful_set.found()?,
            config_map: config_map.found().map(AsRef::as_ref),
        })
    }
}

/// Told of the pass that changes `server` from `before` to `after`, because no row goes along. `None` where it stays where it is.
///
/// A PostgreSQL is told from another by the Secret that names it. A host that changes under the same name is not seen.
#[must_use]
pub fn moved(server: &str, before: Option<Run<'_>>, after: Option<Run<'_>>) -> Option<Event> {
    let (before, after) = (Place::of(server, before?), Place::of(server, after?));
    match (&before, &after) {
        (Place::File(before), Place::File(after)) => other_file(before.as_deref()?, after.as_deref()?),
        (Place::Own(before), Place::Own(after)) => other_secret(before, after),
        (before, after) if before == after => None,
        (before, after) => Some(other_kind(server, before, after)),
    }
}

fn other_file(before: &str, after: &str) -> Option<Event> {
    let note = format!(
        "Users and shares of the server are in the SQLite file {after} from now on. What is in {before} stays on its volume and is not copied: set spec.database.sqlite.path back to go back to it"
    );
    (before != after).then(|| event(EventType::Warning, DATABASE_CHANGED, "Update", note))
}

fn other_secret(before: &str, after: &str) -> Option<Event> {
    let note = format!(
        "The server finds its PostgreSQL by Secret {after} from now on, not by Secret {before}. If that is another database, nothing of the old one is copied"
    );
    (before != after).then(|| event(EventType::Normal, DATABASE_CHANGED, "Update", note))
}

fn other_kind(server: &str, before: &Place<'_>, after: &Place<'_>) -> Event {
    // Nobody gets to the cluster without having said that the data has moved.
    let type_ = match after {
        Place::Cluster => EventType::Normal,
        Place::File(_) | Place::Own(_) => EventType::Warning,
    };
    let note = format!(
        "Users and shares of the server are in {} from now on. What is in {} stays there and is not copied: {}",
        after.told(server),
        before.told(server),
        before.way_back()
    );
    event(type_, DATABASE_CHANGED, "Update", note)
}

/// Where users and shares are.
#[derive(PartialEq, Eq)]
enum Place<'a> {
    /// In the SQLite file of this path, where that is known.
    File(Option<String>),
    /// In the PostgreSQL of the user that this Secret names.
    Own(&'a str),
    /// In the server's PerconaPGCluster.
    Cluster,
}

impl<'a> Place<'a> {
    fn of(server: &str, run: Run<'a>) -> Self {
        match pod_template::database_secret(run.stateful_set) {
            None => Self::File(run.config_map.and_then(file)),
            Some(secret) if secret == names::percona_user_secret(server) => Self::Cluster,
            Some(secret) => Self::Own(secret),
        }
    }

    fn told(&self, server: &str) -> String {
        match self {
            Self::File(_) => "the SQLite file on its volume".into(),
            Self::Own(secret) => format!("the PostgreSQL that Secret {secret} names"),
            Self::Cluster => format!("the PostgreSQL cluster {}", names::percona_cluster(server)),
        }
    }

    fn way_back(&self) -> String {
        let word = names::DATABASE_MIGRATED_ANNOTATION;
        match self {
            Self::File(_) | Self::Own(_) => "restore the spec to go back to it".into(),
            Self::Cluster => format!(
                "to go back to it, restore the spec and set the annotation {word} anew (docs/migrate.md)"
            ),
        }
    }
}

/// The SQLite file that a configuration names.
fn file(config_map: &ConfigMap) -> Option<String> {
    let config = config_map.data.as_ref()?.get(names::CONFIG_KEY)?;
    let config: serde_json::Value = serde_yaml::from_str(config).ok()?;
    Some(config["database"]["sqlite"]["path"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::observed::Observed;
    use crate::domain::testing;

    fn run(observed: &Observed) -> Option<Run<'_>> {
        Run::of(&observed.stateful_set, &observed.config_map)
    }

    fn told(from: &str, to: &str) -> Option<String> {
        let (before, after) = (testing::running(from), testing::running(to));
        let event = moved("files", run(&before), run(&after))?;
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
            (
                "",
                "{database: {sqlite: {path: /data/store/metadata/a.db}}}",
                "Warning Users and shares of the server are in the SQLite file /data/store/metadata/a.db from now on. What is in /data/controlplane/controlplane.db stays on its volume and is not copied: set spec.database.sqlite.path back to go back to it",
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
        let made = testing::running("");
        assert!(moved("files", None, run(&made)).is_none());
        assert!(moved("files", run(&made), None).is_none());
    }
}
