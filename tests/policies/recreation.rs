//! Policies that refuse or change the StatefulSet when it is re-created for other claim templates.

use dittofs_operator::api::{DittoServer, names};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::json;

use super::{cluster_api, constraints, progressing, refuse};
use crate::interrupted::recreation::{expansion, has_fields_of_others, recreated, with_fields_of_others};
use crate::support::{World, wait};

#[tokio::test]
async fn a_create_that_a_policy_refuses_is_tried_again_from_the_saved_stateful_set_and_the_pod_runs_on() {
    let mut world = World::new("norecreate").await;
    with_fields_of_others(&world, "RollingUpdate").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    let on_create = constraints(&world, "apps", "statefulsets", &["CREATE"]);
    refuse(
        &world,
        on_create,
        "object.metadata.name != 'files'",
        "no StatefulSet today",
    )
    .await;
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut copy: StatefulSet = world.get("files").await;
    copy.metadata.resource_version = None;
    let deadline = std::time::Instant::now() + wait::LONGEST;
    // It exists, so only the policy's answer is another one.
    while !matches!(world.api::<StatefulSet>().create(&params, &copy).await, Err(kube::Error::Api(status)) if status.message.contains("today"))
    {
        assert!(
            std::time::Instant::now() < deadline,
            "the policy comes into force"
        );
        tokio::time::sleep(crate::support::process::POLL).await;
    }

    world.merge::<DittoServer>("files", expansion()).await;
    let server = world
        .server_until("files", "refused", |server| {
            progressing(server, "True", "ApplyFailed")
        })
        .await;
    let message = wait::condition(&server, "Progressing").map(|told| told.message.clone());
    assert!(
        message
            .as_ref()
            .is_some_and(|message| message.contains("no StatefulSet today")),
        "{message:?}"
    );
    assert!(
        wait::is(&server, "Available", "True", "MinimumReplicasAvailable"),
        "the pod serves"
    );
    let saved = world.get::<ConfigMap>("files-config").await;
    assert!(saved.annotations().contains_key(names::RECREATE_ANNOTATION));
    // A restart changes nothing.
    world.stop_operator().await;
    world.start_operator().await;
    let another = json!({"spec": {"progressDeadlineSeconds": 601}});
    world.merge::<DittoServer>("files", another).await;
    world.observed().await;
    assert!(
        world
            .api::<StatefulSet>()
            .get_opt("files")
            .await
            .expect("an answer")
            .is_none()
    );

    let binding = cluster_api(&world.client, "ValidatingAdmissionPolicyBinding");
    binding
        .delete(&world.namespace, &kube::api::DeleteParams::default())
        .await
        .expect("deleted");
    let set = recreated(&world).await;
    has_fields_of_others(&set, "RollingUpdate", "refused");
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod, "the pod runs on");
}
