use futures::FutureExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;

use super::*;

fn config_map(version: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some("a".into()),
            namespace: Some("ns".into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

fn cache_of(scopes: &[Option<&str>]) -> Cache<ConfigMap> {
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.map(str::to_owned)).collect();
    Cache::new(&scopes, |_| Vec::new())
}

/// A synced cache of all namespaces.
fn synced() -> Cache<ConfigMap> {
    let cache = cache_of(&[None]);
    cache.set_watch_state(None, WatchState::Synced);
    let _ = cache.list_requested(None);
    cache
}

/// The watch delivers a version.
fn apply(cache: &Cache<ConfigMap>, version: &str) {
    cache.applied(None, &config_map(version));
}

/// The watch delivers the deletion.
fn delete(cache: &Cache<ConfigMap>, version: &str) {
    cache.deleted(None, &config_map(version));
}

fn found(cache: &Cache<ConfigMap>) -> Option<String> {
    match cache.get("ns", "a") {
        Lookup::Found(object) => object.metadata.resource_version.clone(),
        _ => None,
    }
}

fn lists_again(cache: &Cache<ConfigMap>) -> bool {
    cache.relist_signal(None).notified().now_or_never().is_some()
}

#[test]
fn a_write_is_read_back_before_the_watch_delivers_it() {
    let cache = synced();
    apply(&cache, "8");
    cache.wrote(config_map("10"));
    assert_eq!(found(&cache), Some("10".into()));
    apply(&cache, "9");
    let text = "an older event does not undo the write";
    assert_eq!(found(&cache), Some("10".into()), "{text}");
    apply(&cache, "11");
    assert_eq!(found(&cache), Some("11".into()));
}

#[test]
fn a_deletion_that_the_watch_delivers_drops_the_remembered_write() {
    let cache = synced();
    cache.wrote(config_map("10"));
    delete(&cache, "12");
    assert_eq!(cache.get("ns", "a"), Lookup::Missing);
}

#[test]
fn a_write_that_the_watch_has_delivered_and_deleted_already_is_not_remembered() {
    let cache = synced();
    apply(&cache, "10");
    delete(&cache, "12");
    cache.wrote(config_map("10"));
    assert_eq!(cache.get("ns", "a"), Lookup::Missing);
}

#[test]
fn a_write_that_the_watch_has_replaced_already_is_not_remembered() {
    let cache = synced();
    apply(&cache, "10");
    apply(&cache, "12");
    cache.wrote(config_map("10"));
    assert_eq!(found(&cache), Some("12".into()));
}

#[test]
fn a_write_that_the_watch_has_delivered_first_needs_no_list() {
    let cache = synced();
    apply(&cache, "10");
    cache.wrote(config_map("10"));
    assert_eq!(found(&cache), Some("10".into()));
    assert!(!lists_again(&cache));
}

#[test]
fn a_read_during_a_delivery_finds_the_object() {
    let cache = synced();
    cache.wrote(config_map("1"));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let misses = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut misses = 0;
            while !is_over.load(Ordering::Relaxed) {
                misses += usize::from(found(&cache).is_none());
            }
            misses
        });
        for version in 1..1000 {
            apply(&cache, &version.to_string());
            cache.wrote(config_map(&(version + 1).to_string()));
        }
        is_over.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert_eq!(misses, 0);
}

#[test]
fn an_answer_that_is_older_than_the_cache_leads_to_a_list() {
    for stored in ["12", "450"] {
        let cache = synced();
        apply(&cache, stored);
        cache.wrote(config_map("10"));
        assert!(lists_again(&cache), "{stored}");
    }
}

#[test]
fn after_a_restored_backup_the_new_list_counts_although_its_versions_are_lower() {
    let cache = synced();
    apply(&cache, "450");
    cache.wrote(config_map("500"));
    let epoch = cache.epoch();
    let before = cache.list_requested(None);
    cache.listed(&config_map("300"));
    cache.relisted(None, &before);
    assert_eq!(found(&cache), Some("300".into()), "an older history");
    assert!(cache.epoch() > epoch);
    cache.wrote(config_map("310"));
    assert_eq!(found(&cache), Some("310".into()), "and its first write");
    apply(&cache, "311");
    assert_eq!(found(&cache), Some("311".into()));
}

