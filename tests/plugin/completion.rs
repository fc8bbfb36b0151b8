//! Completion of `kubectl dittofs …` through kubectl itself.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Folder, LimitedUser, run};
use crate::support::{World, fixtures, wait};

/// A folder for the PATH in which kubectl finds the plugin and its completion.
fn installed(world: &World) -> Folder {
    let folder = Folder::new(world, "completion");
    for name in ["kubectl-dittofs", "kubectl_complete-dittofs"] {
        let link = folder.join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dittofs-operator"), link).expect("a link");
    }
    folder
}

/// What kubectl offers for the last of these words: candidates with their meanings, and the directive.
async fn offered(world: &World, folder: &Folder, kubeconfig: &Path, words: &[&str]) -> Vec<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut kubectl = world.control_plane().kubectl();
    kubectl
        .env("PATH", format!("{}:{path}", folder.0.display()))
        .env("KUBECONFIG", kubeconfig)
        .args(["__complete", "dittofs"])
        .args(words);
    let output = run(kubectl).await;
    assert_eq!(output.code, Some(0), "{}", output.error);
    // These texts are kubectl's own.
    let ours = output
        .error
        .lines()
        .find(|line| !line.starts_with("[Debug] ") && !line.starts_with("Completion ended "));
    assert_eq!(ours, None, "it is silent");
    output.text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn kubectl_completes_commands_flags_values_and_names_of_servers() {
    let world = World::without_operator("completion").await;
    world.create(&fixtures::minimal("files")).await;
    world.create(&fixtures::minimal("photos")).await;
    let folder = installed(&world);
    let kubeconfig = world.control_plane().kubeconfig();
    let namespace = world.namespace.as_str();
    for (words, wanted) in [
        (
            vec!["sta"],
            vec![
                "status\tShow servers with their children, conditions and events",
                ":4",
            ],
        ),
        (vec!["status", "-n", namespace, ""], vec!["files", "photos", ":4"]),
        (vec!["-n", namespace, "report", "ph"], vec!["photos", ":4"]),
        (
            vec!["status", "--output", "js"],
            vec![
                "json\tFor programs: an object if a name is given, otherwise a list",
                ":4",
            ],
        ),
        (
            vec!["status", "--output=ya"],
            vec!["yaml\tThe same as `json`, in YAML", ":4"],
        ),
        (
            vec!["status", "-n", &namespace[..namespace.len() - 1]],
            vec![namespace, ":4"],
        ),
        (vec!["diff", "-f", ""], vec![":0"]),
        (
            vec!["diff", "--percona"],
            vec![
                "--percona-registry\tRegistry and path that replace `docker.io/percona` in the default database images. Use the same value as the operator",
                ":4",
            ],
        ),
    ] {
        let deadline = Instant::now() + wait::LONGEST;
        loop {
            let mut offered = offered(&world, &folder, &kubeconfig, &words).await;
            if words.len() == 3 && words[1] == "-n" {
                offered.retain(|name| name == namespace || name.starts_with(':'));
            }
            if offered == wanted {
                break;
            }
            // A slow cluster gives no names: completion does not wait.
            let is_late = offered == [":4"] && Instant::now() < deadline;
            assert!(is_late, "{words:?}: {offered:?} and not {wanted:?}");
        }
    }
}

#[tokio::test]
async fn without_a_cluster_or_the_right_to_list_servers_completion_offers_no_names_and_no_error() {
    let world = World::without_operator("completion").await;
    world.create(&fixtures::minimal("files")).await;
    let folder = installed(&world);
    let nobody = LimitedUser::new(&world, json!([])).await;
    let words = ["status", "-n", &world.namespace, ""];
    for kubeconfig in [
        nobody.kubeconfig.as_path(),
        std::path::Path::new("/nonexistent/config"),
    ] {
        let offered = offered(&world, &folder, kubeconfig, &words).await;
        assert_eq!(offered, [":4"], "{}", kubeconfig.display());
    }
}

#[tokio::test]
async fn completion_does_not_wait_for_a_cluster_that_does_not_answer() {
    let world = World::without_operator("completion").await;
    let folder = installed(&world);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let text = std::fs::read_to_string(world.control_plane().kubeconfig()).expect("a kubeconfig");
    let mut config: Value = serde_yaml::from_str(&text).expect("YAML");
    let address = silent.local_addr().expect("an address");
    config["clusters"][0]["cluster"]["server"] = json!(format!("https://{address}"));
    let kubeconfig = folder.join("config");
    std::fs::write(&kubeconfig, config.to_string()).expect("a file");
    let since = Instant::now();
    let offered = offered(&world, &folder, &kubeconfig, &["status", ""]).await;
    assert_eq!(offered, [":4"]);
    // Any other call of the plugin would time out after fifteen seconds.
    assert!(since.elapsed() < Duration::from_secs(12), "{:?}", since.elapsed());
}
