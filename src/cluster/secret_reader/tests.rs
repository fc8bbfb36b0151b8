use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use http::{Request, Response};
use kube::api::ObjectMeta;
use kube::client::Body;

use super::*;
use crate::cluster::cache::WatchState;

/// A reader that never calls the API server.
fn reader() -> SecretReader {
    let refuse =
        tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    SecretReader::new(
        Client::new(refuse, "default"),
        Cache::new(&[None], |_| Vec::new()),
    )
}

fn secret(namespace: &str, name: &str) -> Secret {
    Secret {
        metadata: ObjectMeta {
            namespace: Some(namespace.into()),
            name: Some(name.into()),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    }
}

#[tokio::test]
async fn the_data_of_a_secret_is_dropped_with_the_last_server_that_uses_it() {
    let reader = reader();
    let mut server = DittoServer::new("files", crate::api::DittoServerSpec::default());
    server.metadata.namespace = Some("a".into());
    reader.metadata.set_watch_state(None, WatchState::Synced);
    let names: Vec<String> = reader.of_server(&server).await.into_keys().collect();
    for namespace in ["a", "b"] {
        for name in &names {
            reader.wrote(&secret(namespace, name));
        }
    }
    reader.wrote(&secret("a", "of-another-server"));
    reader.forget("a", "files", |name| name == names[0]);
    let mut held: Vec<Key> = reader.held().secrets.keys().cloned().collect();
    held.sort();
    let mut expected = vec![key("a", &names[0]), key("a", "of-another-server")];
    expected.extend(names.iter().map(|name| key("b", name)));
    expected.sort();
    assert!(names.len() > 1, "{names:?}");
    assert_eq!(held, expected);
    assert!(reader.held().of_servers.is_empty());
}

#[tokio::test]
async fn the_data_of_a_secret_that_a_server_no_longer_names_is_dropped_unless_another_server_uses_it() {
    let reader = reader();
    let uses = |server: &str, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        reader.note_uses(&key("a", server), &names);
    };
    uses("files", &["old", "shared", "kept"]);
    uses("other", &["shared"]);
    for name in ["old", "shared", "kept"] {
        reader.wrote(&secret("a", name));
    }
    uses("files", &["kept", "new"]);
    let mut held: Vec<String> = reader
        .held()
        .secrets
        .keys()
        .map(|(_, name)| name.clone())
        .collect();
    held.sort();
    assert_eq!(held, ["kept", "shared"]);
}

/// A reader whose API server answers with version 1 of a Secret, after a while, and the number of calls.
fn counting_reader(status: u16) -> (SecretReader, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let answer = tower::service_fn(move |_: Request<Body>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            let body = serde_json::to_vec(&version(&secret("a", "shared"), "1")).unwrap();
            let answer = Response::builder().status(status).body(Body::from(body));
            Ok::<_, Infallible>(answer.unwrap())
        }
    });
    let metadata = Cache::new(&[None], |_| Vec::new());
    (SecretReader::new(Client::new(answer, "default"), metadata), calls)
}

fn version(secret: &Secret, version: &str) -> Secret {
    let mut secret = secret.clone();
    secret.metadata.resource_version = Some(version.into());
    secret
}

fn delivered(reader: &SecretReader, secret: Secret) {
    let metadata = secret.metadata.into_response_partial();
    reader.metadata.applied(None, &metadata);
}

async fn reads(reader: &SecretReader) -> Vec<bool> {
    let reads = (0..20).map(|_| reader.read("a", "shared"));
    let read = join_all(reads).await;
    read.iter().map(|read| matches!(read, Read::Found(_))).collect()
}

#[tokio::test]
async fn a_secret_that_many_servers_read_at_the_same_time_is_read_once() {
    let (reader, calls) = counting_reader(200);
    delivered(&reader, version(&secret("a", "shared"), "1"));
    assert_eq!(reads(&reader).await, [true; 20]);
    assert_eq!(reads(&reader).await, [true; 20]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    delivered(&reader, version(&secret("a", "shared"), "2"));
    assert_eq!(reads(&reader).await, [true; 20]);
    assert_eq!(calls.load(Ordering::SeqCst), 2, "it has changed");
    assert!(
        reader.held().reads.is_empty(),
        "nothing is kept of a read that has ended"
    );
}

#[tokio::test]
async fn a_read_that_began_before_the_secret_changed_is_not_shared_with_later_reads() {
    let (reader, calls) = counting_reader(200);
    delivered(&reader, version(&secret("a", "shared"), "1"));
    let mut early = Box::pin(reader.read("a", "shared"));
    assert!(futures::poll!(&mut early).is_pending());
    delivered(&reader, version(&secret("a", "shared"), "2"));
    let late = reads(&reader);
    let (_, late) = tokio::join!(early, late);
    assert_eq!(late, [true; 20]);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert!(reader.held().reads.is_empty());
}

#[tokio::test]
async fn a_read_that_failed_is_repeated() {
    let (reader, calls) = counting_reader(500);
    delivered(&reader, version(&secret("a", "shared"), "1"));
    assert_eq!(reads(&reader).await, [false; 20]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(reads(&reader).await, [false; 20]);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}
