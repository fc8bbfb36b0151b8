//! The kubectl plugin: what its commands print for real servers, and their exit status.

mod access;
mod completion;
mod diff;
mod manifest;
mod mount;
mod pipe;
pub mod report;
mod status;
mod unparsable;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use local_control_plane::rights::Right;
use serde_json::{Value, json};

use crate::support::{World, account, fixtures};

/// The output of a command.
pub struct CommandOutput {
    pub text: String,
    pub error: String,
    pub code: Option<i32>,
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            text: String::from_utf8(output.stdout).expect("UTF-8"),
            error: String::from_utf8(output.stderr).expect("UTF-8"),
            code: output.status.code(),
        }
    }
}

/// The binary under its own name.
fn command(kubeconfig: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dittofs-operator"));
    command
        .arg("kubectl")
        .env("KUBECONFIG", kubeconfig)
        .env_remove("NO_COLOR");
    command
}

/// Runs a command of the plugin in the world's namespace.
pub async fn plugin(world: &World, args: &[&str]) -> CommandOutput {
    let mut command = command(&world.control_plane().kubeconfig());
    command.args(["-n", &world.namespace]).args(args);
    run(command).await
}

/// Not on the threads of the runtime, where the operator of the test runs.
async fn run(mut command: Command) -> CommandOutput {
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.expect("no panic").expect("the command runs").into()
}

/// Runs a command whose standard input is this text.
async fn run_with_input(mut command: Command, input: String) -> CommandOutput {
    use std::io::Write;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the command runs");
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(input.as_bytes()).expect("the command reads");
        drop(pipe);
        child.wait_with_output().expect("the command ends")
    });
    output.await.expect("no panic").into()
}

/// A server `files` with this spec, as a manifest.
fn manifest(spec: Value) -> String {
    serde_json::to_string(&fixtures::server("files", spec)).expect("JSON")
}

/// A stable server that was created by `kubectl apply` of this spec.
async fn applied(world: &World, spec: Value) {
    let mut kubectl = world.control_plane().kubectl();
    kubectl.args(["-n", &world.namespace, "apply", "-f", "-"]);
    let output = run_with_input(kubectl, manifest(spec)).await;
    assert_eq!(output.code, Some(0), "{}", output.error);
    world.ready("files").await;
}

/// The output of `diff -f -` for a manifest.
async fn diff_of(world: &World, spec: Value) -> CommandOutput {
    let mut command = command(&world.control_plane().kubeconfig());
    command.args(["-n", &world.namespace, "diff", "-f", "-"]);
    run_with_input(command, manifest(spec)).await
}

/// A folder for one test, removed at its end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(world: &World, name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}-{}", world.namespace, std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A user who has the rights of these rules in the world's namespace, and no others.
struct LimitedUser {
    kubeconfig: PathBuf,
    _folder: Folder,
}

impl LimitedUser {
    async fn new(world: &World, rules: Value) -> Self {
        let user = format!("limited-{}", world.namespace);
        let api = "rbac.authorization.k8s.io";
        let policy_rules: Vec<PolicyRule> = serde_json::from_value(rules.clone()).expect("rules");
        let rights: BTreeSet<Right> = policy_rules.iter().flat_map(Right::of_rule).collect();
        let role = json!({"metadata": {"name": "limited"}, "rules": rules});
        let binding = json!({
            "metadata": {"name": "limited"},
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "limited"},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
        });
        world
            .create::<Role>(&serde_json::from_value(role).expect("a Role"))
            .await;
        world
            .create::<RoleBinding>(&serde_json::from_value(binding).expect("a RoleBinding"))
            .await;
        account::known(&world.client, &user, &world.namespace, &rights).await;
        let text = std::fs::read_to_string(world.control_plane().kubeconfig()).expect("a kubeconfig");
        let mut config: Value = serde_yaml::from_str(&text).expect("YAML");
        config["users"][0]["user"]["as"] = json!(user);
        let folder = Folder::new(world, "limited");
        let kubeconfig = folder.join("config");
        std::fs::write(&kubeconfig, config.to_string()).expect("a file");
        Self {
            kubeconfig,
            _folder: folder,
        }
    }

    /// A user who may read and write everything that the plugin uses, except these.
    async fn without(world: &World, withheld: &[&str], extra: Value) -> Self {
        let all = [
            "dittoservers",
            "statefulsets",
            "controllerrevisions",
            "pods",
            "pods/log",
            "persistentvolumeclaims",
            "services",
            "configmaps",
            "secrets",
            "networkpolicies",
            "perconapgclusters",
            "servicemonitors",
            "events",
        ];
        let granted: Vec<&str> = all.into_iter().filter(|kind| !withheld.contains(kind)).collect();
        let mut rules = vec![json!({"apiGroups": ["*"], "resources": granted, "verbs": ["*"]})];
        rules.extend(extra.as_array().cloned().unwrap_or_default());
        Self::new(world, json!(rules)).await
    }

    fn command(&self, world: &World) -> Command {
        let mut command = command(&self.kubeconfig);
        command.args(["-n", &world.namespace]);
        command
    }
}
