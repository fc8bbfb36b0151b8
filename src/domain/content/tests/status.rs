//! What the status says of users, groups, stores and shares.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{SPEC, observed};
use crate::api::{DittoServer, DittoServerStatus, ShareStatus, UserStatus};
use crate::domain::content::announced::has_announced;
use crate::domain::content::shares::CLIENTS;
use crate::domain::content::state::State;
use crate::domain::content::status::{self, ContentStatus, pending};
use crate::domain::content::{Content, WAITING, digest};
use crate::domain::observed::Observed;
use crate::domain::status::changed;
use crate::domain::testing;

/// The states for a server that has no pod if its spec wants none.
fn states(server: &DittoServer, found: Option<&ContentStatus>) -> ContentStatus {
    status::states(server, found, true)
}

fn with_status(spec: &str, status: DittoServerStatus) -> DittoServer {
    let mut server = testing::server(spec);
    server.status = Some(status);
    server
}

#[test]
fn what_one_of_them_has_is_announced_for_another_one_all_the_same() {
    let user = |name: &str, groups: &[&str]| UserStatus {
        groups: groups.iter().map(ToString::to_string).collect(),
        ..UserStatus::new(name)
    };
    let share = |name: &str, grants: &[&str]| ShareStatus {
        grants: grants.iter().map(ToString::to_string).collect(),
        ..ShareStatus::new(name)
    };
    let status = |second: &[&str]| DittoServerStatus {
        users: vec![user("alice", &["staff"]), user("bob", second)],
        ..DittoServerStatus::default()
    };
    assert!(has_announced(&status(&[]), &status(&["staff"])));
    assert!(!has_announced(&status(&["staff"]), &status(&[])));
    let status = |second: &[&str]| DittoServerStatus {
        shares: vec![share("export", &["user/alice"]), share("media", second)],
        ..DittoServerStatus::default()
    };
    assert!(has_announced(&status(&[]), &status(&["user/alice"])));
}

#[test]
fn what_the_status_names_for_the_first_time_is_a_reason_to_ask_the_server_again() {
    let server = testing::server(SPEC);
    let mut found = states(&server, None);
    assert_eq!(found.shares[0].reason.as_deref(), Some(WAITING));
    assert_eq!(found.ready_shares().as_deref(), Some("0/1"));
    found.shares[0].grants = vec![CLIENTS.into(), "user/alice".into()];
    let after = DittoServerStatus {
        shares: states(&server, Some(&found)).shares,
        ..DittoServerStatus::default()
    };
    assert!(has_announced(&DittoServerStatus::default(), &after));
    assert!(!has_announced(&after, &after));
    let mut waiting = after.clone();
    waiting.shares[0].server_started = Some(Time(Timestamp::UNIX_EPOCH));
    assert!(has_announced(&after, &waiting), "a change that is used later");
    assert!(!has_announced(&waiting, &after), "another process runs");
    let content = Content::of(&Observed {
        server: Arc::new(with_status(SPEC, after)),
        ..observed(SPEC)
    });
    assert!(
        content.unwrap().known.shares[0]
            .grants
            .contains(&"user/alice".to_owned())
    );
}

fn ready(spec: &str) -> ContentStatus {
    let server = testing::server(spec);
    let mut found = states(&server, None);
    for share in &mut found.shares {
        let spec = server.spec.shares.iter().find(|spec| spec.name == share.name);
        share.ready = true;
        share.reason = None;
        share.message = None;
        share.applied = spec.map(digest);
    }
    found.users.iter_mut().for_each(|user| {
        user.ready = true;
        user.applied = server.spec.users.first().map(digest);
    });
    found.groups.iter_mut().for_each(|group| {
        group.ready = true;
        group.applied = server.spec.groups.first().map(digest);
    });
    found.remote_stores.iter_mut().for_each(|store| {
        store.ready = true;
        store.applied = server.spec.remote_stores.first().map(digest);
    });
    found
}

#[test]
fn the_server_is_behind_until_it_has_the_last_change_of_the_spec() {
    let found = ready(SPEC);
    let server = testing::server(SPEC);
    assert_eq!(pending(&server.spec, &states(&server, Some(&found))), None);
    let edited = testing::server(&SPEC.replace("10Gi", "20Gi"));
    let message = pending(&edited.spec, &states(&edited, Some(&found))).unwrap();
    assert!(message.contains("share export"), "{message}");
    assert_eq!(
        states(&edited, Some(&found)).ready_shares().as_deref(),
        Some("1/1"),
        "it is still mounted"
    );
}

#[test]
fn what_left_the_spec_is_listed_until_it_is_gone_from_the_server() {
    let found = ready(SPEC);
    let server = testing::server("storage: {metadataSize: 1Gi, contentSize: 1Gi}");
    let left = states(&server, Some(&found));
    assert!(!left.shares[0].declared && left.shares[0].ready);
    let message = left.shares[0].message.as_deref().unwrap();
    assert!(message.contains("dfsctl share remove /export"), "{message}");
    assert_eq!((left.ready_shares(), pending(&server.spec, &left)), (None, None));
    let gone = states(&server, Some(&ContentStatus::default()));
    assert!(gone.shares.is_empty());
    let again = states(&testing::server(SPEC), Some(&left));
    assert_eq!(again.shares[0].reason.as_deref(), Some(WAITING));
}

#[test]
fn the_shares_of_a_stopped_server_are_not_ready_and_nothing_is_pending_for_them() {
    let stopped = testing::server(&format!("{SPEC}\nreplicas: 0"));
    let found = states(&stopped, Some(&ready(SPEC)));
    assert_eq!(found.ready_shares().as_deref(), Some("0/1"));
    assert_eq!(found.shares[0].reason.as_deref(), Some("Stopped"));
    assert_eq!(stopped.name_any(), "files");
    let stopping = status::states(&stopped, Some(&ready(SPEC)), false);
    assert_eq!(stopping.ready_shares().as_deref(), Some("1/1"), "it still serves");
}

#[test]
fn a_status_that_was_written_is_not_written_again() {
    let server = testing::server(SPEC);
    let first = states(&server, Some(&ready(SPEC)));
    let stored = DittoServerStatus {
        shares: first.shares.clone(),
        users: first.users.clone(),
        groups: first.groups.clone(),
        remote_stores: first.remote_stores.clone(),
        ..DittoServerStatus::default()
    };
    let again = states(&with_status(SPEC, stored.clone()), None);
    assert_eq!(again, first);
    let share = ShareStatus::default();
    assert!(!changed(&stored, &stored) && !share.ready);
}
