//! Leader election: one of several operators is the leader, and one that lost the Lease writes nothing more.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use dittofs_operator::cluster::leader::candidate::{Attempt, Candidate, Error, HeldLease};
use dittofs_operator::cluster::leader::timing::Timing;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::support::process::{POLL, Process};
use crate::support::{World, audit, fixtures, wait};

const NAME: &str = "b837d6c8.dittofs.com";

fn short() -> Timing {
    let millis = Duration::from_millis;
    Timing::new(millis(1000), millis(700), millis(200)).expect("valid durations")
}

/// The times of client-go: many parallel calls take a while on a small machine.
fn patient() -> Timing {
    let seconds = Duration::from_secs;
    Timing::new(seconds(15), seconds(10), seconds(2)).expect("valid durations")
}

fn lease(name: &str, holder: &str, renewed: Timestamp) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(1),
            lease_transitions: Some(3),
            acquire_time: Some(MicroTime(renewed)),
            renew_time: Some(MicroTime(renewed)),
            ..LeaseSpec::default()
        }),
    }
}

fn candidate(client: &Client, world: &World, name: &str, identity: &str) -> Candidate {
    Candidate::new(client.clone(), &world.namespace, name, identity, short())
}

/// The result of an attempt to acquire the Lease. Retries if the answer is late, because the machine is busy.
async fn tried(candidate: &mut Candidate) -> Attempt {
    loop {
        match candidate.try_acquire().await {
            Err(Error::Late(_)) => {}
            answer => return answer.expect("an answer"),
        }
    }
}

/// As [`tried`], for a renewal.
async fn renewed(leader: &Candidate, held: &HeldLease) -> Result<HeldLease, Error> {
    loop {
        match leader.renew(held).await {
            Err(Error::Late(_)) => {}
            answer => return answer,
        }
    }
}

/// Tries until the Lease is acquired by this candidate, or by another one that did not hold it.
async fn race(mut candidate: Candidate, start: &tokio::sync::Barrier) -> bool {
    let seen = tried(&mut candidate).await;
    assert!(
        matches!(seen, Attempt::HeldByOther { .. }),
        "it is held: {seen:?}"
    );
    let Attempt::HeldByOther { left, .. } = seen else {
        return false;
    };
    start.wait().await;
    // This does not wait for an event: it is the time after which the Lease expires.
    tokio::time::sleep(left).await;
    start.wait().await;
    loop {
        match tried(&mut candidate).await {
            Attempt::Acquired(_) => return true,
            Attempt::HeldByOther { holder, .. } if holder.starts_with("candidate") => return false,
            Attempt::HeldByOther { .. } => {}
        }
    }
}

// invariant: 18
#[tokio::test(flavor = "multi_thread")]
async fn of_five_candidates_for_an_expired_lease_exactly_one_becomes_leader_two_hundred_times() {
    const CANDIDATES: usize = 5;
    let world = World::without_operator("race").await;
    let clients: Vec<Client> = (0..CANDIDATES)
        .map(|_| world.control_plane().client().expect("a client"))
        .collect();
    let mut rounds = 0;
    for batch in 0..10 {
        let names: Vec<String> = (0..20).map(|lease| format!("race-{batch}-{lease}")).collect();
        let contests = names.iter().map(|name| {
            let (world, clients) = (&world, &clients);
            async move {
                world.create(&lease(name, "gone", Timestamp::now())).await;
                let start = tokio::sync::Barrier::new(CANDIDATES);
                let racers = clients.iter().enumerate().map(|(number, client)| {
                    let identity = format!("candidate-{number}");
                    let racer = Candidate::new(client.clone(), &world.namespace, name, &identity, patient());
                    race(racer, &start)
                });
                let won = futures::future::join_all(racers).await;
                let winners: Vec<usize> = (0..CANDIDATES).filter(|number| won[*number]).collect();
                assert_eq!(winners.len(), 1, "{name}: {winners:?}");
                let spec = world.get::<Lease>(name).await.spec.expect("a spec");
                assert_eq!(spec.holder_identity, Some(format!("candidate-{}", winners[0])));
                assert_eq!(spec.lease_transitions, Some(4), "it was taken once");
            }
        });
        rounds += futures::future::join_all(contests).await.len();
    }
    assert_eq!(rounds, 200);
}

