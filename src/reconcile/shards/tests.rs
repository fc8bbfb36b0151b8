use std::convert::Infallible;

use http::{Request, Response};
use kube::client::Body;
use serde_json::Value;

use super::*;

/// A client whose API server answers every request so.
fn client(answer: &Value) -> Client {
    let body = answer.to_string();
    let answer = tower::service_fn(move |_: Request<Body>| {
        let body = Body::from(body.clone().into_bytes());
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    Client::new(answer, "default")
}

#[tokio::test]
async fn a_server_that_an_earlier_process_claimed_is_held_before_its_first_reconcile() {
    let base = LeaseName {
        namespace: "dittofs-system".into(),
        name: "operator".into(),
    };
    let shard = Shard::elected(Some("team=a".parse().unwrap()), base);
    let server = |name: &str, claim: Option<String>| {
        json!({"metadata": {
            "namespace": "ns", "name": name, "resourceVersion": "1", "labels": {"team": "a"},
            "annotations": {SHARD_ANNOTATION: claim.unwrap_or_default()},
        }})
    };
    let client = client(&json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {},
        "items": [server("claimed", shard.claim()), server("new", None)],
    }));
    let shards = Shards::new(shard, client.clone());
    let servers = Cache::new(&[None], |_| Vec::new());
    let left = shards.list(&servers, &Api::all(client)).await.unwrap();
    assert_eq!(left, [], "its labels match");
    let holds = |name: &str| shards.holds(&ObjectRef::new(name).within("ns"));
    assert!(holds("claimed"), "its labels may change before it is reconciled");
    assert!(!holds("new"));
}
