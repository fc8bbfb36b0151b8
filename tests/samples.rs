//! The samples: the API server accepts them, and the operator creates what `render` prints.

use std::path::{Path, PathBuf};

use dittofs_operator::api::DittoServer;
use dittofs_operator::domain::settings::Settings;
use dittofs_operator::plugin::render;
use dittofs_operator::reconcile::apply::compare;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::support::{World, wait};

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples");
    let entries = std::fs::read_dir(folder).expect("the samples");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| !file.ends_with("kustomization.yaml"));
    files.sort();
    files
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::from_multiple(text).expect("YAML")
}

#[tokio::test]
async fn every_sample_is_accepted_and_its_children_match_the_output_of_render() {
    let files = samples();
    assert!(files.len() >= 6, "{files:?}");
    let world = World::new("samples").await;
    let simulator = world.percona().await;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a sample");
        create(&world, &text);
        for document in documents(&text)
            .iter()
            .filter(|document| document["kind"] == *DittoServer::kind(&()))
        {
            settled(&world, document["metadata"]["name"].as_str().expect("a name")).await;
        }
        let rendered = render::manifests(&text, &Settings::default()).expect("a sample renders");
        for child in documents(&rendered) {
            compare_with_cluster(&world, child).await;
        }
    }
    simulator.check().expect("the database operator lives");
}

/// Like `kubectl create --validate=strict`: an unknown field is an error.
fn create(world: &World, text: &str) {
    let mut kubectl = world.control_plane().kubectl();
    kubectl
        .args(["-n", &world.namespace, "create", "--validate=strict", "-f", "-"])
        .stdin(std::process::Stdio::piped());
    let mut child = kubectl.spawn().expect("kubectl runs");
    let mut input = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, text.as_bytes()).expect("kubectl reads");
    drop(input);
    assert!(child.wait().expect("kubectl ends").success(), "{text}");
}

async fn settled(world: &World, name: &str) {
    world
        .server_until(name, "settled", |server| {
            wait::condition(server, "Progressing").is_some_and(|progressing| {
                // A simulated server has no API, so nobody makes shares on it.
                progressing.status == "False" || progressing.reason == "SharesPending"
            }) && wait::condition(server, "ConfigReady").is_some_and(|ready| ready.status == "True")
        })
        .await;
}

/// Whether the server of an adapter's Service runs. Only then the Service exists.
async fn is_running(world: &World, service: &str) -> bool {
    let server = service.split("-adapter-").next().unwrap_or_default();
    let server: DittoServer = world.get(server).await;
    server.spec.desired_replicas() > 0 && !server.spec.api_over_https()
}

/// Every rendered field has the same value in the cluster. Other fields in the cluster are defaults.
async fn compare_with_cluster(world: &World, mut rendered: Value) {
    let types: TypeMeta = serde_json::from_value(rendered.clone()).expect("apiVersion and kind");
    let gvk = GroupVersionKind::try_from(types).expect("a kind");
    let resource = ApiResource::from_gvk(&gvk);
    let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let name = rendered["metadata"]["name"].as_str().expect("a name").to_owned();
    let is_of_adapter = gvk.kind == "Service" && name.contains("-adapter-");
    if is_of_adapter && !is_running(world, &name).await {
        return;
    }
    let live = wait::until_exists(api, &name).await;
    assert_eq!(live.name_any(), name);
    // A manifest without a namespace is applied to this one. A hash over Secrets that are not in the input is unknown.
    rendered["metadata"]["namespace"] = world.namespace.clone().into();
    if gvk.kind == "ServiceMonitor" {
        rendered["spec"]["namespaceSelector"] = json!({"matchNames": [world.namespace]});
    }
    let template = &mut rendered["spec"]["template"]["metadata"]["annotations"];
    if template["dittofs.io/config-hash"]
        .as_str()
        .is_some_and(|hash| hash.starts_with('('))
    {
        template["dittofs.io/config-hash"] =
            live.data["spec"]["template"]["metadata"]["annotations"]["dittofs.io/config-hash"].clone();
    }
    let live = serde_json::to_value(&live).expect("JSON");
    assert!(
        compare::holds(&live, &rendered),
        "{} {name}: rendered {rendered:#}\nlive {live:#}",
        gvk.kind
    );
}