#[tokio::test]
async fn a_leader_that_renews_keeps_the_lease_and_one_that_stops_loses_it_whatever_its_clock_says() {
    let world = World::without_operator("skew").await;
    for (number, skew) in [-3600, -60, 60, 3600].into_iter().enumerate() {
        let name = format!("skew-{number}");
        let api: Api<Lease> = world.api();
        let theirs = || Timestamp::now() + SignedDuration::from_secs(skew);
        world.create(&lease(&name, "skewed", theirs())).await;
        let mut candidate = candidate(&world.client, &world, &name, "candidate");
        let alive = Instant::now();
        let mut renewed = alive;
        while alive.elapsed() < 2 * short().lease {
            let tried = tried(&mut candidate).await;
            assert!(
                matches!(tried, Attempt::HeldByOther { .. }),
                "skew {skew}: {tried:?}"
            );
            let renewal = json!({"spec": {"renewTime": MicroTime(theirs())}});
            api.patch(&name, &PatchParams::default(), &Patch::Merge(renewal))
                .await
                .expect("renewed");
            renewed = Instant::now();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let waited = until_won(&mut candidate).await.1 - renewed;
        assert!(
            // Closer to the duration of the Lease than to the clock skew, however busy the machine is.
            waited >= short().lease && waited < Duration::from_secs(30),
            "skew {skew}: taken after {waited:?}"
        );
    }
}

async fn until_won(candidate: &mut Candidate) -> (HeldLease, Instant) {
    loop {
        if let Attempt::Acquired(held) = tried(candidate).await {
            return (*held, Instant::now());
        }
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn a_deleted_empty_or_damaged_lease_is_repaired_by_its_holder_before_a_candidate_takes_it() {
    let world = World::without_operator("damaged").await;
    let api: Api<Lease> = world.api();
    let damages = [
        json!({"spec": null}),
        json!({"spec": {"holderIdentity": null, "leaseDurationSeconds": null, "renewTime": null}}),
        json!({"spec": {"holderIdentity": "", "leaseDurationSeconds": 2_000_000_000}}),
        json!({"metadata": {"labels": {"another": "writer"}}}),
    ];
    // A Lease that does not expire during the test.
    let lasting =
        |identity: &str| Candidate::new(world.client.clone(), &world.namespace, NAME, identity, patient());
    let mut leader = lasting("leader");
    let (mut held, _) = until_won(&mut leader).await;
    let mut other = lasting("other");
    tried(&mut other).await;
    for damage in damages.iter().map(Some).chain([None]) {
        match damage {
            Some(patch) => drop(
                api.patch(NAME, &PatchParams::default(), &Patch::Merge(patch))
                    .await
                    .expect("damaged"),
            ),
            None => drop(api.delete(NAME, &DeleteParams::default()).await.expect("deleted")),
        }
        let tried = tried(&mut other).await;
        assert!(
            matches!(tried, Attempt::HeldByOther { .. }),
            "{damage:?}: {tried:?}"
        );
        held = renewed(&leader, &held).await.expect("repaired");
        let spec = world.get::<Lease>(NAME).await.spec.expect("a spec");
        assert_eq!(spec.holder_identity.as_deref(), Some("leader"), "{damage:?}");
        assert_eq!(
            spec.lease_duration_seconds.map(i32::unsigned_abs),
            u32::try_from(patient().lease.as_secs()).ok(),
            "{damage:?}"
        );
    }
}

#[tokio::test]
async fn a_holder_loses_a_lease_that_was_deleted_and_taken_by_a_new_candidate() {
    let world = World::without_operator("newcomer").await;
    let mut leader = candidate(&world.client, &world, NAME, "leader");
    let (held, _) = until_won(&mut leader).await;
    world.delete::<Lease>(NAME).await;
    until_won(&mut candidate(&world.client, &world, NAME, "newcomer")).await;
    let lost = renewed(&leader, &held)
        .await
        .expect_err("another candidate holds it");
    assert!(
        matches!(lost, Error::Taken(ref holder) if holder == "newcomer"),
        "{lost}"
    );
}

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
    let world = World::without_operator("frozen").await;
    let (mut old, old_identity, _standby) = pair(&world).await;
    // It is suspended while it has much work.
    for number in 0..40 {
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
    for number in 0..40 {
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
