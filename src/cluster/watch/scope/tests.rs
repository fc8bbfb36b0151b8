use std::sync::Mutex;

use futures::stream;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use kube::core::Status;
use kube::runtime::reflector::ObjectRef;

use super::super::Notice;
use super::*;
use crate::cluster::cache::{Cache, WatchState};

/// What a listener learned: the name of an object, or the state of the scope.
#[derive(Debug, PartialEq)]
enum Heard {
    Object(String),
    /// An object whose version counts as written by this process.
    Own(String),
    Scope(WatchState),
    Recovered,
}

type Notices = Arc<Mutex<Vec<Heard>>>;

fn watch_of_all() -> (ScopeWatch<Secret>, Notices) {
    let cache = Cache::new(&[None], |_| Vec::new());
    let notices = Notices::default();
    let heard = Arc::clone(&notices);
    let listener = move |cache: &Cache<Secret>, notice: Notice<'_, Secret>| {
        heard.lock().unwrap().push(match notice {
            Notice::Object(object) => {
                let version = object.metadata.resource_version.clone().unwrap_or_default();
                let name = object.metadata.name.clone().unwrap_or_default();
                if cache.is_own_version(&ObjectRef::from_obj(object), &version) {
                    Heard::Own(name)
                } else {
                    Heard::Object(name)
                }
            }
            Notice::Recovered => Heard::Recovered,
            Notice::Scope(_) => Heard::Scope(cache.watch_state("storage")),
        });
    };
    let writer = CacheWriter {
        cache,
        listener: Box::new(listener),
        metrics: Arc::default(),
        health: crate::cluster::watch_health::WatchHealth::default(),
    };
    let watch = ScopeWatch::new(None, |_| true, |_| {}, Arc::new(writer), Definition::unwatched());
    (watch, notices)
}

fn secret(name: &str, version: &str) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            namespace: Some("storage".into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    }
}

fn refused(code: u16) -> watcher::Error {
    let status = Status {
        code,
        ..Status::default()
    };
    watcher::Error::WatchStartFailed(kube::Error::Api(status.boxed()))
}

fn taken(notices: &Notices) -> Vec<Heard> {
    notices.lock().unwrap().split_off(0)
}

/// The events of a list, and an error that ends the watch after it.
fn list(objects: &[Secret], then: Option<watcher::Error>) -> Events<'static, Secret> {
    let objects = objects.iter().cloned().map(Event::InitApply);
    let events: Vec<_> = std::iter::once(Event::Init)
        .chain(objects)
        .chain([Event::InitDone])
        .map(Ok)
        .chain(then.map(Err))
        .collect();
    let ends = matches!(events.last(), Some(Err(_)));
    let events = futures::stream::iter(events);
    if ends {
        events.boxed()
    } else {
        events.chain(futures::stream::pending()).boxed()
    }
}

#[tokio::test]
async fn a_list_does_not_hide_that_the_watch_after_it_is_refused() {
    let (mut watch, notices) = watch_of_all();
    for _ in 0..3 {
        watch.follow(list(&[], Some(refused(403)))).await;
    }
    let heard = taken(&notices);
    assert_eq!(
        heard[0],
        Heard::Scope(WatchState::Synced),
        "the first list is trusted"
    );
    assert!(
        matches!(&heard[1..], [Heard::Scope(WatchState::Failing(_))]),
        "and then the failure counts: {heard:?}"
    );

    let progress = watch.writer.cache.progress();
    tokio::select! {
        _ = watch.follow(list(&[], None)) => panic!("the watch is not refused"),
        () = progress.synced() => {}
    }
    assert_eq!(
        taken(&notices),
        [Heard::Scope(WatchState::Synced)],
        "the end of the probation"
    );
}

#[tokio::test]
async fn a_watch_whose_start_is_refused_because_its_version_is_too_old_lists_again() {
    let (mut watch, _) = watch_of_all();
    assert_eq!(watch.follow(list(&[], Some(refused(410)))).await, Next::List);
}

#[tokio::test]
async fn the_end_of_an_object_is_news_also_if_this_process_wrote_its_last_version() {
    let (mut watch, notices) = watch_of_all();
    let own = secret("own", "3");
    watch
        .follow(list(std::slice::from_ref(&own), Some(refused(503))))
        .await;
    watch.writer.cache.wrote_own(own);
    taken(&notices);
    watch.follow(list(&[], Some(refused(503)))).await;
    assert_eq!(taken(&notices)[0], Heard::Object("own".into()));
}

#[tokio::test]
async fn after_an_interruption_only_what_has_changed_is_announced() {
    let (mut watch, notices) = watch_of_all();
    let before = [secret("same", "1"), secret("changed", "2"), secret("gone", "3")];
    watch.follow(list(&before, Some(refused(503)))).await;
    assert_eq!(taken(&notices), [Heard::Scope(WatchState::Synced)]);
    let after = [secret("same", "1"), secret("changed", "5"), secret("new", "6")];
    watch.follow(list(&after, Some(refused(503)))).await;
    let heard = taken(&notices);
    let names = ["changed", "new", "gone"].map(|name| Heard::Object(name.into()));
    assert_eq!(heard[..3], names);
    assert_eq!(heard[3..], [Heard::Recovered]);
    let left: Vec<_> = watch.writer.cache.all().collect();
    assert_eq!(left.len(), 3);
}

#[tokio::test]
async fn an_api_server_that_cannot_be_reached_is_asked_again_after_a_short_pause() {
    let (mut watch, _) = watch_of_all();
    let unreachable = || kube::Error::Service("connection refused".into());
    for error in [
        watcher::Error::InitialListFailed(unreachable()),
        watcher::Error::WatchStartFailed(unreachable()),
    ] {
        let events = stream::iter([Err(error)]).boxed();
        assert_eq!(watch.follow(events).await, Next::Reconnect);
    }
    assert_eq!(watch.follow(list(&[], Some(refused(503)))).await, Next::List);
}

#[tokio::test]
async fn an_older_history_replaces_a_newer_one_after_an_interruption() {
    let (mut watch, _) = watch_of_all();
    watch
        .follow(list(&[secret("a", "500")], Some(refused(504))))
        .await;
    watch
        .follow(list(&[secret("a", "300")], Some(refused(504))))
        .await;
    let stored: Vec<_> = watch.writer.cache.all().collect();
    let versions: Vec<_> = stored
        .iter()
        .map(|secret| secret.metadata.resource_version.as_deref())
        .collect();
    assert_eq!(versions, [Some("300")]);
}

#[tokio::test]
async fn a_kind_that_is_not_installed_is_listed_once_and_then_its_crd_is_awaited() {
    let (mut watch, notices) = watch_of_all();
    let not_found = |is_list: bool| {
        let status = Status {
            code: 404,
            ..Status::default()
        };
        let error = kube::Error::Api(status.boxed());
        if is_list {
            watcher::Error::InitialListFailed(error)
        } else {
            watcher::Error::WatchStartFailed(error)
        }
    };
    let served = list(&[secret("a", "1")], Some(not_found(false)));
    assert_eq!(watch.follow(served).await, Next::List, "its CRD is removed");
    assert_eq!(
        taken(&notices),
        [
            Heard::Scope(WatchState::Synced),
            Heard::Object("a".into()),
            Heard::Scope(WatchState::NotServed)
        ]
    );
    let refused = stream::iter([Ok(Event::Init), Err(not_found(true)), Ok(Event::Init)]);
    assert_eq!(watch.follow(refused.boxed()).await, Next::AwaitDefinition);
    assert!(taken(&notices).is_empty());
}
