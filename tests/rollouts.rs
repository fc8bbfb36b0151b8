//! Failed rollouts: what is reported, and how to roll back.

use dittofs_operator::api::{DittoServer, Phase};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;

use crate::support::{World, fixtures, restarts::Restarts, wait};

fn message<'a>(server: &'a DittoServer, type_: &str) -> &'a str {
    wait::condition(server, type_).map_or("", |condition| condition.message.as_str())
}

async fn set_image(world: &World, image: &str) {
    world
        .merge::<DittoServer>("files", json!({"spec": {"image": image}}))
        .await;
}

async fn image(world: &World) -> String {
    let pod: Pod = world.get("files-0").await;
    pod.spec
        .map(|spec| spec.containers[0].image.clone().unwrap_or_default())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_rollout_that_crashes_reports_the_cause_before_and_after_its_deadline() {
    let mut world = World::new("deadline").await;
    let spec = json!({"image": "example.org/dittofs:1", "progressDeadlineSeconds": 20});
    world.create(&fixtures::server("files", spec)).await;
    world.ready("files").await;
    set_image(&world, "example.org/dittofs:crash").await;
    let cause = "pod files-0: container dittofs crashes in a loop (CrashLoopBackOff), exit code 1 (Error), restarted 3 times";
    let server = world
        .server_until("files", "telling the cause", |server| {
            message(server, "Progressing").ends_with(cause)
        })
        .await;
    assert!(
        wait::is(&server, "Progressing", "True", "RolloutInProgress"),
        "before the deadline"
    );
    assert!(message(&server, "Ready").ends_with(cause));

    let server = world
        .server_until("files", "overdue", |server| {
            wait::is(server, "Progressing", "False", "ProgressDeadlineExceeded")
        })
        .await;
    assert_eq!(
        server.status.as_ref().and_then(|status| status.phase),
        Some(Phase::Failed)
    );
    assert!(message(&server, "Progressing").starts_with("Not finished within 20 s: Rolling out revision "));
    assert!(message(&server, "Progressing").ends_with(cause));
    assert!(message(&server, "Available").ends_with(cause));
    assert!(wait::is(&server, "Ready", "False", "ConditionsNotMet"));
    let reported = wait::condition(&server, "Progressing").map(|condition| condition.last_transition_time.0);
    let started = world
        .get::<Pod>("files-0")
        .await
        .metadata
        .creation_timestamp
        .map(|time| time.0);
    let took = reported
        .zip(started)
        .map(|(reported, started)| reported.duration_since(started).as_secs());
    assert!(
        took.is_some_and(|took| (20..60).contains(&took)),
        "reported after {took:?} s"
    );

    set_image(&world, "example.org/dittofs:1").await;
    let server = world.ready("files").await;
    assert_eq!(
        server.status.and_then(|status| status.phase),
        Some(Phase::Running)
    );
    assert_eq!(
        world.all_notes("ProgressDeadlineExceeded").await.len(),
        1,
        "reported once"
    );
}

#[tokio::test]
async fn a_changed_image_causes_one_rollout() {
    let mut world = World::new("image").await;
    world.create(&fixtures::with_image("example.org/dittofs:1")).await;
    world.ready("files").await;
    let restarts = Restarts::of(&world);
    set_image(&world, "example.org/dittofs:2").await;
    world.ready("files").await;
    assert_eq!(restarts.count(), 1);
    assert_eq!(image(&world).await, "example.org/dittofs:2");
    assert_eq!(
        world.all_notes("PodReplaced").await,
        Vec::<String>::new(),
        "the StatefulSet did it by itself"
    );
}

#[tokio::test]
async fn a_bad_image_is_rolled_back_by_restoring_the_old_spec() {
    for bad in ["unready", "crash"] {
        let mut world = World::new("rollback").await;
        world.create(&fixtures::with_image("example.org/dittofs:1")).await;
        world.ready("files").await;
        let restarts = Restarts::of(&world);
        set_image(&world, &format!("example.org/dittofs:{bad}")).await;
        world
            .server_until("files", "stuck", |server| {
                message(server, "Available").contains("pod files-0: container")
            })
            .await;
        let stuck = world.get::<Pod>("files-0").await.uid();

        set_image(&world, "example.org/dittofs:1").await;
        world.ready("files").await;
        assert_eq!(image(&world).await, "example.org/dittofs:1");
        assert_ne!(world.get::<Pod>("files-0").await.uid(), stuck);
        assert_eq!(restarts.count(), 2, "there and back, {bad}");
        assert_eq!(
            world.all_notes("PodReplaced").await.len(),
            1,
            "the stuck pod was deleted once, {bad}"
        );
    }
}

#[tokio::test]
async fn a_server_whose_first_image_is_bad_starts_once_the_image_is_corrected() {
    let world = World::new("first").await;
    world
        .create(&fixtures::with_image("example.org/dittofs:unready"))
        .await;
    world
        .server_until("files", "stuck", |server| {
            message(server, "Available").ends_with("pod files-0: container dittofs runs but is not ready")
        })
        .await;
    let restarts = Restarts::of(&world);
    set_image(&world, "example.org/dittofs:crash").await;
    set_image(&world, "example.org/dittofs:1").await;
    world.ready("files").await;
    assert_eq!(image(&world).await, "example.org/dittofs:1");
    assert!((1..=2).contains(&restarts.count()));
}

#[tokio::test]
async fn a_rollback_ends_a_stuck_rollout_although_the_operator_was_down() {
    let mut world = World::new("downroll").await;
    world.create(&fixtures::with_image("example.org/dittofs:1")).await;
    world.ready("files").await;
    set_image(&world, "example.org/dittofs:crash").await;
    world
        .server_until("files", "stuck", |server| {
            message(server, "Available").contains("crashes in a loop")
        })
        .await;
    world.stop_operator().await;
    set_image(&world, "example.org/dittofs:1").await;
    world.start_operator().await;
    world.ready("files").await;
    assert_eq!(image(&world).await, "example.org/dittofs:1");
}

// invariant: 13
#[tokio::test]
async fn a_ready_pod_is_never_deleted_by_the_operator() {
    let world = World::new("partition").await;
    world.create(&fixtures::with_image("example.org/dittofs:1")).await;
    world.ready("files").await;
    let before = world.get::<Pod>("files-0").await.uid();
    // The update strategy is OnDelete: the old pod keeps serving, and has another revision than the desired one.
    let hold = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}});
    world.merge::<StatefulSet>("files", hold).await;
    set_image(&world, "example.org/dittofs:2").await;
    let server = world
        .server_until("files", "rolling out", |server| {
            wait::is(server, "Progressing", "True", "RolloutInProgress")
        })
        .await;
    assert!(wait::is(&server, "Available", "True", "MinimumReplicasAvailable"));
    world
        .merge::<DittoServer>(
            "files",
            json!({"spec": {"service": {"annotations": {"fence": "1"}}}}),
        )
        .await;
    wait::until(
        world.api::<k8s_openapi::api::core::v1::Service>(),
        "files-api",
        "fenced",
        |service| service.annotations().contains_key("fence"),
    )
    .await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), before);
    world
        .merge::<StatefulSet>(
            "files",
            json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}),
        )
        .await;
    world.ready("files").await;
    assert_eq!(image(&world).await, "example.org/dittofs:2");
}
