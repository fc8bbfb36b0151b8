//! Outages of databases and of the simulated operator.

use local_control_plane::percona::Behaviour;

use crate::support::{Percona, good_spec, simulator, state_of};

#[tokio::test]
async fn an_outage_of_a_ready_cluster_shows_and_ends() {
    let percona = Percona::start().await;
    percona.create("db", &good_spec()).await;
    percona.until_state("db", "ready").await;
    percona
        .simulator
        .set_behaviour(&percona.namespace, "db", Behaviour::Stuck);
    let down = percona.until_state("db", "initializing").await;
    assert_eq!(down.status.unwrap().postgres.ready, 0);
    percona.simulator.clear_behaviour(&percona.namespace, "db");
    percona.until_state("db", "ready").await;
}

#[tokio::test]
async fn a_stopped_operator_reconciles_nothing_and_its_successor_continues() {
    let percona = Percona::start().await;
    percona.create("old", &good_spec()).await;
    percona.until_state("old", "ready").await;
    let Percona {
        client,
        namespace,
        clusters,
        simulator: gone,
    } = percona;
    gone.stop();
    let successor = Percona {
        simulator: simulator("default").await,
        client,
        namespace,
        clusters,
    };
    // No simulator reconciles this cluster: the running one has another namespace.
    let created = successor.create("new", &good_spec()).await;
    assert_eq!(state_of(&created), "");
    let here = simulator(&successor.namespace).await;
    successor.until_state("new", "ready").await;
    let old = successor.until_state("old", "ready").await;
    assert_eq!(old.status.unwrap().postgres.ready, 1);
    here.check().unwrap();
}
