//! Scenarios as data: what users and the cluster do while there are faults.

use std::time::Duration;

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::{Pod, Secret};
use local_control_plane::percona::{Behaviour, PerconaSimulator};
use serde_json::{Value, json};

use crate::support::merge::merge;
use crate::support::{World, fixtures, real, server_double, wait};

/// The server of every scenario.
pub const NAME: &str = "files";

/// The longest time that anything may take, except while a fault lasts. A failed reconcile pauses up to a minute.
pub const LONGEST: Duration = Duration::from_secs(90);

/// The scenario with a real server.
pub const SHARE: &str = "a share is added";

/// As [`LONGEST`], for what a user waits for while there are faults. A watch without events is noticed after 200 s.
const LONGEST_ACT: Duration = Duration::from_secs(300);

/// Between two reads of what is waited for.
pub const PAUSE: Duration = Duration::from_millis(200);

/// One scenario.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// What the spec has next to the volumes, as JSON.
    pub spec: &'static str,
    /// The server runs before the faults begin.
    pub exists: bool,
    /// What happens then.
    pub acts: &'static [Act],
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The server is created.
    Create,
    /// A merge patch of the spec, as JSON.
    Edit(&'static str),
    /// Waits until the server has no pod.
    Stopped,
    /// The server is deleted.
    Delete,
    /// Waits until the server is gone.
    Gone,
    /// The database does not serve any more; waits until the server says so.
    DatabaseLost,
    /// The database serves again.
    DatabaseBack,
}

/// All of them.
pub const ALL: [Scenario; 11] = [
    Scenario {
        name: "create",
        spec: "{}",
        exists: false,
        acts: &[Act::Create],
    },
    Scenario {
        name: "edit",
        spec: "{}",
        exists: true,
        acts: &[Act::Edit(
            r#"{"image": "example.org/dittofs:2", "logging": {"level": "DEBUG"}, "service": {"annotations": {"a": "b"}}}"#,
        )],
    },
    Scenario {
        name: "scale",
        spec: "{}",
        exists: true,
        acts: &[
            Act::Edit(r#"{"replicas": 0}"#),
            Act::Stopped,
            Act::Edit(r#"{"replicas": 1}"#),
        ],
    },
    Scenario {
        name: "delete",
        spec: r#"{"storage": {"retention": "Delete"}}"#,
        exists: true,
        acts: &[Act::Delete, Act::Gone],
    },
    Scenario {
        name: "delete and re-create",
        spec: "{}",
        exists: true,
        acts: &[Act::Delete, Act::Gone, Act::Create],
    },
    Scenario {
        name: "create with a database",
        spec: r#"{"percona": {"enabled": true}}"#,
        exists: false,
        acts: &[Act::Create],
    },
    Scenario {
        name: "database lost and back",
        spec: r#"{"percona": {"enabled": true}}"#,
        exists: true,
        acts: &[Act::DatabaseLost, Act::DatabaseBack],
    },
    Scenario {
        name: "delete with a database",
        spec: r#"{"percona": {"enabled": true, "deleteWithServer": true}, "storage": {"retention": "Delete"}}"#,
        exists: true,
        acts: &[Act::Delete, Act::Gone],
    },
    Scenario {
        name: "a policy for a share is added",
        spec: "{}",
        exists: true,
        acts: &[Act::Edit(
            r#"{"snapshotPolicies": [{"share": "export", "interval": "@daily"}]}"#,
        )],
    },
    Scenario {
        name: SHARE,
        spec: r#"{"image": "process.local/dittofs:0.29.0", "storage": {"contentSize": "1Gi"}}"#,
        exists: true,
        acts: &[Act::Edit(
            r#"{"users": [{"name": "alice", "uid": 4001, "gid": 4001, "passwordSecretRef": {"name": "alice", "key": "password"}}],
                "shares": [{"name": "export", "owner": "alice", "defaultPermission": "read-write"}]}"#,
        )],
    },
    Scenario {
        name: "grow",
        spec: "{}",
        exists: true,
        acts: &[Act::Edit(r#"{"storage": {"metadataSize": "2Gi"}}"#)],
    },
];

impl Scenario {
    /// The scenario of this name.
    pub fn named(name: &str) -> &'static Self {
        ALL.iter()
            .find(|scenario| scenario.name == name)
            .expect("a scenario")
    }

    /// Whether the server exists at the end.
    pub fn remains(&self) -> bool {
        self.acts.last() != Some(&Act::Gone)
    }

    pub fn has_database(&self) -> bool {
        self.spec.contains("percona")
    }

    /// Whether the server is one, and not only its pod.
    pub fn is_real(&self) -> bool {
        self.spec.contains(real::IMAGE)
    }

    /// Where an operator reaches the API of the server.
    pub async fn server_url_template(&self) -> String {
        if self.is_real() {
            real::forwarder().await.url_template()
        } else {
            server_double::template()
        }
    }

    fn server(&self) -> DittoServer {
        // A Service that waits for the address of a load balancer would change the status with time.
        let mut spec = json!({
            "storage": {"metadataSize": "1Gi", "storageClassName": "standard"},
            "adapterServices": {"type": "ClusterIP"},
        });
        merge(&mut spec, &parsed(self.spec));
        fixtures::server(NAME, spec)
    }

    /// Creates the server as it is before the faults.
    pub async fn create(&self, world: &World) {
        if self.is_real() {
            let password: Secret = fixtures::secret("alice", &[("password", "a password")]);
            world.create(&password).await;
        }
        world.create(&self.server()).await;
    }

    /// Does one act, as a user does it. `simulator` plays the database.
    pub async fn act(&self, act: Act, world: &World, simulator: Option<&PerconaSimulator>) {
        let behave = |behaviour: Behaviour| {
            let simulator = simulator.expect("the scenario has a database");
            simulator.set_behaviour(&world.namespace, &format!("{NAME}-postgres"), behaviour);
        };
        match act {
            Act::Create => self.create(world).await,
            Act::Edit(spec) => {
                world
                    .merge::<DittoServer>(NAME, json!({"spec": parsed(spec)}))
                    .await;
            }
            Act::Stopped => {
                let is_absent = async || world.lacks::<Pod>("files-0").await;
                until("without a pod", LONGEST_ACT, is_absent).await;
            }
            Act::Delete => world.delete::<DittoServer>(NAME).await,
            Act::Gone => {
                let is_gone = async || world.lacks::<DittoServer>(NAME).await;
                until("gone", LONGEST_ACT, is_gone).await;
            }
            Act::DatabaseLost => {
                behave(Behaviour::Stuck);
                let is_reported = async || {
                    let server: DittoServer = world.get(NAME).await;
                    wait::condition(&server, "DatabaseReady").is_some_and(|ready| ready.status == "False")
                };
                until("without its database", LONGEST_ACT, is_reported).await;
            }
            Act::DatabaseBack => behave(Behaviour::Ready),
        }
    }
}

/// Waits until something holds.
pub async fn until(what: &str, longest: Duration, holds: impl AsyncFn() -> bool) {
    wait::holds(what, longest, PAUSE, holds).await;
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}
