//! The rendered configuration, as the real server reads it.

mod combinations;
mod secrets;
mod starts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use local_control_plane::binaries::{self, Progress};

use self::combinations::Combination;

/// The variables of the server, with a value for each Secret.
fn variables(combination: &Combination) -> BTreeMap<String, String> {
    let variables = combination.container().env.iter().flatten().cloned();
    variables
        .map(|variable| {
            // A number is right for a port, and long enough for a key.
            let secret = if variable.name.ends_with("_PORT") {
                "5432"
            } else {
                "0123456789abcdef0123456789abcdef"
            };
            (variable.name, variable.value.unwrap_or_else(|| secret.to_owned()))
        })
        .collect()
}

/// What the server says of a configuration. Nothing if it has no objection.
fn objection(dfs: &Path, config: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config-of-a-combination.yaml");
    std::fs::write(&file, config).expect("a file");
    let output = Command::new(dfs)
        .args(["config", "validate", "--config"])
        .arg(file)
        .env_clear()
        .envs(variables)
        .stdin(Stdio::null())
        .output()
        .expect("the server runs");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let is_accepted =
        output.status.success() && stderr.trim().is_empty() && stdout.contains("Validation: OK\n");
    (!is_accepted).then(|| format!("{stdout}{stderr}"))
}

async fn dfs() -> PathBuf {
    let build = tokio::task::spawn_blocking(|| binaries::dfs(&Progress::stderr()));
    build.await.expect("no panic").expect("the server is built")
}

#[tokio::test]
async fn the_server_reads_every_combination_of_blocks_without_a_warning() {
    let dfs = dfs().await;
    let combinations = combinations::all();
    let blocks = |combination: &Combination| combination.spec.as_object().map_or(0, serde_json::Map::len);
    assert!(
        combinations.iter().any(|combination| blocks(combination) >= 7),
        "the blocks are combined"
    );
    for combination in &combinations {
        let text = combination.text();
        if let Some(objection) = objection(&dfs, text, &variables(combination)) {
            panic!("{objection}\nof {:#}\n{text}", combination.spec);
        }
    }
    // The check itself: the server does warn of a key that it does not know.
    let unknown = format!("{}unknown_key: 1\n", combinations[0].text());
    let objection = objection(&dfs, &unknown, &variables(&combinations[0])).expect("a warning");
    assert!(objection.contains("unknown_key"), "{objection}");
}
