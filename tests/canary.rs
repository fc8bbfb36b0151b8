//! No Secret value leaves its Secret: not to another object, not to an event, not to a log at trace level, not to
//! metrics or arguments.

mod shares;

use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use local_control_plane::percona::Behaviour;
use serde_json::{Value, json};

use crate::support::account::{self, Kubeconfig};
use crate::support::process::{free_address, get};
use crate::support::{World, fixtures, server_double, wait};

/// The real binary with logs at trace level, and its output.
struct Talkative {
    process: Child,
    metrics: SocketAddr,
    kubeconfig: Kubeconfig,
    output: [Option<JoinHandle<String>>; 2],
}

fn listen(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("the operator's output");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The command line of a process, which every user of the machine can read.
fn arguments(process: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_else(|_| {
        let ps = Command::new("ps")
            .args(["-o", "args=", "-p", &process.to_string()])
            .output();
        ps.expect("ps runs").stdout
    });
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Talkative {
    /// It reaches the APIs of servers by this template.
    async fn start(world: &World, server_url_template: &str) -> Self {
        let account = account::elected(world).await;
        let kubeconfig = Kubeconfig::of(world, &account).await;
        let metrics = free_address();
        let mut process = Command::new(env!("CARGO_BIN_EXE_dittofs-operator"))
            .args([
                "run",
                "--server-url-template",
                server_url_template,
                "--bind-address",
                "0",
                "--watch-namespace",
                &world.namespace,
                "--metrics-secure=false",
                "--metrics-bind-address",
                &metrics.to_string(),
            ])
            .env("KUBECONFIG", &kubeconfig.path)
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the operator starts");
        let output = [
            process.stdout.take().map(listen),
            process.stderr.take().map(listen),
        ];
        Self {
            process,
            metrics,
            kubeconfig,
            output,
        }
    }

    /// What every user of the machine and every client of the metrics port can read.
    fn outside(&self) -> String {
        let scrape = get(self.metrics, "/metrics").expect("a scrape");
        assert!(
            scrape.contains("dittofs_operator_dittoserver_condition"),
            "{scrape}"
        );
        let arguments = arguments(self.process.id());
        assert!(arguments.contains("--metrics-bind-address"), "{arguments}");
        scrape + &arguments
    }

    /// Stops it, and returns its output.
    fn stop(mut self) -> String {
        self.process.kill().expect("the operator runs");
        let said = self.output.iter_mut().filter_map(Option::take);
        said.map(|output| output.join().expect("a reader")).collect()
    }
}

impl Drop for Talkative {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that uses a Secret wherever it can, except for TLS and Kerberos.
fn server() -> DittoServer {
    let key = |key: &str| json!({"name": "canary", "key": key});
    fixtures::server(
        "files",
        json!({
            "identity": {
                "jwt": {"secretRef": key("jwt")},
                "admin": {"passwordSecretRef": key("admin")},
                "ldap": {"enabled": true, "url": "ldaps://ldap.example.org", "baseDN": "dc=org", "bindDN": "cn=a",
                         "bindPasswordSecretRef": key("ldap")},
            },
            "metrics": {"enabled": true, "bearerTokenSecret": key("token")},
            "percona": {"enabled": true},
        }),
    )
}

/// A Secret with values that the test can find in any text.
pub fn canary(generation: u8) -> Secret {
    let value = |name: &str| format!("canary-{name}-{generation}-0123456789012345678901234567890");
    let values = ["jwt", "admin", "ldap", "token"].map(|name| (name, value(name)));
    let data: Vec<(&str, &str)> = values
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    fixtures::secret("canary", &data)
}

/// Every value of every Secret in the namespace, plain and in base64. Short values (a port, a name) are skipped.
pub async fn values(world: &World) -> Vec<String> {
    let secrets = world
        .api::<Secret>()
        .list(&ListParams::default())
        .await
        .expect("a list");
    let data = secrets
        .items
        .into_iter()
        .flat_map(|secret| secret.data.unwrap_or_default());
    let secret_keys = [
        "jwt",
        "admin",
        "ldap",
        "token",
        "broken",
        "password",
        "jwt-secret",
        "verifier",
        "uri",
        "accessKeyID",
        "secretAccessKey",
    ];
    data.filter(|(key, _)| secret_keys.contains(&key.as_str()))
        .flat_map(|(_, value)| {
            [
                String::from_utf8_lossy(&value.0).into_owned(),
                STANDARD.encode(&value.0),
            ]
        })
        .filter(|value| value.len() >= 8)
        .collect()
}

/// All objects of the namespace except Secrets, as text.
fn everything_else(world: &World) -> String {
    let kinds = "configmaps,dittoservers,events,statefulsets,pods,services,networkpolicies,perconapgclusters,servicemonitors,controllerrevisions";
    let output = world
        .control_plane()
        .kubectl()
        .args(["-n", &world.namespace, "get", kinds, "-o", "json"])
        .output()
        .expect("kubectl runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(list["items"].as_array().is_some_and(|items| items.len() > 8));
    list.to_string()
}

// invariant: 5
#[tokio::test]
async fn no_secret_value_is_in_another_object_in_metrics_in_arguments_or_in_the_log_at_trace_level() {
    let world = World::without_operator("canary").await;
    let simulator = world.percona().await;
    world.create(&canary(1)).await;
    let operator = Talkative::start(&world, &server_double::template()).await;
    world.create(&server()).await;
    world.create(&fixtures::minimal("generated")).await;
    world.ready("files").await;
    world.ready("generated").await;
    let mut canaries = values(&world).await;

    // A bad value, a rotation and an outage: each causes a different message.
    world
        .merge::<Secret>("canary", json!({"stringData": {"jwt": "canary-short"}}))
        .await;
    canaries.push("canary-short".into());
    world
        .server_until("files", "refusing the key", |server| {
            wait::is(server, "ConfigReady", "False", "JwtKeyTooShort")
        })
        .await;
    let rotated = canary(2).string_data.expect("values");
    world
        .merge::<Secret>("canary", json!({"stringData": rotated}))
        .await;
    world.ready("files").await;
    simulator.set_behaviour(&world.namespace, "files-postgres", Behaviour::Stuck);
    world
        .server_until("files", "without database", |server| {
            wait::condition(server, "DatabaseReady").is_some_and(|ready| ready.status == "False")
        })
        .await;
    canaries.extend(values(&world).await);

    canaries.push(operator.kubeconfig.token.clone());

    let outside = operator.outside();
    let log = operator.stop();
    assert!(
        log.contains("\"level\":\"TRACE\"") && log.contains("\"name\":\"call\""),
        "the log is at trace level"
    );
    let objects = everything_else(&world);
    assert!(
        canaries.len() >= 20,
        "there is something to look for: {}",
        canaries.len()
    );
    for canary in canaries {
        assert!(!log.contains(&canary), "the log has {canary}");
        assert!(!objects.contains(&canary), "an object has {canary}");
        assert!(!outside.contains(&canary), "metrics or arguments have {canary}");
    }
}
