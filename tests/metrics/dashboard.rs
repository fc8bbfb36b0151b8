//! The dashboard's own queries, run by Prometheus's engine on scrapes of a running operator.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{condition_is, new_folder, scraped};
use crate::support::process::{Process, free_address};
use crate::support::{World, fixtures};

/// Pause between two scrapes. Prometheus takes more; a panel with a rate needs two.
const INTERVAL: Duration = Duration::from_millis(500);
/// The variable by which `tests/monitoring/dashboard_test.go` finds the scrapes.
const FOLDER: &str = "DASHBOARD_SCRAPES";

/// Takes a scrape and stores its text under its time, until `holds`.
async fn record_until(
    operator: &Process,
    metrics: std::net::SocketAddr,
    folder: &Path,
    what: &str,
    holds: impl Fn(&str) -> bool,
) {
    let keep = |text: &str| {
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let file = folder.join(format!("{}.txt", Timestamp::now().as_millisecond()));
        std::fs::write(file, body).expect("a scrape is kept");
        holds(text)
    };
    scraped(operator, metrics, what, INTERVAL, keep).await;
}

#[tokio::test]
async fn every_panel_of_the_dashboard_shows_something_of_a_running_operator() {
    let world = World::without_operator("dashboard").await;
    let metrics = free_address();
    let bind = format!("--metrics-bind-address={metrics}");
    let elected = ["--leader-elect", "--leader-election-namespace", &world.namespace];
    let operator = Process::start(
        &world,
        &[&elected[..], &["--metrics-secure=false", &bind]].concat(),
    )
    .await;
    let folder = &new_folder("dashboard");
    let leads = |text: &str| text.contains("dittofs_operator_leader 1\n");
    record_until(&operator, metrics, folder, "that it leads", leads).await;

    world.create(&fixtures::minimal("files")).await;
    let mut waiting = fixtures::minimal("waiting");
    waiting.spec.identity =
        serde_json::from_value(json!({"jwt": {"secretRef": {"name": "missing", "key": "key"}}}))
            .expect("an identity");
    world.create(&waiting).await;
    let ready = condition_is(&world, "files", "Ready", 1);
    record_until(&operator, metrics, folder, "Ready", |text| text.contains(&ready)).await;
    let blocked = condition_is(&world, "waiting", "ConfigReady", 0);
    record_until(&operator, metrics, folder, "what is missing", |text| {
        text.contains(&blocked)
    })
    .await;

    let output = Command::new("go")
        .args(["test", "-count=1", "-v", "-run", "TestEveryPanel", "."])
        .current_dir(format!("{}/tests/monitoring", env!("CARGO_MANIFEST_DIR")))
        .env(FOLDER, folder)
        .output()
        .expect("Go runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("--- PASS"), "{said}");
    // `--nocapture` shows what each panel showed.
    println!("{said}");
}