#[test]
fn only_a_version_that_is_noted_as_own_is_an_own_version() {
    let cache = synced();
    let is_own = |version| cache.is_own_version(&ObjectRef::from_obj(&config_map("10")), version);
    cache.wrote(config_map("10"));
    assert!(!is_own("10"), "somebody may have edited it since it was read");
    cache.wrote_own(config_map("10"));
    assert!(is_own("10") && !is_own("11"));
}

/// A list that has `version` of the object, or does not have it.
fn list(cache: &Cache<ConfigMap>, version: Option<&str>) {
    let before = cache.list_requested(None);
    let _ = version.map(|version| cache.listed(&config_map(version)));
    cache.relisted(None, &before);
}

fn is_doubted(cache: &Cache<ConfigMap>) -> bool {
    cache.is_doubted("ns", "a")
}

#[test]
fn an_object_is_doubted_if_a_list_has_an_earlier_version_than_the_watch_or_a_write() {
    for (delivered, written) in [(Some("12"), None), (Some("9"), Some("12")), (None, Some("12"))] {
        let cache = synced();
        let _ = delivered.map(|version| apply(&cache, version));
        let _ = written.map(|version| cache.wrote(config_map(version)));
        list(&cache, Some("12"));
        assert!(!is_doubted(&cache), "the same version");
        list(&cache, Some("10"));
        assert!(is_doubted(&cache), "{delivered:?} {written:?}");
        list(&cache, Some("10"));
        assert!(is_doubted(&cache), "also after another list of this kind");
    }
}

#[test]
fn an_object_is_doubted_if_a_list_has_it_again_after_the_watch_had_passed_its_version() {
    let cache = synced();
    apply(&cache, "10");
    delete(&cache, "12");
    list(&cache, Some("10"));
    assert!(is_doubted(&cache));
    cache.gone("ns", "a");
    assert!(!is_doubted(&cache) && !cache.is_delivered("ns", "a"));
    list(&cache, Some("13"));
    assert!(!is_doubted(&cache), "a new one");
}

#[test]
fn a_doubt_ends_with_a_read_or_an_event_and_the_newest_version_counts() {
    let after = |end: &dyn Fn(&Cache<ConfigMap>)| {
        let cache = synced();
        apply(&cache, "12");
        list(&cache, Some("10"));
        end(&cache);
        (is_doubted(&cache), found(&cache))
    };
    let confirmed = |version| move |cache: &Cache<ConfigMap>| cache.confirmed(config_map(version));
    assert_eq!(after(&|_| {}), (true, Some("10".into())));
    assert_eq!(
        after(&confirmed("12")),
        (false, Some("12".into())),
        "the list was old"
    );
    assert_eq!(
        after(&confirmed("10")),
        (false, Some("10".into())),
        "a backup was restored"
    );
    assert_eq!(
        after(&|cache| apply(cache, "11")),
        (true, Some("11".into())),
        "delivered again"
    );
    assert_eq!(after(&|cache| apply(cache, "12")), (false, Some("12".into())));
    assert_eq!(after(&|cache| delete(cache, "13")), (false, None));
    let vanishes = |cache: &Cache<ConfigMap>| drop(cache.vanished(&ObjectRef::from_obj(&config_map("10"))));
    assert_eq!(
        after(&vanishes),
        (true, None),
        "the list may be from before its creation"
    );
    let is_created_again = |cache: &Cache<ConfigMap>| {
        vanishes(cache);
        apply(cache, "10");
    };
    assert_eq!(
        after(&is_created_again),
        (true, Some("10".into())),
        "delivered again"
    );
    assert_eq!(after(&|cache| cache.gone("ns", "a")), (false, None));
}

#[test]
fn the_answer_to_a_write_from_before_a_doubt_does_not_end_it() {
    let cache = synced();
    apply(&cache, "12");
    list(&cache, Some("10"));
    cache.wrote(config_map("11"));
    assert!(is_doubted(&cache));
    cache.wrote(config_map("13"));
    assert!(!is_doubted(&cache));
}

