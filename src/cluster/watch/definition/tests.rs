use futures::FutureExt;
use futures::stream;
use kube::api::ObjectMeta;
use kube::core::Status;

use super::*;

fn metadata(version: &str) -> Metadata {
    PartialObjectMeta {
        metadata: ObjectMeta {
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        },
        ..PartialObjectMeta::default()
    }
}

/// Whether the kind would be listed now, without a pause.
fn is_due(definition: &mut Definition) -> bool {
    definition
        .wait(&mut WatchBackoff::while_missing())
        .now_or_never()
        .is_some()
}

fn is_quiet(definition: &Definition) -> bool {
    definition.pause(&mut WatchBackoff::while_missing()) >= LONGEST_QUIET / 2
}

fn changed_long_ago(definition: &mut Definition) {
    definition.changed -= SETTLING * 2;
}

#[tokio::test]
async fn a_kind_whose_crd_is_watched_is_listed_when_the_crd_changes_and_rarely_otherwise() {
    let (known, mut definition) = Definition::new();
    assert!(
        !is_due(&mut definition) && !is_quiet(&definition),
        "not watched yet"
    );
    set(&known, Known::Absent);
    assert!(is_due(&mut definition), "it may have been removed since the list");
    assert!(!is_due(&mut definition) && is_quiet(&definition));
    set(&known, Known::of(&metadata("1")));
    assert!(is_due(&mut definition), "installed");
    assert!(
        !is_due(&mut definition) && !is_quiet(&definition),
        "not served yet"
    );
    set(&known, Known::of(&metadata("2")));
    assert!(is_due(&mut definition), "established");
    changed_long_ago(&mut definition);
    assert!(
        !is_due(&mut definition) && is_quiet(&definition),
        "it has no such version"
    );
    set(&known, Known::Absent);
    assert!(is_due(&mut definition) && is_quiet(&definition), "removed");
    set(&known, Known::Nothing);
    assert!(is_due(&mut definition));
    assert!(!is_quiet(&definition), "the watch of the CRD failed");
}

#[tokio::test]
async fn the_watch_of_a_crd_starts_when_its_kind_is_missing() {
    let (_known, mut definition) = Definition::new();
    assert!(definition.wanted.notified().now_or_never().is_none());
    assert!(!is_due(&mut definition));
    assert!(definition.wanted.notified().now_or_never().is_some());
}

#[tokio::test]
async fn the_watch_of_a_crd_shows_whether_it_exists_and_in_which_version() {
    let (known, definition) = Definition::new();
    let now = || definition.known.borrow().clone();
    let denied = || {
        let status = Status {
            code: 403,
            ..Status::default()
        };
        watcher::Error::WatchStartFailed(kube::Error::Api(status.boxed()))
    };
    for (events, expected) in [
        (vec![Event::Init], Known::Nothing),
        (vec![Event::Init, Event::InitDone], Known::Absent),
        (
            vec![Event::Init, Event::InitApply(metadata("1")), Event::InitDone],
            Known::Version("1".into()),
        ),
        (vec![Event::Delete(metadata("2"))], Known::Absent),
        (vec![Event::Apply(metadata("3"))], Known::Version("3".into())),
    ] {
        let events = events.into_iter().map(Ok).chain([Err(denied())]);
        let failure = follow(stream::iter(events), &known).await;
        assert!(matches!(failure, Some(Failure::Unknown(_))), "{failure:?}");
        assert_eq!(now(), expected);
    }
}
