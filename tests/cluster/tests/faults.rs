//! Components that stop, freeze and come back.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ListParams;
use local_control_plane::{Component, ControlPlane, Error, Options};

use crate::support::namespace;

#[tokio::test]
async fn a_restarted_component_has_the_same_port_and_data() {
    let control_plane = ControlPlane::start(Options::default()).await.unwrap();
    let client = control_plane.client().unwrap();
    let name = namespace(&client, "survivor").await;
    let namespaces = Api::<Namespace>::all(client);

    for component in [Component::ApiServer, Component::Etcd] {
        let before = control_plane.pid(component);
        control_plane.restart(component).await.unwrap();
        assert_ne!(control_plane.pid(component), before);
        assert!(
            namespaces.get_opt(&name).await.unwrap().is_some(),
            "after a restart of {component}"
        );
    }

    control_plane.pause(Component::ApiServer).unwrap();
    let list = ListParams::default();
    let frozen = tokio::time::timeout(Duration::from_secs(1), namespaces.list(&list)).await;
    assert!(frozen.is_err(), "a frozen API server answered: {frozen:?}");
    control_plane.resume(Component::ApiServer).await.unwrap();
    namespaces.list(&list).await.unwrap();

    control_plane.stop(Component::ApiServer).await.unwrap();
    assert!(
        namespaces.list(&list).await.is_err(),
        "a stopped API server answered"
    );
    assert!(matches!(
        control_plane.pause(Component::ApiServer),
        Err(Error::NotRunning(_))
    ));
    control_plane.start_component(Component::ApiServer).await.unwrap();
    assert!(namespaces.get_opt(&name).await.unwrap().is_some());
}

#[tokio::test]
async fn a_component_that_cannot_start_is_an_error_with_the_end_of_its_log() {
    let options = Options {
        extra_args: vec![(Component::ApiServer, "--no-such-flag".to_owned())],
        ..Options::default()
    };
    let error = ControlPlane::start(options).await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Ended {
                component: Component::ApiServer,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("no-such-flag"), "{error}");
}