#[test]
fn an_object_is_doubted_if_another_older_list_replaces_what_was_read() {
    let cache = synced();
    apply(&cache, "12");
    let lists_without = |cache: &Cache<ConfigMap>| {
        let before = cache.list_requested(None);
        drop(cache.vanished(&ObjectRef::from_obj(&config_map("12"))));
        cache.relisted(None, &before);
    };
    lists_without(&cache);
    cache.confirmed(config_map("12"));
    assert!(!is_doubted(&cache));
    lists_without(&cache);
    assert!(is_doubted(&cache));
    apply(&cache, "10");
    assert!(is_doubted(&cache), "delivered again");
}

#[test]
fn a_doubt_ends_when_the_watch_has_passed_the_version_that_was_known() {
    let other = |version: &str| {
        let mut other = config_map(version);
        other.metadata.name = Some("other".into());
        other
    };
    let cache = synced();
    apply(&cache, "12");
    list(&cache, None);
    drop(cache.vanished(&ObjectRef::from_obj(&config_map("12"))));
    cache.applied(None, &other("11"));
    assert!(is_doubted(&cache), "it may be delivered again");
    cache.applied(None, &other("13"));
    assert!(!is_doubted(&cache), "it is gone");
    apply(&cache, "14");
    list(&cache, Some("10"));
    list(&cache, Some("14"));
    assert!(!is_doubted(&cache), "a list has it again");
}

#[test]
fn an_object_that_is_read_while_an_older_list_is_received_is_kept() {
    let cache = synced();
    cache.wrote(config_map("12"));
    let before = cache.list_requested(None);
    cache.listed(&config_map("10"));
    cache.confirmed(config_map("12"));
    cache.relisted(None, &before);
    assert_eq!((is_doubted(&cache), found(&cache)), (false, Some("12".into())));
}

#[test]
fn a_list_drops_writes_from_before_its_request() {
    let cache = synced();
    cache.wrote(config_map("10"));
    cache.relisted(None, &cache.list_requested(None));
    assert_eq!(cache.get("ns", "a"), Lookup::Missing);
}

#[test]
fn a_list_does_not_drop_a_write_from_after_its_request_and_is_repeated() {
    let cache = synced();
    cache.wrote(config_map("10"));
    let before = cache.list_requested(None);
    cache.wrote(config_map("11"));
    cache.relisted(None, &before);
    assert_eq!(found(&cache), Some("11".into()));
    assert!(lists_again(&cache), "the object may have been deleted since");
    cache.relisted(None, &cache.list_requested(None));
    assert_eq!(cache.get("ns", "a"), Lookup::Missing);
}

#[test]
fn a_list_of_one_namespace_does_not_drop_a_write_in_another() {
    let cache = cache_of(&[Some("ns"), Some("other")]);
    cache.wrote(config_map("10"));
    let other = Some("other");
    cache.relisted(other, &cache.list_requested(other));
    assert_eq!(found(&cache), Some("10".into()));
}

#[test]
fn a_cache_that_has_not_synced_does_not_report_an_object_as_missing() {
    let cache = cache_of(&[Some("ns")]);
    assert_eq!(cache.get("ns", "a"), Lookup::Unknown(WatchState::Starting));
    cache.set_watch_state(Some("ns"), WatchState::NotServed);
    assert_eq!(cache.get("ns", "a"), Lookup::Unknown(WatchState::NotServed));
}

#[test]
fn a_namespace_that_may_not_be_read_does_not_block_the_others() {
    let cache = cache_of(&[Some("a"), Some("b")]);
    let is_ready = || cache.progress().ready().now_or_never().is_some();
    cache.set_watch_state(Some("a"), WatchState::Synced);
    assert!(cache.progress().partly_synced().now_or_never().is_some());
    assert!(!is_ready(), "b has not answered yet");
    cache.set_watch_state(Some("b"), WatchState::Failing("forbidden".into()));
    assert!(is_ready());
    cache.set_watch_state(Some("a"), WatchState::Failing("forbidden".into()));
    assert!(!is_ready(), "none can be read");
}
