//! Settings that a person changes on the server, although the spec declares them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dittofs_operator::api::{AdapterRestartStatus, IdentityProviderStatus};
use dittofs_operator::domain::secrets::Confidential;
use dittofs_operator::domain::server_api::Target;
use dittofs_operator::domain::server_settings::providers::{KERBEROS, LDAP, Provider};
use dittofs_operator::domain::server_settings::{Declared, Policy};
use dittofs_operator::server::client::Client;
use dittofs_operator::server::poller::{Pace, Poller};
use dittofs_operator::server::settings;
use http::Method;
use serde_json::{Value, json};
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
            known_restarts: vec![AdapterRestartStatus {
                adapter: "nfs".into(),
                required: true,
                message: Some(
                    "the portmapper and UDP of NFS are switched on at the next start of the adapter".into(),
                ),
                ..AdapterRestartStatus::default()
            }],
            ..Declared::default()
        },
        exposed: ["nfs", "smb"].map(str::to_owned).into(),
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    wait::holds(what, wait::LONGEST, POLL, async || holds()).await;
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
    until("known", || poller.report(&0, "server").settings.is_some()).await;
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

fn provider(kind: &'static str, fields: Value) -> Provider {
    Provider {
        kind,
        fields,
        secret: None,
        secret_path: &[],
        known: Some(IdentityProviderStatus {
            r#type: kind.to_owned(),
            ..IdentityProviderStatus::default()
        }),
        is_declared: true,
        is_outdated: false,
    }
}

/// A field of an identity provider on the server.
fn field(name: &str, kind: &str, field: &str) -> Value {
    server_double::with(NAMESPACE, name, |database| {
        database
            .providers
            .get(kind)
            .map_or(Value::Null, |provider| provider[field].clone())
    })
}

fn set_field(name: &str, kind: &str, field: &str, value: &str) {
    server_double::with(NAMESPACE, name, |database| {
        let provider = database.providers.get_mut(kind).expect("it is configured");
        provider[field] = json!(value);
    });
}

#[tokio::test]
async fn fields_of_ldap_and_kerberos_that_a_person_changes_on_the_server_are_put_back_and_named() {
    const NAME: &str = "providers";
    let stop = CancellationToken::new();
    let pace = Pace {
        compare_every: Duration::from_millis(100),
        ..Pace::default()
    };
    let poller = Poller::start(pace, |_: usize| {}, stop.clone());
    let mut target = target(NAME);
    target.declared.providers = vec![
        provider(
            LDAP,
            json!({"enabled": true, "base_dn": "dc=x", "tls": {"insecure_skip_verify": false}}),
        ),
        provider(
            KERBEROS,
            json!({"enabled": true, "service_principal": "nfs/files@X.ORG", "realm": "X.ORG"}),
        ),
    ];
    poller.watch(0, Some(target));
    let correction = || {
        let settings = poller.report(&0, "server").settings.clone();
        settings.and_then(|settings| settings.correction)
    };
    until("applied", || field(NAME, KERBEROS, "realm") == "X.ORG").await;
    until("compared again", || counted(NAME).0 >= 3).await;
    assert_eq!(correction(), None, "what the spec brings is no correction");
    for (kind, name, value, declared) in [
        (LDAP, "base_dn", "dc=other", "dc=x"),
        (KERBEROS, "realm", "OTHER.ORG", "X.ORG"),
    ] {
        set_field(NAME, kind, name, value);
        until("put back", || field(NAME, kind, name) == declared).await;
        let named = format!("{kind} ({name})");
        until("named", || {
            correction().is_some_and(|correction| correction.settings == [named.clone()])
        })
        .await;
        until("compared again", || correction().is_none()).await;
    }
    stop.cancel();
}

#[tokio::test]
async fn a_provider_that_left_the_spec_is_switched_off_and_then_no_concern_of_the_operator() {
    const NAME: &str = "left";
    server_double::with(NAMESPACE, NAME, |database| {
        database
            .providers
            .insert(LDAP.into(), json!({"enabled": true, "base_dn": "dc=x"}));
    });
    let client = Client::new(None).expect("a client");
    let mut target = target(NAME);
    target.declared.providers = vec![Provider {
        is_declared: false,
        ..provider(LDAP, json!({"enabled": false}))
    }];
    let outcome = settings::apply(&client, &target, &target.declared).await;
    assert_eq!(outcome.providers, [], "the status forgets it");
    assert_eq!(field(NAME, LDAP, "enabled"), false);
    assert_eq!(field(NAME, LDAP, "base_dn"), "dc=x", "the rest stays");
}

