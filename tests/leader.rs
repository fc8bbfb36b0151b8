//! Leader election: one of several operators is the leader, and one that lost the Lease writes nothing more.

mod processes;

use std::time::{Duration, Instant};

use dittofs_operator::cluster::leader::candidate::{Attempt, Candidate, Error, HeldLease};
use dittofs_operator::cluster::leader::timing::Timing;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::support::World;
use crate::support::process::POLL;

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
