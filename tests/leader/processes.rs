//! Whole operators: how one takes over from another, and what a former leader writes.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::NAME;
use crate::support::process::{POLL, Process};
use crate::support::{World, audit, fixtures, wait};

/// Waits until the Lease is held by an operator other than `not`; returns its identity.
async fn leader_other_than(world: &World, not: &str) -> String {
    let lease = wait::until(world.api::<Lease>(), NAME, "held by another", |lease| {
        let spec = lease.spec.as_ref();
        spec.and_then(|spec| spec.holder_identity.as_deref())
            .is_some_and(|holder| !holder.is_empty() && holder != not)
    });
    let spec = lease.await.spec.expect("a spec");
    spec.holder_identity.expect("a holder")
}

async fn elected(world: &World) -> Process {
    Process::start(
        world,
        &[
            "--leader-elect",
            "--leader-election-namespace",
            &world.namespace,
            "--log-level=info,dittofs_operator=debug",
        ],
    )
    .await
}

/// A leader and a standby, both ready.
async fn pair(world: &World) -> (Process, String, Process) {
    let leader = elected(world).await;
    let identity = leader_other_than(world, "").await;
    let standby = elected(world).await;
    leader.answers("/readyz").await;
    standby.answers("/readyz").await;
    (leader, identity, standby)
}

/// Writes by the operator of this identity, once there are some.
async fn first_write(world: &World, identity: &str) -> audit::Landed {
    let deadline = Instant::now() + wait::LONGEST;
    loop {
        if let Some(write) = world.audit().landed(identity).first() {
            return write.clone();
        }
        assert!(Instant::now() < deadline, "{identity} writes nothing");
        tokio::time::sleep(POLL * 10).await;
    }
}

#[tokio::test]
async fn a_leader_that_is_stopped_hands_over_within_three_seconds() {
    let world = World::without_operator("handover").await;
    let (mut old, old_identity, standby) = pair(&world).await;
    world.create(&fixtures::minimal("before")).await;
    world.ready("before").await;
    let idle = world.audit().landed("dittofs-operator");
    assert!(!idle.is_empty());
    let stopped = Instant::now();
    old.signal("TERM");
    let new_identity = leader_other_than(&world, &old_identity).await;
    let handed_over = stopped.elapsed();
    assert!(old.ended().await.success(), "a requested stop is not a failure");
    world.create(&fixtures::minimal("after")).await;
    world.ready("after").await;
    eprintln!("hand-over on SIGTERM: {handed_over:?}");
    assert!(
        handed_over < Duration::from_secs(3),
        "{handed_over:?}\n{}",
        standby.log()
    );
    let first = first_write(&world, &new_identity).await;
    for write in world.audit().landed(&old_identity) {
        assert!(write.answered <= first.received, "{write:?} after {first:?}");
    }
}

#[tokio::test]
async fn a_killed_leader_is_replaced_once_its_lease_has_expired() {
    let world = World::without_operator("killedleader").await;
    let (old, old_identity, _standby) = pair(&world).await;
    world.create(&fixtures::minimal("before")).await;
    world.ready("before").await;
    let killed = Instant::now();
    old.signal("KILL");
    leader_other_than(&world, &old_identity).await;
    let handed_over = killed.elapsed();
    eprintln!("hand-over on SIGKILL: {handed_over:?}");
    assert!(handed_over < Duration::from_secs(20), "{handed_over:?}");
    world.create(&fixtures::minimal("after")).await;
    world.ready("after").await;
}

// invariant: 18
#[tokio::test]
async fn a_leader_that_is_suspended_for_twenty_seconds_writes_nothing_after_its_successor() {
    /// More than are reconciled at the same time.
    const SERVERS: usize = 20;
    let world = World::without_operator("frozen").await;
    let (mut old, old_identity, _standby) = pair(&world).await;
    // It is suspended while it has much work.
    for number in 0..SERVERS {
        world.create(&fixtures::minimal(&format!("files-{number}"))).await;
    }
    first_write(&world, &old_identity).await;
    old.signal("STOP");
    let frozen = Instant::now();
    let new_identity = leader_other_than(&world, &old_identity).await;
    let first = first_write(&world, &new_identity).await;
    tokio::time::sleep(Duration::from_secs(20).saturating_sub(frozen.elapsed())).await;
    let before = world.audit().landed(&old_identity).len();
    old.signal("CONT");
    let status = old.ended().await;
    assert!(!status.success(), "it lost the lease");
    assert!(old.log().contains("the lease"), "it says why");
    // All servers become ready, so the successor had the time to do everything.
    for number in 0..SERVERS {
        world.ready(&format!("files-{number}")).await;
    }
    let all = world.audit().landed(&old_identity);
    assert_eq!(
        all.len(),
        before,
        "nothing landed after it was continued: {:?}",
        &all[before..]
    );
    for write in &all {
        assert!(write.answered <= first.received, "{write:?} after {first:?}");
    }
    eprintln!(
        "{before} writes of the old leader, the last answered {}; the successor's first at {}",
        all.last().expect("some").answered,
        first.received
    );
}

#[tokio::test]
async fn a_leader_whose_lease_is_stolen_stops_without_another_write() {
    let world = World::without_operator("stolen").await;
    let mut leader = elected(&world).await;
    leader_other_than(&world, "").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let thief = json!({"spec": {"holderIdentity": "thief", "renewTime": MicroTime(Timestamp::now())}});
    let api: Api<Lease> = world.api();
    api.patch(NAME, &PatchParams::default(), &Patch::Merge(thief))
        .await
        .expect("stolen");
    assert!(!leader.ended().await.success());
    assert!(leader.log().contains("thief holds the lease"), "{}", leader.log());
    let spec = world.get::<Lease>(NAME).await.spec.expect("a spec");
    assert_eq!(
        spec.holder_identity.as_deref(),
        Some("thief"),
        "it is not acquired again"
    );
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_does_not_block_the_shutdown() {
    let world = World::without_operator("halfrequest").await;
    let mut operator = elected(&world).await;
    operator.answers("/readyz").await;
    let mut client = TcpStream::connect(operator.admin).expect("it listens");
    client
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: operator\r\n")
        .expect("half a request is sent");
    operator.signal("TERM");
    assert!(operator.ended().await.success());
    let lease: Lease = world.get(NAME).await;
    let holder = lease.spec.and_then(|spec| spec.holder_identity);
    assert_eq!(holder.as_deref(), Some(""), "it is released");
}

#[tokio::test]
async fn lease_times_that_contradict_each_other_are_refused_with_the_names_of_the_flags() {
    let world = World::without_operator("times").await;
    let mut operator = Process::start(&world, &["--leader-elect", "--leader-elect-lease-duration=5s"]).await;
    assert!(!operator.ended().await.success());
    let log = operator.log();
    assert!(
        log.contains("--leader-elect-lease-duration (5s) must be longer"),
        "{log}"
    );
}
