//! What the operator's access to the API of a server relies on (docs/adr/0013-signed-tokens.md). This test notices when a new
//! version of the server does not allow it any more.

use dittofs_operator::domain::secrets::Confidential;
use dittofs_operator::server::client::{Access, Client};
use dittofs_operator::server::token::{Role, sign};
use http::{Method, StatusCode};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use super::polled;
use crate::support::World;
use crate::support::real::RealServer;

#[tokio::test]
async fn a_signed_token_with_the_role_operator_lists_adapters_and_one_with_the_role_admin_may_write() {
    let world = World::of_real_server("access").await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    let secret: Secret = world.get("files-jwt-secret").await;
    let key = secret.data.expect("data")["jwt-secret"].0.clone();
    let key = Confidential(key.into());
    let server = RealServer::of(&world, "files").await;
    let api = server.api();
    let client = Client::new(None).expect("a client");
    let call = async |method: Method, path: &str, token: String| {
        let url = format!("{}/api/v1/{path}", api.url());
        let body = (method != Method::GET).then(|| json!({"lease_time": 91}));
        let answer = client
            .call(method, &url, &Access::new(&token), body.as_ref())
            .await;
        answer.map_or_else(|error| error.status(), |_| Some(StatusCode::OK))
    };
    let now = Timestamp::now();
    let settings = "adapters/nfs/settings";
    let operator = sign(&key, Role::Operator, now);
    let admin = sign(&key, Role::Admin, now);
    let other_key = sign(
        &Confidential(b"another key of some length".as_slice().into()),
        Role::Admin,
        now,
    );
    let expired = sign(&key, Role::Admin, Timestamp::UNIX_EPOCH);
    for (method, path, token, expected) in [
        (Method::GET, "adapters", &operator, StatusCode::OK),
        (Method::PATCH, settings, &operator, StatusCode::FORBIDDEN),
        (Method::GET, settings, &admin, StatusCode::OK),
        (Method::PATCH, settings, &admin, StatusCode::OK),
        (Method::GET, "adapters", &other_key, StatusCode::UNAUTHORIZED),
        (Method::GET, "adapters", &expired, StatusCode::UNAUTHORIZED),
    ] {
        let answer = call(method.clone(), path, token.clone()).await;
        assert_eq!(answer, Some(expected), "{method} {path}");
    }
}
