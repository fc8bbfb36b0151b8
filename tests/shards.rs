//! Several operators divide the DittoServers of a cluster by their labels: `--shard-selector`.

use std::time::Duration;

use dittofs_operator::api::DittoServer;
use dittofs_operator::api::names::SHARD_ANNOTATION;
use dittofs_operator::cluster::leader::LEASE;
use dittofs_operator::domain::shard::ShardSelector;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::ResourceExt;
use local_control_plane::rights::Account;
use serde_json::json;

use crate::support::audit::Landed;
use crate::support::process::{POLL, Process};
use crate::support::{World, account, fixtures, wait};

/// A running operator, with its identity in the audit log and the annotation of its servers.
struct Shard {
    process: Process,
    identity: String,
    claim: String,
}

impl Shard {
    /// Starts an operator, and waits until it is the leader of its shard.
    async fn start(world: &World, account: &Account, selector: &str) -> Self {
        let lease = if selector.is_empty() {
            LEASE.to_owned()
        } else {
            let selector: ShardSelector = selector.parse().expect("a selector");
            selector.lease(LEASE)
        };
        let arguments = [
            "--leader-elect",
            "--shard-selector",
            selector,
            "--metrics-bind-address=0",
        ];
        let process = Process::start_as(world, account, &arguments).await;
        let held = wait::until(world.api::<Lease>(), &lease, "held", |lease| {
            holder(lease).is_some()
        })
        .await;
        Self {
            process,
            identity: holder(&held).expect("a holder"),
            claim: format!("{}/{lease}", world.namespace),
        }
    }

    /// Stops it. It releases its Lease.
    async fn stop(mut self) -> String {
        self.process.signal("TERM");
        assert!(self.process.ended().await.success());
        self.identity
    }

    /// Waits until it has claimed a server.
    async fn owns(&self, world: &World, server: &str) {
        claimed(world, server, Some(&self.claim)).await;
    }
}

fn holder(lease: &Lease) -> Option<String> {
    let holder = lease.spec.as_ref()?.holder_identity.clone();
    holder.filter(|holder| !holder.is_empty())
}

fn claim(server: &DittoServer) -> Option<&str> {
    server.annotations().get(SHARD_ANNOTATION).map(String::as_str)
}

async fn claimed(world: &World, server: &str, by: Option<&str>) {
    let what = format!("claimed by {by:?}");
    world
        .server_until(server, &what, |server| claim(server) == by)
        .await;
}

async fn create(world: &World, name: &str, team: &str) {
    let mut server = fixtures::minimal(name);
    server.labels_mut().insert("team".into(), team.into());
    world.create(&server).await;
}

/// The writes of an operator to a server and its children. Events change no desired state.
fn writes(world: &World, identity: &str, server: &str) -> Vec<Landed> {
    let mut landed = world.audit().landed(identity);
    // The name of a server must not be part of the name of a kind.
    landed.retain(|write| write.what.contains(server) && !write.what.contains(" events/"));
    landed
}

/// Every write of `first` to a server has ended before `second` wrote to it.
fn assert_one_after_the_other(world: &World, server: &str, first: &str, second: &str) {
    let (before, after) = (writes(world, first, server), writes(world, second, server));
    let begin = after
        .first()
        .unwrap_or_else(|| panic!("{second} writes nothing to {server}"));
    for write in &before {
        assert!(
            write.answered <= begin.received,
            "{server}: {write:?} after {begin:?}"
        );
    }
}

#[tokio::test]
async fn two_operators_with_disjoint_selectors_reconcile_each_their_own_servers() {
    let world = World::without_operator("disjoint").await;
    let account = account::sharded(&world).await;
    let a = Shard::start(&world, &account, "team=a").await;
    let b = Shard::start(&world, &account, "team notin (a,c)").await;
    for (name, team) in [("alpha", "a"), ("beta", "b"), ("gamma", "c")] {
        create(&world, name, team).await;
    }
    world.ready("alpha").await;
    world.ready("beta").await;
    a.owns(&world, "alpha").await;
    b.owns(&world, "beta").await;
    for (shard, own, others) in [(&a, "alpha", ["beta", "gamma"]), (&b, "beta", ["alpha", "gamma"])] {
        assert!(!writes(&world, &shard.identity, own).is_empty());
        for other in others {
            assert!(
                writes(&world, &shard.identity, other).is_empty(),
                "{own} writes to {other}"
            );
        }
    }
    let unselected: DittoServer = world.get("gamma").await;
    assert!(claim(&unselected).is_none() && world.lacks::<StatefulSet>("gamma").await);
}

#[tokio::test]
async fn two_operators_with_overlapping_selectors_never_write_to_one_server_at_the_same_time() {
    const SERVERS: [&str; 4] = ["amber", "bronze", "copper", "indigo"];
    let world = World::without_operator("overlap").await;
    let account = account::sharded(&world).await;
    for name in &SERVERS[..2] {
        create(&world, name, "a").await;
    }
    let (a, b) = tokio::join!(
        Shard::start(&world, &account, "team=a"),
        Shard::start(&world, &account, "team in (a,b)")
    );
    for name in &SERVERS[2..] {
        create(&world, name, "a").await;
    }
    for name in SERVERS {
        let server = world.ready(name).await;
        let (owner, other) = if claim(&server) == Some(&*a.claim) {
            (&a, &b)
        } else {
            (&b, &a)
        };
        assert_eq!(claim(&server), Some(&*owner.claim));
        assert!(
            writes(&world, &other.identity, name).is_empty(),
            "{name} has one writer"
        );
    }
    let note = world.event_note("OtherShard").await;
    assert!(
        note.contains("leaves it alone") && note.contains(REMEDY),
        "{note}"
    );
    let owner = claim(&world.get::<DittoServer>("amber").await).map(str::to_owned);
    let (first, second) = if owner.as_ref() == Some(&a.claim) {
        (a, b)
    } else {
        (b, a)
    };
    let first = first.stop().await;
    world
        .merge::<DittoServer>("amber", json!({"spec": {"replicas": 0}}))
        .await;
    for name in SERVERS {
        second.owns(&world, name).await;
    }
    world
        .server_until("amber", "stopped", |server| {
            let status = server.status.as_ref();
            status.is_some_and(|status| status.observed_generation == server.metadata.generation)
        })
        .await;
    assert_one_after_the_other(&world, "amber", &first, &second.identity);
}

