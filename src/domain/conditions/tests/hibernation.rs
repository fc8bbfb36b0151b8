//! What is said of a database that is paused with its server.

use super::*;
use crate::api::names;

/// `DatabaseReady` and `Ready` of a server with this spec and a cluster in this state.
fn judged_with(replicas: i32, pause: Option<bool>, state: &str) -> (String, String) {
    let mut observed = world(&format!(
        "replicas: {replicas}\n  percona: {{enabled: true, hibernate: whenStopped}}"
    ));
    // A server on SQLite would stay there.
    let moved = (names::DATABASE_MIGRATED_ANNOTATION.to_owned(), "true".to_owned());
    Arc::make_mut(&mut observed.server).metadata.annotations = Some([moved].into());
    let mut cluster = cluster(&observed.server, state);
    cluster.spec.pause = pause;
    observed.database.cluster = Read::Found(Arc::new(cluster));
    let mut live = running(&observed.server);
    if replicas == 0 {
        live.status =
            serde_json::from_value(serde_json::json!({"observedGeneration": 2, "replicas": 0})).ok();
    }
    observed.stateful_set = Read::Found(Arc::new(live.clone()));
    let conditions = judged(&observed, &applied(&observed, Some(live)));
    let ready = condition(&conditions, READY);
    (
        one(&conditions, DATABASE_READY),
        format!("{} {}", ready.status, ready.message),
    )
}

#[test]
fn a_stopped_server_with_a_paused_database_is_ready() {
    let (database, ready) = judged_with(0, Some(true), "paused");
    assert_eq!(
        database,
        "True PerconaHibernating: PostgreSQL cluster is paused with its server (percona.hibernate)"
    );
    assert_eq!(ready, "True DittoServer is stopped as its spec asks (replicas=0)");
}

#[test]
fn a_database_on_its_way_to_pause_is_not_there_yet() {
    for state in ["ready", "stopping"] {
        let (database, ready) = judged_with(0, Some(true), state);
        assert!(database.starts_with("False PerconaPausing: "), "{database}");
        assert!(
            ready.starts_with("False Not ready: [DatabaseNotReady]"),
            "{ready}"
        );
    }
}

#[test]
fn a_database_that_is_paused_under_a_server_that_is_to_run_is_not_ready() {
    for state in ["ready", "stopping", "paused"] {
        let (database, _) = judged_with(1, Some(true), state);
        assert_eq!(
            database,
            format!("False PerconaNotReady: PostgreSQL cluster state: {state}")
        );
    }
    assert!(judged_with(1, None, "ready").0.starts_with("True PerconaReady"));
    assert!(
        judged_with(0, None, "ready").0.starts_with("True PerconaReady"),
        "its pod is still going"
    );
}
