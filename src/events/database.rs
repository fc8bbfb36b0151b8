//! The event of a server whose users and shares are in another place from now on. Pure.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::runtime::events::{Event, EventType};

use super::{DATABASE_CHANGED, event};
use crate::api::names;
use crate::pod_template;

/// Told of the pass that changes the pod template of `server` from `before` to `after`, because no row goes along. `None` where
/// the database stays.
#[must_use]
pub fn moved(server: &str, before: Option<&StatefulSet>, after: Option<&StatefulSet>) -> Option<Event> {
    let (before, after) = (place(server, before?), place(server, after?));
    let note = || {
        format!(
            "Users and shares of the server are in {after} from now on. What is in {before} stays there and is not copied: restore the spec to go back to it (docs/migrate.md)"
        )
    };
    (before != after).then(|| event(EventType::Warning, DATABASE_CHANGED, "Update", note()))
}

fn place(server: &str, set: &StatefulSet) -> String {
    match pod_template::database_secret(set) {
        None => "the SQLite file on its volume".into(),
        Some(secret) if secret == names::percona_user_secret(server) => {
            format!("the PostgreSQL cluster {}", names::percona_cluster(server))
        }
        Some(secret) => format!("the PostgreSQL that Secret {secret} names"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn told(from: &str, to: &str) -> Option<String> {
        let set = |spec| testing::running(spec).stateful_set.found().cloned();
        let (before, after) = (set(from), set(to));
        moved("files", before.as_deref(), after.as_deref())?.note
    }

    #[test]
    fn another_database_is_told_and_the_same_one_is_not() {
        let (own, other) = (
            "{database: {type: postgres, postgresSecretRef: {name: a}}}",
            "{database: {type: postgres, postgresSecretRef: {name: b}}}",
        );
        let note = told(own, "").expect("it left");
        assert_eq!(
            note,
            "Users and shares of the server are in the SQLite file on its volume from now on. What is in the PostgreSQL that Secret a names stays there and is not copied: restore the spec to go back to it (docs/migrate.md)"
        );
        assert!(told(own, other).is_some());
        let percona = told("{percona: {enabled: true}}", own).expect("it left");
        assert!(
            percona.contains("the PostgreSQL cluster files-postgres"),
            "{percona}"
        );
        for spec in ["", own, "{percona: {enabled: true}}"] {
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
