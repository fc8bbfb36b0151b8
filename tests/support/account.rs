//! The operator under test has the chart's rules and no others: it calls with a token of the chart's service account.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::AuthInfo;
use kube::{Api, Client};
use local_control_plane::ControlPlane;
use local_control_plane::apply::apply;
use local_control_plane::rights::{self, Account, Right};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::chart::{self, NAMESPACE};
use super::process::POLL;
use super::{World, wait};

/// The control plane's configuration with the operator's token instead of the administrator's certificate.
pub async fn config(control_plane: &ControlPlane) -> kube::Config {
    install(control_plane).await;
    let client = control_plane.client().expect("a client");
    let token = token(&client, &chart::account(NAMESPACE)).await;
    let mut config = control_plane.client_config();
    config.auth_info = AuthInfo {
        token: Some(token.into()),
        ..AuthInfo::default()
    };
    config
}

/// Gives the operator the chart's rules, once on each control plane.
async fn install(control_plane: &ControlPlane) {
    static INSTALLED: Mutex<BTreeSet<PathBuf>> = Mutex::const_new(BTreeSet::new());
    let mut installed = INSTALLED.lock().await;
    if !installed.contains(&control_plane.kubeconfig()) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        let mut objects = vec![namespace];
        objects.extend(chart::rules(NAMESPACE));
        let client = control_plane.client().expect("a client");
        put(&client, objects).await;
        known(
            &client,
            &chart::account(NAMESPACE).user(),
            NAMESPACE,
            &chart::granted(),
        )
        .await;
        installed.insert(control_plane.kubeconfig());
    }
}

/// Like [`install`], and grants what the chart grants in its own namespace in the world's namespace too: the Lease of an operator
/// that is elected there. Returns who the operator is.
pub async fn elected(world: &World) -> Account {
    install(world.control_plane()).await;
    let of_namespace =
        |object: &Value| object["metadata"]["namespace"] == NAMESPACE && object["kind"] != "ServiceAccount";
    let mut objects = chart::rules(NAMESPACE);
    objects.retain(of_namespace);
    for object in &mut objects {
        object["metadata"]["namespace"] = json!(world.namespace);
    }
    let account = chart::account(NAMESPACE);
    let granted = rights::granted(&objects, &account).expect("a role and a binding");
    put(&world.client, objects).await;
    known(&world.client, &account.user(), &world.namespace, &granted).await;
    account
}

/// An account in the world's namespace with the chart's rules for one of several shards.
pub async fn sharded(world: &World) -> Account {
    let account = chart::account(&world.namespace);
    let objects = chart::rules_of_shard(&world.namespace, "team");
    let granted = rights::granted(&objects, &account).expect("roles and bindings");
    put(&world.client, objects).await;
    known(&world.client, &account.user(), &world.namespace, &granted).await;
    account
}

/// An account in the world's namespace with the chart's rules, except one right.
pub async fn denied(world: &World, right: Option<&Right>) -> Account {
    let account = chart::account(&world.namespace);
    let mut objects = chart::rules(&world.namespace);
    let mut granted = rights::granted(&objects, &account).expect("roles and bindings");
    for role in objects.iter_mut().filter(|object| object["rules"].is_array()) {
        let rules: Vec<_> = serde_json::from_value(role["rules"].take()).expect("rules");
        let rights = rules
            .iter()
            .flat_map(Right::of_rule)
            .filter(|one| Some(one) != right);
        role["rules"] = rights.map(|right| json!(right.rule())).collect();
    }
    if let Some(right) = right {
        assert!(granted.remove(right), "{right} is granted");
    }
    put(&world.client, objects).await;
    known(&world.client, &account.user(), &world.namespace, &granted).await;
    account
}

async fn put(client: &Client, objects: Vec<Value>) {
    for object in objects {
        apply(client, &chart::folder(), object)
            .await
            .expect("the rules are accepted");
    }
}

/// Waits until the API server's authorizer knows a user's rights: it observes rules with its own watches.
pub async fn known(client: &Client, user: &str, namespace: &str, rights: &BTreeSet<Right>) {
    let all = async {
        for right in rights {
            while !may(client, user, namespace, right).await {
                tokio::time::sleep(POLL).await;
            }
        }
    };
    tokio::time::timeout(wait::LONGEST, all)
        .await
        .expect("the rules are known in time");
}

async fn may(client: &Client, user: &str, namespace: &str, right: &Right) -> bool {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource.as_str(), None),
    };
    let mut review = SubjectAccessReview::default();
    review.spec.user = Some(user.to_owned());
    review.spec.resource_attributes = Some(ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        group: Some(right.group.clone()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(right.verb.clone()),
        name: right.name.clone(),
        ..ResourceAttributes::default()
    });
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let reviewed = reviews.create(&PostParams::default(), &review).await;
    reviewed
        .expect("a review")
        .status
        .is_some_and(|status| status.allowed)
}

/// A token of a service account.
pub async fn token(client: &Client, account: &Account) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &account.namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec::default(),
        ..TokenRequest::default()
    };
    let made = accounts
        .create_token_request(&account.name, &PostParams::default(), &request)
        .await;
    made.expect("a token").status.expect("a status").token
}

/// The administrator's kubeconfig, with a token instead of the certificate. As in a pod, `namespace` is the default.
pub fn kubeconfig(control_plane: &ControlPlane, token: &str, namespace: &str) -> Value {
    let text = std::fs::read_to_string(control_plane.kubeconfig()).expect("a kubeconfig");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    config["users"][0]["user"] = json!({"token": token});
    config["contexts"][0]["context"]["namespace"] = json!(namespace);
    config
}

/// A kubeconfig in a file, with a token of an account; removed when dropped.
pub struct Kubeconfig {
    /// The file.
    pub path: PathBuf,
    /// The token in it.
    pub token: String,
}

impl Kubeconfig {
    /// Writes one for this account.
    pub async fn of(world: &World, account: &Account) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("dittofs-operator-{process}-{next}.kubeconfig"));
        let token = token(&world.client, account).await;
        let config = kubeconfig(world.control_plane(), &token, &world.namespace);
        std::fs::write(&path, config.to_string()).expect("a kubeconfig");
        Self { path, token }
    }

    /// Lets it name another server.
    pub fn set_server(&self, url: &str) {
        let text = std::fs::read_to_string(&self.path).expect("a kubeconfig");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        config["clusters"][0]["cluster"] = json!({"server": url});
        std::fs::write(&self.path, config.to_string()).expect("a kubeconfig");
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
