//! Settings that a person changes on the server, although the spec declares them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dittofs_operator::domain::secrets::Confidential;
use dittofs_operator::domain::server_api::Target;
use dittofs_operator::domain::server_settings::{Declared, Policy};
use dittofs_operator::server::poller::{Pace, Poller};
use http::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::process::POLL;
use crate::support::{server_double, wait};

/// No namespace of the control plane: these tests need none.
const NAMESPACE: &str = "drift-on-server";
const SHARE: &str = "/archive";

fn target(name: &str) -> Target {
    let policy = Policy {
        interval: "@daily".into(),
        keep_last: 7,
        enabled: true,
        ..Policy::default()
    };
    let url = server_double::template()
        .replace("{namespace}", NAMESPACE)
        .replace("{name}", name);
    Target {
        server: "server".into(),
        pod: "pod".into(),
        started: None,
        ready_since: None,
        url,
        key: Confidential(Arc::from(&b"0123456789abcdef0123456789abcdef"[..])),
        trust: None,
        interval: Duration::from_millis(50),
        declared: Declared {
            policies: [(SHARE.to_owned(), policy)].into(),
            made: [SHARE.to_owned()].into(),
            nfs_v3_discovery: Some(true),
            ..Declared::default()
        },
        exposed: ["nfs", "smb"].map(str::to_owned).into(),
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + wait::LONGEST;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// The calls that read the policies, and those that write anything.
fn counted(name: &str) -> (usize, usize) {
    let calls = server_double::calls(NAMESPACE, name);
    let comparisons = calls.iter().filter(|call| call.path == "snapshot-policies");
    let writes = calls.iter().filter(|call| call.method != Method::GET);
    (comparisons.count(), writes.count())
}

fn is_as_declared(name: &str) -> bool {
    server_double::with(NAMESPACE, name, |database| {
        let policy = database.policies.get(SHARE);
        policy.is_some_and(|policy| policy["keep_last"] == 7) && database.nfs["udp_enabled"] == true
    })
}

#[tokio::test]
async fn what_a_person_changes_on_the_server_is_corrected_and_settings_that_agree_are_only_read() {
    const NAME: &str = "files";
    let reconciles = Arc::new(AtomicUsize::new(0));
    let (counter, stop) = (Arc::clone(&reconciles), CancellationToken::new());
    let changed = move |_: usize| {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let pace = Pace {
        compare_every: Duration::from_millis(100),
        ..Pace::default()
    };
    let poller = Poller::start(pace, changed, stop.clone());
    poller.watch(0, Some(target(NAME)));
    until("applied", || is_as_declared(NAME)).await;
    let settings = |poller: &Poller<usize>| poller.report(&0, "server").settings.clone();
    until("known", || settings(&poller).is_some()).await;
    // A reconcile passes on what the status holds.
    let mut known = target(NAME);
    known.declared.known_restarts = settings(&poller).unwrap_or_default().restarts;
    poller.watch(0, Some(known));

    let (compared, written) = counted(NAME);
    let news = reconciles.load(Ordering::Relaxed);
    until("compared again", || counted(NAME).0 >= compared + 3).await;
    assert_eq!(counted(NAME).1, written, "only reads");
    assert_eq!(reconciles.load(Ordering::Relaxed), news, "no reconcile");

    server_double::with(NAMESPACE, NAME, |database| {
        database
            .policies
            .insert(SHARE.into(), json!({"interval": "24h0m0s", "keep_last": 1}));
    });
    until("corrected", || is_as_declared(NAME)).await;
    server_double::with(NAMESPACE, NAME, |database| {
        database.policies.clear();
        database.nfs["udp_enabled"] = json!(false);
    });
    until("written again", || is_as_declared(NAME)).await;
    stop.cancel();
}
