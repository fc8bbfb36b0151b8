//! What it costs to ask many servers for their adapters. Measures and prints; run it with
//! `cargo test --release --test behaviours -- --ignored --nocapture load::`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use dittofs_operator::domain::secrets::Confidential;
use dittofs_operator::domain::server_api::Target;
use dittofs_operator::domain::server_settings::Declared;
use dittofs_operator::server::poller::{Pace, Poller};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::process::POLL;
use crate::support::server_double::defaults;

const SERVERS: usize = 2000;
/// The default of `spec.adapterDiscovery.pollingInterval`.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long a server needs for its answer.
const ANSWER: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Counts {
    calls: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
}

async fn adapters(State(counts): State<Arc<Counts>>) -> impl IntoResponse {
    counts.calls.fetch_add(1, Ordering::Relaxed);
    let running = counts.running.fetch_add(1, Ordering::Relaxed) + 1;
    counts.most.fetch_max(running, Ordering::Relaxed);
    tokio::time::sleep(ANSWER).await;
    counts.running.fetch_sub(1, Ordering::Relaxed);
    (
        [(header::CONTENT_TYPE, "application/json")],
        Value::from(defaults()).to_string(),
    )
}

/// All servers behind one address.
async fn servers(counts: Arc<Counts>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let routes = Router::new()
        .route("/{name}/api/v1/adapters", get(adapters))
        .with_state(counts);
    tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
    address
}

fn target(address: SocketAddr, server: usize) -> Target {
    Target {
        server: format!("server {server}"),
        pod: format!("pod of {server}"),
        started: None,
        ready_since: None,
        url: format!("http://{address}/s{server}"),
        key: Confidential(Arc::from(&b"0123456789abcdef0123456789abcdef"[..])),
        trust: None,
        interval: INTERVAL,
        declared: Declared::default(),
        exposed: ["nfs", "smb"].map(str::to_owned).into(),
    }
}

/// Resident memory of this process, in bytes.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or_default() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes two minutes and prints figures"]
async fn two_thousand_servers_are_asked_once_in_each_interval_and_cause_no_reconcile_at_rest() {
    let counts = Arc::new(Counts::default());
    let address = servers(Arc::clone(&counts)).await;
    let changes = Arc::new(AtomicUsize::new(0));
    let reported = Arc::clone(&changes);
    let stop = CancellationToken::new();
    let before = memory();
    let poller = Poller::start(
        Pace::default(),
        move |_: usize| {
            reported.fetch_add(1, Ordering::Relaxed);
        },
        stop.clone(),
    );
    for server in 0..SERVERS {
        poller.watch(server, Some(target(address, server)));
    }
    let learning = Instant::now();
    while poller.all().len() < SERVERS {
        assert!(learning.elapsed() < 3 * INTERVAL, "every server is asked");
        tokio::time::sleep(POLL).await;
    }
    // Two more answers, which confirm the first.
    tokio::time::sleep(2 * INTERVAL).await;
    let news = changes.swap(0, Ordering::Relaxed);
    let calls = counts.calls.swap(0, Ordering::Relaxed);
    let start = Instant::now();
    tokio::time::sleep(INTERVAL).await;
    let seconds = start.elapsed().as_secs();
    let at_rest = counts.calls.load(Ordering::Relaxed);
    let most = counts.most.load(Ordering::Relaxed);
    println!(
        "{SERVERS} servers: {at_rest} calls in {seconds} s at rest ({calls} before), at most {most} at the same time, {} bytes of memory a server, {news} reconciles while learning, {} at rest",
        memory().saturating_sub(before) / SERVERS,
        changes.load(Ordering::Relaxed)
    );
    assert_eq!(changes.load(Ordering::Relaxed), 0);
    assert!(most <= 16, "{most} calls at the same time");
    stop.cancel();
}