#[tokio::test]
async fn a_server_that_does_not_answer_ends_the_step_at_its_first_silence() {
    const NAME: &str = "silent";
    let client = Client::new(None).expect("a client");
    let mut target = target(NAME);
    let policy = target.declared.policies[SHARE].clone();
    let shares = (0..20).map(|number| (format!("/share-{number}"), policy.clone()));
    target.declared.policies = shares.collect();
    target.declared.made = target.declared.policies.keys().cloned().collect();
    target.declared.providers = vec![provider(LDAP, json!({"enabled": true}))];
    server_double::with(NAMESPACE, NAME, |database| {
        database.silent = vec!["shares/".into()];
    });
    let outcome = settings::apply(&client, &target, &target.declared).await;
    let paths: Vec<String> = server_double::calls(NAMESPACE, NAME)
        .into_iter()
        .map(|call| call.path)
        .collect();
    let silent = paths
        .iter()
        .filter(|path| path.ends_with("/snapshot-policy"))
        .count();
    assert_eq!(silent, 1, "{paths:?}");
    assert!(
        paths
            .last()
            .is_some_and(|last| last.ends_with("/snapshot-policy")),
        "{paths:?}"
    );
    assert_eq!(outcome.policies.len(), 20);
    for policy in &outcome.policies {
        let message = policy.message.as_deref().unwrap_or_default();
        assert!(
            !policy.applied && message.contains("did not answer within 10 s"),
            "{policy:?}"
        );
    }
    assert!(
        !outcome.is_complete() && outcome.providers[0].applied,
        "what came before is done"
    );
}

#[tokio::test]
async fn nothing_is_made_on_a_server_before_the_status_says_so() {
    const NAME: &str = "announced";
    let client = Client::new(None).expect("a client");
    let mut target = target(NAME);
    target.declared.made.clear();
    target.declared.providers = vec![Provider {
        known: None,
        ..provider(LDAP, json!({"enabled": true}))
    }];
    let announced = std::mem::take(&mut target.declared.known_restarts);
    let outcome = settings::apply(&client, &target, &target.declared).await;
    assert_eq!(counted(NAME).1, 0, "nothing is written");
    assert!(!outcome.is_complete());
    assert!(outcome.policies[0].made && !outcome.policies[0].applied);
    assert!(!outcome.providers[0].applied);
    assert_eq!(outcome.restarts, announced);
    target.declared.made.insert(SHARE.into());
    target.declared.providers[0].known = Some(outcome.providers[0].clone());
    target.declared.known_restarts = outcome.restarts;
    let outcome = settings::apply(&client, &target, &target.declared).await;
    assert_eq!(counted(NAME).1, 3);
    assert!(outcome.is_complete());
}

#[tokio::test]
async fn what_a_person_changed_on_the_server_is_named_also_if_its_write_is_announced_first() {
    const NAME: &str = "changed";
    let client = Client::new(None).expect("a client");
    let mut target = target(NAME);
    target.declared.made.clear();
    target.declared.known_restarts.clear();
    target.declared.is_unchanged = true;
    let outcome = settings::apply(&client, &target, &target.declared).await;
    assert_eq!(counted(NAME).1, 0, "nothing is written");
    let correction = outcome.correction.expect("it is named");
    let named = ["the portmapper and UDP of NFS", "the snapshot policy of /archive"];
    assert_eq!(correction.settings, named);
}

#[tokio::test]
async fn a_policy_that_is_gone_when_it_is_removed_is_no_failure() {
    const NAME: &str = "gone";
    let client = Client::new(None).expect("a client");
    let mut target = target(NAME);
    target.declared.policies.clear();
    server_double::with(NAMESPACE, NAME, |database| {
        database
            .policies
            .insert(SHARE.into(), json!({"interval": "24h0m0s"}));
        database.missing = vec!["shares/".into()];
    });
    let outcome = settings::apply(&client, &target, &target.declared).await;
    assert_eq!(outcome.policies, []);
}
