//! A control plane of etcd and the API server only, with namespaces full of `DittoServers`.

use std::path::PathBuf;

use dittofs_operator::api::crd;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use local_control_plane::{Component, ControlPlane, Options, definition};
use serde_json::{Value, json};

use crate::api::{ACCOUNTS, Api, Call, SECRETS, SERVERS};
use crate::calls::AuditLog;
use crate::cli::Secrets;
use crate::error::Result;

/// Calls that the bench sends at the same time while it builds a world.
pub const BUILDERS: usize = 32;
/// The user's Secret with the signing key and the password, for all servers of a namespace.
const SHARED_SECRET: &str = "bench-shared";

/// A control plane.
pub struct World {
    control_plane: ControlPlane,
    /// The administrator's calls.
    pub api: Api,
}

/// What the `DittoServers` of a namespace are like.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Where their Secrets come from.
    pub secrets: Secrets,
    /// Whether their deletion deletes their volumes, which needs a finalizer.
    pub deletes_volumes: bool,
}

/// The namespace of the operator.
pub const OURS: &str = "ours";
/// The namespace of the bare client.
pub const BARE: &str = "bare";
/// A namespace of servers whose APIs accept calls and never answer.
pub const SILENT: &str = "silent";

/// The name of a server. All have the same length, so that all objects have the same size.
pub fn name(number: usize) -> String {
    format!("server-{number:05}")
}

impl World {
    /// Starts etcd and the API server, and installs the CRD.
    pub async fn start() -> Result<Self> {
        let mut options = Options::default();
        // Ten thousand servers with everything need more than the two GiB that etcd allows without this.
        let quota = "--quota-backend-bytes=12884901888".to_owned();
        options.extra_args.push((Component::Etcd, quota));
        let control_plane = ControlPlane::start(options).await?;
        let client = control_plane.client()?;
        let world = Self {
            control_plane,
            api: Api(client),
        };
        world.install(&crd()).await?;
        Ok(world)
    }

    /// Starts one, and creates the same servers for the operator and for the bare client.
    pub async fn of_both(servers: usize, kind: Kind) -> Result<Self> {
        let world = Self::start().await?;
        for namespace in [OURS, BARE] {
            world.fill(namespace, servers, kind).await?;
        }
        Ok(world)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.control_plane.kubeconfig()
    }

    /// The operator's calls from now on.
    pub fn audit_log(&self) -> Result<AuditLog> {
        AuditLog::from_now(self.control_plane.audit_log())
    }

    /// Creates a namespace with a number of servers.
    pub async fn fill(&self, namespace: &str, servers: usize, kind: Kind) -> Result<()> {
        self.prepare(namespace).await?;
        let create = |number| vec![Call::create(SERVERS, namespace, &manifest(&name(number), kind))];
        self.api.all(BUILDERS, (0..servers).map(create)).await?;
        Ok(())
    }

    /// Creates a namespace without servers. There is no controller manager, so the bench creates the service account.
    pub async fn prepare(&self, namespace: &str) -> Result<()> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let create = Call::create_at("/api/v1/namespaces", &body);
        self.api.send(create).await?;
        let account = json!({"metadata": {"name": "default"}});
        self.api.send(Call::create(ACCOUNTS, namespace, &account)).await?;
        let secret = json!({
            "metadata": {"name": SHARED_SECRET},
            "stringData": {"key": "0123456789abcdef0123456789abcdef", "password": "correct horse battery"},
        });
        self.api.send(Call::create(SECRETS, namespace, &secret)).await?;
        Ok(())
    }

    /// Installs another version of the CRD of `DittoServers`.
    pub async fn install(&self, crd: &CustomResourceDefinition) -> Result<()> {
        Ok(definition::install(&self.api.0, crd).await?)
    }
}

/// A `DittoServer` with three volumes, otherwise minimal. Its files are reached by cluster IPs: without a cloud, no load balancer gets
/// an address, and there are fewer node ports than servers.
pub fn manifest(name: &str, kind: Kind) -> Value {
    let mut spec = json!({
        "image": "marmos91c/dittofs:v0.29.0",
        "storage": {"metadataSize": "10Gi", "contentSize": "100Gi", "controlPlaneSize": "1Gi"},
        "adapterServices": {"type": "ClusterIP"},
    });
    if kind.deletes_volumes {
        spec["storage"]["retention"] = json!("Delete");
    }
    if kind.secrets == Secrets::Shared {
        spec["identity"] = json!({
            "jwt": {"secretRef": {"name": SHARED_SECRET, "key": "key"}},
            "admin": {"passwordSecretRef": {"name": SHARED_SECRET, "key": "password"}},
        });
    }
    json!({
        "apiVersion": "dittofs.dittofs.com/v1alpha1",
        "kind": "DittoServer",
        "metadata": {"name": name},
        "spec": spec,
    })
}
