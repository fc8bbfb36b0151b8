//! The operator under test has the chart's rules and no others: it calls with a token of the chart's service account.

use std::path::Path;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use kube::config::AuthInfo;
use local_control_plane::ControlPlane;
use local_control_plane::apply::apply_files;

/// Namespace and name of the service account in the manifests below.
const ACCOUNT: (&str, &str) = ("dittofs-system", "dittofs-operator");
/// Made from the chart: `tests/packaging/generated.rs`.
const MANIFESTS: [&str; 3] = [
    "config/manager/namespace.yaml",
    "config/manager/service_account.yaml",
    "config/rbac/cluster/cluster_role.yaml",
];

/// The control plane's configuration with the operator's token instead of the administrator's certificate.
pub async fn config(control_plane: &ControlPlane) -> kube::Config {
    let client = control_plane.client().expect("a client");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = MANIFESTS.iter().map(|path| root.join(path)).collect();
    apply_files(&client, &files)
        .await
        .expect("the rules are accepted");
    let accounts: Api<ServiceAccount> = Api::namespaced(client, ACCOUNT.0);
    let request = TokenRequest {
        spec: TokenRequestSpec::default(),
        ..TokenRequest::default()
    };
    let made = accounts
        .create_token_request(ACCOUNT.1, &PostParams::default(), &request)
        .await
        .expect("a token");
    let mut config = control_plane.client_config();
    config.auth_info = AuthInfo {
        token: Some(made.status.expect("a token").token.into()),
        ..AuthInfo::default()
    };
    config
}