/// Part of the remedy in the event.
const REMEDY: &str = "Change the labels of the server";

#[tokio::test]
async fn a_server_whose_labels_change_moves_with_its_pod_and_volumes_after_the_last_write_of_its_operator() {
    let world = World::without_operator("moves").await;
    let account = account::sharded(&world).await;
    let a = Shard::start(&world, &account, "team=a").await;
    let b = Shard::start(&world, &account, "team=b").await;
    let mut server = fixtures::server(
        "files",
        json!({"storage": {"metadataSize": "1Gi", "retention": "Delete"}}),
    );
    server.labels_mut().insert("team".into(), "a".into());
    world.create(&server).await;
    world.ready("files").await;
    let before = uids(&world).await;
    // The old operator is busy with the server when the label changes.
    for number in 0..10 {
        let labels = json!({"metadata": {"labels": {"team": "a", "number": number.to_string()}}});
        world.merge::<DittoServer>("files", labels).await;
    }
    let edit = json!({"metadata": {"labels": {"team": "b"}}, "spec": {"controlPlane": {"port": 8081}}});
    world.merge::<DittoServer>("files", edit).await;
    b.owns(&world, "files").await;
    world.ready("files").await;
    assert_one_after_the_other(&world, "files", &a.identity, &b.identity);
    let after = uids(&world).await;
    assert_eq!(before, after, "nothing was deleted");
    let moved: DittoServer = world.get("files").await;
    assert!(
        moved
            .finalizers()
            .iter()
            .any(|of| of == "dittofs.dittofs.com/finalizer")
    );
    // And back: the claims of the first shard are not stale.
    world
        .merge::<DittoServer>("files", json!({"metadata": {"labels": {"team": "a"}}}))
        .await;
    a.owns(&world, "files").await;
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", moved.uid()).await;
    wait::until_gone(world.api::<PersistentVolumeClaim>(), "metadata-files-0", None).await;
}

/// The objects that a deletion would not bring back as they were.
async fn uids(world: &World) -> Vec<Option<String>> {
    vec![
        world.get::<StatefulSet>("files").await.uid(),
        world.get::<PersistentVolumeClaim>("metadata-files-0").await.uid(),
        world.get::<Secret>("files-jwt-secret").await.uid(),
    ]
}

#[tokio::test]
async fn a_server_that_leaves_a_shard_without_an_operator_is_released_when_the_operator_is_back() {
    let world = World::without_operator("released").await;
    let account = account::sharded(&world).await;
    let a = Shard::start(&world, &account, "team=a").await;
    create(&world, "files", "a").await;
    world.ready("files").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    a.stop().await;
    world
        .merge::<DittoServer>("files", json!({"metadata": {"labels": {"team": "z"}}}))
        .await;
    let _a = Shard::start(&world, &account, "team=a").await;
    claimed(&world, "files", None).await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod);
}

#[tokio::test]
async fn an_operator_without_selector_keeps_its_servers_and_takes_over_those_of_a_shard_that_is_gone() {
    let world = World::without_operator("whole").await;
    let account = account::sharded(&world).await;
    let whole = Shard::start(&world, &account, "").await;
    create(&world, "files", "a").await;
    world.ready("files").await;
    let shard = Shard::start(&world, &account, "team=a").await;
    create(&world, "later", "a").await;
    let later = world.ready("later").await;
    assert_eq!(
        claim(&later),
        None,
        "nothing is added to the servers of an operator without selector"
    );
    assert!(
        world.audit().landed(&shard.identity).is_empty(),
        "the shard waits"
    );
    let first = whole.stop().await;
    shard.owns(&world, "files").await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"replicas": 0}}))
        .await;
    stopped(&world, &shard.identity).await;
    assert_one_after_the_other(&world, "files", &first, &shard.identity);
    let whole = Shard::start(&world, &account, "").await;
    let second = shard.stop().await;
    claimed(&world, "files", None).await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"replicas": 1}}))
        .await;
    world.ready("files").await;
    assert_one_after_the_other(&world, "files", &second, &whole.identity);
}

/// Waits until an operator has stopped the server `files`.
async fn stopped(world: &World, identity: &str) {
    world
        .server_until("files", "stopped", |server| {
            let status = server.status.as_ref();
            status.is_some_and(|status| status.observed_generation == server.metadata.generation)
        })
        .await;
    // The API server writes its audit log after its answer.
    let has_written = async || !writes(world, identity, "files").is_empty();
    wait::holds("written by the operator", wait::LONGEST, POLL, has_written).await;
}

#[tokio::test]
async fn a_selector_without_leader_election_is_refused_with_the_reason() {
    let world = World::without_operator("shardflags").await;
    let mut operator = Process::start(&world, &["--shard-selector", "team=a"]).await;
    let ended = tokio::time::timeout(Duration::from_secs(60), operator.ended()).await;
    assert!(!ended.expect("it ends").success());
    assert!(
        operator.log().contains("--shard-selector needs --leader-elect"),
        "{}",
        operator.log()
    );
}
