//! The real server starts with the rendered configuration, as the pod that the operator renders runs it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use local_control_plane::postgres::Postgres;
use serde_json::{Value, json};

use super::combinations::{self, Combination};
use super::secrets::{Values, keytab};
use crate::files::polled;
use crate::files::tls::Authority;
use crate::support::{World, fixtures, real, wait};

/// Number of servers that start at the same time.
const TOGETHER: usize = 4;

/// Warnings and errors of a server that starts which say nothing of its configuration.
const ACCEPTED: [(&str, &str); 5] = [
    (
        "Some deduced values hit minimum floors",
        "this machine has few cores or little memory",
    ),
    (
        "Admin user created with a generated password",
        "0.29.0 says this also of a password that it was given",
    ),
    (
        "address already in use",
        "servers on one machine share its ports; the pod runner then moves an adapter",
    ),
    (
        "keytab-based credentials are not yet supported",
        "0.29.0 does not use the keytab of a machine account; the reference says so",
    ),
    ("insecure_skip_verify", "one combination asks for it"),
];

/// What became of a server.
struct Outcome {
    name: String,
    /// The type of its database.
    database: String,
    /// From its first line to the one that says that the API listens. `None` for a log without parts of seconds.
    time: Option<Duration>,
    /// What is wrong: it has not started, or its log has more than `ACCEPTED`.
    objections: Vec<String>,
}

/// The same with short intervals of probes, and without the sleep before the end.
fn hurried(mut set: StatefulSet) -> StatefulSet {
    let pod = set.spec.as_mut().and_then(|set| set.template.spec.as_mut());
    let container = &mut pod.expect("a pod template").containers[0];
    container.lifecycle = None;
    let probes = [
        &mut container.startup_probe,
        &mut container.readiness_probe,
        &mut container.liveness_probe,
    ];
    for probe in probes.into_iter().flatten() {
        probe.initial_delay_seconds = None;
        probe.period_seconds = Some(1);
    }
    set
}

/// Whether the pod's container is ready, or has ended.
fn is_over(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses
        .into_iter()
        .any(|status| status.ready || status.restart_count > 0)
}

async fn start(world: &World, values: &Values, combination: &Combination) -> Outcome {
    let name = &combination.name;
    for secret in values.secrets(combination) {
        world.create(&secret).await;
    }
    world.create(&combination.config).await;
    world.create(&hurried(combination.set.clone())).await;
    let pod = wait::until(
        world.api::<Pod>(),
        &format!("{name}-0"),
        "ready or ended",
        is_over,
    )
    .await;
    world.delete::<StatefulSet>(name).await;
    wait::until_gone(world.api::<Pod>(), &format!("{name}-0"), pod.metadata.uid.clone()).await;
    let log = std::fs::read_to_string(log(world, name)).expect("a log");
    let mut objections: Vec<String> = log
        .lines()
        .filter(|line| is_objection(line))
        .map(str::to_owned)
        .collect();
    for line in ["API server listening", "Server stopped gracefully"] {
        if !log.contains(line) {
            objections.push(format!("its log lacks {line:?}"));
        }
    }
    Outcome {
        name: name.clone(),
        database: database(combination),
        time: start_time(&log),
        objections,
    }
}

/// The log of the first process of a server.
fn log(world: &World, name: &str) -> PathBuf {
    let logs = world.control_plane().pod_logs(&world.namespace);
    let prefix = format!("{}_{name}-0_", world.namespace);
    let mut logs = logs.into_iter().filter(|log| {
        let file = log.file_name().map(|file| file.to_string_lossy().into_owned());
        file.is_some_and(|file| file.starts_with(&prefix))
    });
    logs.next().expect("a log")
}

/// Whether a line of a log is a warning or an error that is not accepted. What is written before the log is set up has no level: there the
/// server says that it does not know a key.
fn is_objection(line: &str) -> bool {
    let has_no_level = !line.starts_with('{') && !line.starts_with('[') && !line.starts_with("DittoFS - ");
    let marks = [r#""level":"WARN""#, r#""level":"ERROR""#, "[WARN]", "[ERROR]"];
    let is_warning = marks.iter().any(|mark| line.contains(mark));
    let is_accepted = ACCEPTED.iter().any(|(text, _)| line.contains(text));
    (has_no_level || is_warning) && !is_accepted && !line.is_empty()
}

fn start_time(log: &str) -> Option<Duration> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.collect();
    let time = |line: &Value| line["time"].as_str()?.parse::<Timestamp>().ok();
    let listens = lines.iter().find(|line| line["msg"] == "API server listening");
    time(listens?)?
        .duration_since(time(lines.first()?)?)
        .try_into()
        .ok()
}

fn database(combination: &Combination) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let config: Value = serde_yaml::from_str(combination.text()).expect("YAML");
    text(&config["database"]["type"]).expect("a type")
}

