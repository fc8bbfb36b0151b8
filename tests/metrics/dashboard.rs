//! The dashboard's own queries, run by Prometheus's engine on scrapes of a running operator.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{condition_is, new_folder, scraped};
use crate::support::process::{Process, free_address};
use crate::support::{World, fixtures};

/// Pause between two scrapes. Prometheus waits longer. A panel with a rate needs two scrapes.
const INTERVAL: Duration = Duration::from_millis(500);
/// The variable by which `tests/monitoring/dashboard_test.go` finds the scrapes.
const FOLDER: &str = "DASHBOARD_SCRAPES";

/// A pod of the operator, and where its scrapes are kept.
struct Pod {
    operator: Process,
    metrics: SocketAddr,
    folder: PathBuf,
}

impl Pod {
    /// Starts the pod of this number. It watches the namespaces of both worlds.
    async fn start(world: &World, other: &World, folder: &Path, number: u8) -> Self {
        let metrics = free_address();
        let bind = format!("--metrics-bind-address={metrics}");
        let elected = ["--leader-elect", "--leader-election-namespace", &world.namespace];
        let watched = [
            "--watch-namespace",
            &other.namespace,
            "--metrics-secure=false",
            &bind,
        ];
        let folder = folder.join(number.to_string());
        std::fs::create_dir_all(&folder).expect("a folder");
        Self {
            operator: Process::start(world, &[elected.as_slice(), &watched].concat()).await,
            metrics,
            folder,
        }
    }

    /// Scrapes and stores each text under its time, until `holds`.
    async fn record_until(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let keep = |text: &str| {
            let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let file = format!("{}.txt", Timestamp::now().as_millisecond());
            std::fs::write(self.folder.join(file), body).expect("a scrape is kept");
            holds(text)
        };
        scraped(&self.operator, self.metrics, what, INTERVAL, keep).await;
    }
}

#[tokio::test]
async fn every_panel_of_the_dashboard_shows_something_of_a_running_operator() {
    let world = World::without_operator("dashboard").await;
    let other = World::without_operator("dashboardother").await;
    let folder = &new_folder("dashboard");
    let leader = Pod::start(&world, &other, folder, 0).await;
    leader
        .record_until("that it leads", |text| {
            text.contains("dittofs_operator_leader 1\n")
        })
        .await;
    let standby = Pod::start(&world, &other, folder, 1).await;
    let stands_by = |text: &str| text.contains("dittofs_operator_leader 0\n");
    standby.record_until("that it stands by", stands_by).await;

    world.create(&fixtures::minimal("files")).await;
    other.create(&fixtures::minimal("files")).await;
    let mut waiting = fixtures::minimal("waiting");
    waiting.spec.identity =
        serde_json::from_value(json!({"jwt": {"secretRef": {"name": "missing", "key": "key"}}}))
            .expect("an identity");
    world.create(&waiting).await;
    for series in [
        condition_is(&world, "files", "Ready", 1),
        condition_is(&other, "files", "Ready", 1),
        condition_is(&world, "waiting", "ConfigReady", 0),
    ] {
        leader.record_until(&series, |text| text.contains(&series)).await;
    }
    standby.record_until("the same again", stands_by).await;

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
