//! What users read in the status of what a real server refuses, or of what the operator does not ask it for, because it would.

use dittofs_operator::api::DittoServer;
use dittofs_operator::domain::content::state::{State, find};
use http::Method;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::polled;
use super::shares::{PASSWORD, alice, export, password, ready_share, set, share};
use crate::support::real::RealServer;
use crate::support::s3::{self, Bucket, STORE};
use crate::support::{World, fixtures};

/// What is declared: its name, the reason, and parts of the message.
type Refusal<'a> = (&'a str, &'a str, &'a [&'a str]);

const GROUPS: [Refusal<'_>; 2] = [
    (
        "gid-of-hand",
        "Conflict",
        &[
            "gid 4101 belongs to group hand on the server",
            "choose another gid",
        ],
    ),
    (
        "gid-of-server",
        "Conflict",
        &["gid 1000 belongs to group users on the server"],
    ),
];

const USERS: [Refusal<'_>; 7] = [
    (
        "short",
        "SecretNotUsable",
        &["the password has 7 bytes", "accepts 8 to 72", "change the Secret"],
    ),
    ("long", "SecretNotUsable", &["the password has 73 bytes"]),
    ("binary", "SecretNotUsable", &["not UTF-8"]),
    (
        "no-key",
        "SecretNotUsable",
        &["Secret passwords has no key nothing", "add it"],
    ),
    (
        "no-secret",
        "SecretNotUsable",
        &["Secret nowhere does not exist", "create it"],
    ),
    (
        "uid-of-hand",
        "Conflict",
        &[
            "uid 4001 belongs to user hand on the server",
            "choose another uid",
        ],
    ),
    (
        "groupless",
        "DependencyNotReady",
        &["it waits for the group gid-of-hand"],
    ),
];

const STORES: [Refusal<'_>; 9] = [
    (
        "away",
        "Unhealthy",
        &[
            "does not reach the bucket",
            "Check endpoint, bucket and credentials",
        ],
    ),
    (
        "private",
        "Refused",
        &[
            "private/internal address 127.0.0.1",
            "set spec.remoteStores[].s3.allowPrivateEndpoint to true",
        ],
    ),
    (
        "metadata-service",
        "Refused",
        &[
            "link-local address 169.254.169.254",
            "Correct spec.remoteStores[].s3",
        ],
    ),
    (
        "no-host",
        "Refused",
        &["resolve host", "Correct spec.remoteStores[].s3"],
    ),
    ("no-bucket", "Unhealthy", &["does not reach the bucket"]),
    ("wrong-key", "Unhealthy", &["does not reach the bucket"]),
    (
        "no-keys",
        "SecretNotUsable",
        &["Secret passwords has no key accessKeyID", "add it"],
    ),
    ("no-secret", "SecretNotUsable", &["Secret nowhere does not exist"]),
    (
        "of-hand",
        "Conflict",
        &["with another bucket, where the blocks are", "choose another name"],
    ),
];

const SHARES: [Refusal<'_>; 11] = [
    (
        "of-other-number",
        "DependencyNotReady",
        &["it waits for its owner, the user other-number"],
    ),
    (
        "of-short",
        "DependencyNotReady",
        &["it waits for its owner, the user short"],
    ),
    (
        "over-away",
        "DependencyNotReady",
        &["it waits for the remote store away"],
    ),
    (
        "over-private",
        "DependencyNotReady",
        &["it waits for the remote store private"],
    ),
    (
        "of-hand",
        "Conflict",
        &["with another owner (root)", "declare a share of another name"],
    ),
    (
        "for-nobody",
        "Refused",
        &[
            "has no user nobody",
            "declare it in spec.users, or correct the name",
        ],
    ),
    (
        "for-no-group",
        "Refused",
        &[
            "has no group nobodies",
            "declare it in spec.groups, or correct the name",
        ],
    ),
    (
        "strange-clients",
        "Refused",
        &["does not accept client fd00::1::2", "invalid IP", "Correct it"],
    ),
    ("closed", "Refused", &["does not accept client fd00::1::2"]),
    (
        "netgroup-of-hand",
        "Conflict",
        &[
            "with netgroup by-hand, which a person made",
            "or remove spec.shares[].nfs.allowedClients",
        ],
    ),
    ("disabled", "Disabled", &["dfsctl share enable /disabled"]),
];

fn user(name: &str, uid: u32, secret: &str, key: &str) -> Value {
    json!({"name": name, "uid": uid, "passwordSecretRef": {"name": secret, "key": key}})
}

fn users() -> Value {
    let mut groupless = user("groupless", 4016, "passwords", "good");
    groupless["groups"] = json!(["gid-of-hand"]);
    json!([
        alice(),
        user("short", 4010, "passwords", "short"),
        user("long", 4011, "passwords", "long"),
        user("binary", 4012, "passwords", "binary"),
        user("no-key", 4013, "passwords", "nothing"),
        user("no-secret", 4014, "nowhere", "password"),
        user("uid-of-hand", 4001, "passwords", "good"),
        user("other-number", 4002, "passwords", "good"),
        off(user("off", 4017, "passwords", "good")),
        groupless,
    ])
}

fn off(mut user: Value) -> Value {
    user["enabled"] = json!(false);
    user
}

/// A store like that of the bucket, with another name, and with these fields instead.
fn store(bucket: &Bucket, name: &str, fields: Value) -> Value {
    let mut store = bucket.store();
    store["name"] = json!(name);
    if let (Some(s3), Value::Object(fields)) = (store["s3"].as_object_mut(), fields) {
        s3.extend(fields);
    }
    store
}

/// The first one does not answer: it must not hold up the last one.
fn stores(bucket: &Bucket) -> Value {
    let of_secret = |name: &str| json!({"credentialsSecretRef": {"name": name}});
    json!([
        store(bucket, "away", json!({"endpoint": "http://127.0.0.1:1"})),
        store(bucket, "private", json!({"allowPrivateEndpoint": false})),
        store(
            bucket,
            "metadata-service",
            json!({"endpoint": "http://169.254.169.254"})
        ),
        store(bucket, "no-host", json!({"endpoint": "http://nowhere.invalid"})),
        store(bucket, "no-bucket", json!({"bucket": "nowhere"})),
        store(bucket, "wrong-key", of_secret("wrong-key")),
        store(bucket, "no-keys", of_secret("passwords")),
        store(bucket, "no-secret", of_secret("nowhere")),
        store(bucket, "of-hand", json!({})),
        bucket.store(),
    ])
}

fn shares() -> Value {
    // The name that the server does not know comes first.
    let nobody = json!({"users": {"nobody": "read", "off": "read"}});
    let nobodies = json!({"groups": {"nobodies": "read"}});
    json!([
        {"name": "of-short", "owner": "short"},
        {"name": "of-other-number", "owner": "other-number"},
        {"name": "over-away", "remoteStore": "away"},
        {"name": "over-private", "remoteStore": "private"},
        {"name": "of-hand", "owner": alice()["name"]},
        {"name": "for-nobody", "permissions": nobody},
        {"name": "for-no-group", "permissions": nobodies},
        {"name": "strange-clients", "nfs": {"allowedClients": ["fd00::1::2", "10.1.2.3"]}},
        {"name": "closed", "defaultPermission": "read-write", "nfs": {"allowedClients": ["fd00::1::2"]}},
        {"name": "netgroup-of-hand", "nfs": {"allowedClients": ["10.1.2.3"]}},
        {"name": "disabled"},
        export(),
    ])
}

/// What a person made with `dfsctl` under names and numbers that the spec declares, too.
async fn make_by_hand(server: &RealServer) {
    for (kind, type_, mount) in [("metadata", "badger", "metadata"), ("block/local", "fs", "block")] {
        let path = server.path(&format!("/data/store/{mount}/hand"));
        let config = json!({"path": path}).to_string();
        let body = json!({"name": "hand", "type": type_, "config": config});
        server.call(Method::POST, &format!("/store/{kind}"), body).await;
    }
    let config = json!({"bucket": "elsewhere", "endpoint": "http://127.0.0.1:1", "access_key_id": "id", "secret_access_key": "key", "allow_private_endpoint": true});
    let by_hand = [
        (
            "/users",
            json!({"username": "hand", "password": PASSWORD, "uid": 4001}),
        ),
        (
            "/users",
            json!({"username": "other-hand", "password": PASSWORD, "uid": 4002}),
        ),
        (
            "/users",
            json!({"username": "other-number", "password": PASSWORD, "uid": 4018}),
        ),
        ("/groups", json!({"name": "hand", "gid": 4101})),
        ("/adapters/nfs/netgroups", json!({"name": "by-hand"})),
        ("/shares", share_by_hand("of-hand")),
        ("/shares", share_by_hand("netgroup-of-hand")),
        ("/shares", share_by_hand("closed")),
        ("/shares", share_by_hand("strange-clients")),
        ("/shares", share_by_hand("disabled")),
        ("/shares/disabled/disable", Value::Null),
        (
            "/store/block/remote",
            json!({"name": "of-hand", "type": "s3", "config": config.to_string()}),
        ),
    ];
    for (path, body) in by_hand {
        server.call(Method::POST, path, body).await;
    }
    let netgroup = json!({"netgroup": "by-hand"});
    let path = "/shares/netgroup-of-hand/adapters/nfs/config";
    server.call(Method::PATCH, path, netgroup).await;
}

fn share_by_hand(name: &str) -> Value {
    json!({"name": name, "metadata_store_id": "hand", "local_block_store": "hand"})
}

async fn create_secrets(world: &World, bucket: &Bucket) {
    let long = "x".repeat(73);
    let texts = [("short", "1234567"), ("long", long.as_str()), ("good", PASSWORD)];
    let mut passwords: Secret = fixtures::secret("passwords", &texts);
    passwords.data = Some([("binary".to_owned(), ByteString(vec![0xff; 12]))].into());
    let wrong = [("accessKeyID", "files"), ("secretAccessKey", "not the key of it")];
    for secret in [
        passwords,
        password(PASSWORD),
        bucket.secret(),
        fixtures::secret("wrong-key", &wrong),
    ] {
        world.create(&secret).await;
    }
}

/// What differs from what a user is to read.
fn misses<S: State>(states: &[S], refusals: &[Refusal<'_>]) -> Vec<String> {
    let miss = |(name, reason, parts): &Refusal<'_>| {
        let Some(state) = find(states, name) else {
            return Some(format!("{name} is not in the status"));
        };
        let view = state.view();
        let message = view.message.unwrap_or_default();
        let is_told =
            !view.ready && view.reason == Some(*reason) && parts.iter().all(|part| message.contains(part));
        (!is_told).then(|| format!("{} {name}: {:?}: {message}", view.kind, view.reason))
    };
    refusals.iter().filter_map(miss).collect()
}

fn all_misses(server: &DittoServer) -> Vec<String> {
    let Some(status) = &server.status else {
        return vec!["no status".into()];
    };
    let mut all = misses(&status.groups, &GROUPS);
    all.extend(misses(&status.users, &USERS));
    all.extend(misses(&status.remote_stores, &STORES));
    all.extend(misses(&status.shares, &SHARES));
    all
}

#[tokio::test]
async fn each_refusal_of_the_server_is_told_where_it_belongs_and_holds_up_nothing_else() {
    let bucket = Bucket::start(s3::keys()).await;
    let world = World::with_stores("refusals").await;
    create_secrets(&world, &bucket).await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    let server = RealServer::of(&world, "files").await;
    make_by_hand(&server).await;
    let groups = json!([{"name": "gid-of-hand", "gid": 4101}, {"name": "gid-of-server", "gid": 1000}]);
    let spec =
        json!({"groups": groups, "users": users(), "remoteStores": stores(&bucket), "shares": shares()});
    set(&world, spec).await;
    let is_ready = |server: &DittoServer, name| share(server, name).is_some_and(|share| share.ready);
    let stored = world
        .server_until("files", "with each refusal", |server| {
            all_misses(server).is_empty() && is_ready(server, "export")
        })
        .await;
    let status = stored.status.as_ref().expect("a status");
    assert_eq!(status.ready_shares.as_deref(), Some("1/12"));
    let closed = server.call(Method::GET, "/shares/closed", Value::Null).await;
    assert_eq!(
        closed["default_permission"], "none",
        "the server does not know its clients"
    );
    let off = server.call(Method::GET, "/users/off", Value::Null).await;
    assert_eq!(off["enabled"], false, "the server makes each user enabled");
    assert!(find(&status.users, "off").is_some_and(|user| user.ready));
    let permissions = server
        .call(Method::GET, "/shares/for-nobody/permissions", Value::Null)
        .await;
    assert_eq!(permissions[0]["name"], "off", "{permissions}");
    let limited = "/shares/strange-clients/adapters/nfs/config";
    let limited = server.call(Method::GET, limited, Value::Null).await;
    assert_eq!(
        limited["netgroup"], "dittoserver-share-strange-clients",
        "the other client counts"
    );
    let good = find(&status.remote_stores, STORE).expect("the store");
    assert!(good.ready, "the bucket that answers: {good:?}");
    let text = serde_json::to_string(&stored).expect("JSON");
    assert!(!text.contains("not the key of it"), "a key is in the status");

    // Another store is still unhealthy, and comes before it in the list of the server.
    let mut shares = shares();
    let more = json!({"name": "over-bucket", "remoteStore": STORE});
    shares.as_array_mut().expect("a list").push(more);
    set(&world, json!({"shares": shares})).await;
    world
        .server_until("files", "with a share over the good bucket", |server| {
            is_ready(server, "over-bucket")
        })
        .await;
    let store_of = |server: &DittoServer| find(&server.status.as_ref()?.remote_stores, STORE).cloned();
    let stored = world.get::<DittoServer>("files").await;
    assert!(store_of(&stored).is_some_and(|store| store.ready), "{stored:#?}");
}

#[tokio::test]
async fn a_store_of_a_person_that_would_lose_all_files_is_named_and_the_share_follows_once_it_is_gone() {
    let world = World::with_stores("refusals").await;
    world.create(&password(PASSWORD)).await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    let server = RealServer::of(&world, "files").await;
    let body = json!({"name": "default", "type": "memory"});
    server.call(Method::POST, "/store/block/local", body).await;
    set(&world, json!({"users": [alice()], "shares": [export()]})).await;
    let parts: &[&str] = &[
        "the local block store cannot be made",
        "keeps its data in memory: remove it",
    ];
    world
        .server_until("files", "with a share that has no store", |server| {
            let shares = server.status.iter().flat_map(|status| status.shares.clone());
            misses(&shares.collect::<Vec<_>>(), &[("export", "Refused", parts)]).is_empty()
        })
        .await;
    server
        .call(Method::DELETE, "/store/block/local/default", Value::Null)
        .await;
    ready_share(&world).await;
}