/// Starts and stops each of the servers, a few at a time. Without PostgreSQL on this machine those that need it are left out, with a
/// message.
async fn outcomes(mut combinations: Vec<Combination>) -> Vec<Outcome> {
    let on_postgres = |combination: &Combination| database(combination) == "postgres";
    let databases = combinations
        .iter()
        .filter(|one| on_postgres(one))
        .map(|one| one.name.clone());
    let postgres = Postgres::start(databases.collect())
        .await
        .expect("PostgreSQL starts");
    if postgres.is_none() {
        let before = combinations.len();
        combinations.retain(|combination| !on_postgres(combination));
        let said = format!(
            "\nNOT RUN: {} configurations with PostgreSQL. This machine has no initdb and postgres.",
            before - combinations.len()
        );
        writeln!(std::io::stderr(), "{said}").expect("a message");
    }
    let values = Values {
        postgres,
        authority: Authority::new(),
    };
    real::runner().await;
    let world = World::without_operator("starts").await;
    let starts = combinations
        .iter()
        .map(|combination| start(&world, &values, combination));
    let starts: Vec<_> = starts.collect();
    futures::stream::iter(starts)
        .buffer_unordered(TOGETHER)
        .collect()
        .await
}

/// Panics with the objections, by the texts of those that several servers have.
fn check(outcomes: &[Outcome]) {
    let mut objections = BTreeMap::<&str, Vec<&str>>::new();
    for outcome in outcomes {
        for objection in &outcome.objections {
            objections.entry(objection).or_default().push(&outcome.name);
        }
    }
    assert!(objections.is_empty(), "{objections:#?}");
}

fn table(outcomes: &[Outcome]) -> String {
    let mut lines = vec!["database   configurations   started   median start".to_owned()];
    for database in ["sqlite", "postgres"] {
        let of: Vec<&Outcome> = outcomes
            .iter()
            .filter(|outcome| outcome.database == database)
            .collect();
        let started = of.iter().filter(|outcome| outcome.objections.is_empty()).count();
        let mut times: Vec<Duration> = of.iter().filter_map(|outcome| outcome.time).collect();
        times.sort();
        let median = times.get(times.len() / 2).map_or(0, Duration::as_millis);
        lines.push(format!(
            "{database:8}   {:14}   {started:7}   {median} ms",
            of.len()
        ));
    }
    lines.join("\n")
}

#[tokio::test]
async fn the_server_starts_with_each_choice_of_each_block_without_a_warning_of_its_configuration() {
    let outcomes = outcomes(combinations::sample()).await;
    println!("{}", table(&outcomes));
    check(&outcomes);
}

#[tokio::test]
#[ignore = "it takes several minutes"]
async fn the_server_starts_with_every_combination_of_blocks_without_a_warning_of_its_configuration() {
    let outcomes = outcomes(combinations::all()).await;
    println!("{}", table(&outcomes));
    check(&outcomes);
}

#[test]
fn a_warning_and_a_line_without_a_level_are_objections_unless_they_are_accepted() {
    let cases = [
        ("DittoFS - A modular virtual filesystem", false),
        ("WARNING: config contains unknown keys (ignored): k", true),
        (
            r#"{"time":"2026-11-27T03:40:25Z","level":"INFO","msg":"Log level"}"#,
            false,
        ),
        (
            r#"{"time":"2026-11-27T03:40:25Z","level":"WARN","msg":"config is odd"}"#,
            true,
        ),
        ("[2026-11-27 03:42:16] [DEBUG] SMB signing configuration", false),
        ("[2026-11-27 03:42:16] [ERROR] Server error", true),
        (
            "[2026-11-27 03:42:16] [WARN] Some deduced values hit minimum floors",
            false,
        ),
    ];
    for (line, is) in cases {
        assert_eq!(is_objection(line), is, "{line}");
    }
}

#[tokio::test]
async fn a_server_with_kerberos_and_without_a_krb5_conf_ends_and_the_condition_says_why() {
    if Path::new("/etc/krb5.conf").exists() {
        let said = "\nNOT RUN: the test of a server without krb5.conf. This machine has /etc/krb5.conf, which the image does not have.";
        writeln!(std::io::stderr(), "{said}").expect("a message");
        return;
    }
    let world = World::of_real_server("kerberos").await;
    let mut secret = fixtures::secret("kerberos", &[]);
    secret.data = Some(BTreeMap::from([("k".to_owned(), ByteString(keytab()))]));
    world.create(&secret).await;
    let kerberos = json!({
        "enabled": true, "servicePrincipal": "nfs/h@EXAMPLE.COM", "keytabSecretRef": {"name": "kerberos", "key": "k"},
    });
    world
        .create(&polled(json!({"identity": {"kerberos": kerberos}})))
        .await;
    world
        .server_until("files", "not Ready because of krb5.conf", |server| {
            wait::condition(server, "Progressing").is_some_and(|of| of.message.contains("load krb5.conf"))
        })
        .await;
}
