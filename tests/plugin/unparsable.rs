//! A stored server that does not parse is reported, and hides no other server.

use dittofs_operator::api;
use dittofs_operator::api::DittoServer;
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use local_control_plane::percona;
use serde_json::{Value, json};

use super::{Folder, plugin};
use crate::plugin::report::files;
use crate::support::{World, fixtures, install_crd, own_control_plane};

/// A world with the servers `good` and `odd`. `odd` was stored under a less strict schema.
async fn world() -> World {
    let world = World::on(own_control_plane().await, "odd").await;
    install_crd(&world.client, fixtures::without_schema(api::crd())).await;
    percona::install_crd(&world.client)
        .await
        .expect("the CRD is installed");
    let resource = ApiResource::erase::<DittoServer>(&());
    let servers: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let spec = json!({
        "image": "example.org/dittofs:7",
        "storage": {"metadataSize": "1Gi"},
        "metrics": "several",
        "identity": {"jwt": {"secretRef": {"name": "mine", "key": "jwt"}}, "unheardOf": {"secretRef": {"name": "new"}}},
    });
    let odd = DynamicObject::new("odd", &resource).data(json!({"spec": spec}));
    servers
        .create(&PostParams::default(), &odd)
        .await
        .expect("without a schema it is stored");
    world.create(&fixtures::minimal("good")).await;
    world
        .create(&fixtures::secret("mine", &[("jwt", "canary-0123456789-of-mine")]))
        .await;
    world
        .create(&fixtures::secret("new", &[("key", "canary-0123456789-of-new")]))
        .await;
    let note = json!({"metadata": {"name": "odd-config"}, "data": {"note": "canary-0123456789-of-mine and canary-0123456789-of-new"}});
    world
        .create::<k8s_openapi::api::core::v1::ConfigMap>(&serde_json::from_value(note).expect("a ConfigMap"))
        .await;
    world
}

#[tokio::test]
async fn a_server_that_does_not_parse_hides_no_other_server_and_can_be_reported() {
    let world = world().await;
    let edit = format!("kubectl edit dittoserver odd -n {}", world.namespace);
    for args in [vec!["status"], vec!["status", "-A"]] {
        let mut command = super::command(&world.control_plane().kubeconfig());
        if args.len() == 1 {
            command.args(["-n", &world.namespace]);
        }
        command.args(&args);
        let output = super::run(command).await;
        assert_eq!(output.code, Some(1), "{args:?}: {}{}", output.text, output.error);
        let good = format!("DittoServer {}/good", world.namespace);
        assert!(output.text.contains(&good), "{args:?}: {}", output.text);
        assert!(
            output.text.contains("does not parse"),
            "{args:?}: {}",
            output.text
        );
        assert!(output.text.contains(&edit), "{args:?}: {}", output.text);
    }
    let output = plugin(&world, &["status", "odd"]).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    assert!(
        output.text.contains("several"),
        "the parser's words: {}",
        output.text
    );
    assert!(
        output.text.contains("example.org/dittofs:7"),
        "what parses is shown: {}",
        output.text
    );
    assert!(output.text.contains("Secret mine"), "{}", output.text);

    let output = plugin(&world, &["status", "odd", "-o", "json"]).await;
    let printed: Value = serde_json::from_str(&output.text).expect("JSON");
    assert_eq!(printed["ready"], false);
    assert!(
        printed["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("several")),
        "{printed}"
    );

    let output = plugin(&world, &["diff", "odd"]).await;
    assert_eq!(output.code, Some(2), "{}", output.text);
    assert!(output.error.contains(&edit), "{}", output.error);

    let folder = Folder::new(&world, "odd");
    let archive = folder.join("report.tar.gz");
    let output = plugin(&world, &["report", "odd", "-o", archive.to_str().expect("UTF-8")]).await;
    assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
    let files = files(&archive);
    let file = |name: &str| &files[&format!("dittofs-report-odd/{name}")];
    assert!(
        file("dittoserver.yaml").contains("several"),
        "{}",
        file("dittoserver.yaml")
    );
    assert!(
        file("status.txt").contains("does not parse"),
        "{}",
        file("status.txt")
    );
    assert!(
        file("secrets.yaml").contains("name: new"),
        "{}",
        file("secrets.yaml")
    );
    assert!(
        file("configmap.yaml").contains("(redacted) and (redacted)"),
        "{}",
        file("configmap.yaml")
    );
}
