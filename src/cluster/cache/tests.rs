use futures::FutureExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{reflector, watcher::Event};

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

/// A synced cache of all namespaces, and what its watch writes with.
fn synced() -> (Cache<ConfigMap>, Writer<ConfigMap>) {
    let (store, writer) = reflector::store();
    let cache = Cache::new(store, &[None]);
    cache.set_watch_state(None, WatchState::Synced);
    let _ = cache.list_requested(None);
    (cache, writer)
}

fn deliver(cache: &Cache<ConfigMap>, writer: &mut Writer<ConfigMap>, event: &Event<ConfigMap>) {
    if let Event::Apply(object) | Event::Delete(object) = event {
        cache.deliver(None, object, || writer.apply_watcher_event(event));
    }
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
    let (cache, mut writer) = synced();
    deliver(&cache, &mut writer, &Event::Apply(config_map("8")));
    cache.wrote(config_map("10"));
    assert_eq!(found(&cache), Some("10".into()));
    deliver(&cache, &mut writer, &Event::Apply(config_map("9")));
    let text = "an older event does not undo the write";
    assert_eq!(found(&cache), Some("10".into()), "{text}");
    deliver(&cache, &mut writer, &Event::Apply(config_map("11")));
    assert_eq!(found(&cache), Some("11".into()));
}

#[test]
fn a_deletion_that_the_watch_delivers_drops_the_remembered_write() {
    let (cache, mut writer) = synced();
    cache.wrote(config_map("10"));
    deliver(&cache, &mut writer, &Event::Delete(config_map("12")));
    assert_eq!(cache.get("ns", "a"), Lookup::Missing);
}

#[test]
fn a_write_that_the_watch_has_delivered_and_deleted_already_is_not_remembered() {
    let (cache, mut writer) = synced();
    deliver(&cache, &mut writer, &Event::Apply(config_map("10")));
    deliver(&cache, &mut writer, &Event::Delete(config_map("12")));
    cache.wrote(config_map("10"));
    assert_eq!(cache.get("ns", "a"), Lookup::Missing);
}

#[test]
fn a_write_that_the_watch_has_replaced_already_is_not_remembered() {
    let (cache, mut writer) = synced();
    deliver(&cache, &mut writer, &Event::Apply(config_map("10")));
    deliver(&cache, &mut writer, &Event::Apply(config_map("12")));
    cache.wrote(config_map("10"));
    assert_eq!(found(&cache), Some("12".into()));
}

#[test]
fn a_write_that_the_watch_has_delivered_first_needs_no_list() {
    let (cache, mut writer) = synced();
    deliver(&cache, &mut writer, &Event::Apply(config_map("10")));
    cache.wrote(config_map("10"));
    assert_eq!(found(&cache), Some("10".into()));
    let key = ObjectRef::from_obj(&config_map("10"));
    assert!(cache.is_own_version(&key, "10") && !cache.is_own_version(&key, "11"));
    assert!(!lists_again(&cache));
}

#[test]
fn a_read_during_a_delivery_finds_the_object() {
    let (cache, mut writer) = synced();
    cache.wrote(config_map("10"));
    let reader = cache.clone();
    let read = std::thread::scope(|scope| {
        let mut reading = None;
        cache.deliver(None, &config_map("10"), || {
            // The read starts in the middle of the delivery, and must not end with neither version.
            reading = Some(scope.spawn(|| found(&reader)));
            writer.apply_watcher_event(&Event::Apply(config_map("10")));
        });
        reading.unwrap().join().unwrap()
    });
    assert_eq!(read, Some("10".into()));
}

#[test]
fn an_answer_that_is_older_than_the_cache_leads_to_a_list() {
    for stored in ["12", "450"] {
        let (cache, mut writer) = synced();
        deliver(&cache, &mut writer, &Event::Apply(config_map(stored)));
        cache.wrote(config_map("10"));
        assert!(lists_again(&cache), "{stored}");
    }
}

#[test]
fn after_a_restored_backup_the_new_list_counts_although_its_versions_are_lower() {
    let (cache, mut writer) = synced();
    deliver(&cache, &mut writer, &Event::Apply(config_map("450")));
    cache.wrote(config_map("500"));
    let epoch = cache.epoch();
    let before = cache.list_requested(None);
    writer.apply_watcher_event(&Event::Apply(config_map("300")));
    cache.relisted(None, &before);
    assert_eq!(found(&cache), Some("300".into()), "an older history");
    assert!(cache.epoch() > epoch);
    cache.wrote(config_map("310"));
    assert_eq!(found(&cache), Some("310".into()), "and its first write");
    deliver(&cache, &mut writer, &Event::Apply(config_map("311")));
    assert_eq!(found(&cache), Some("311".into()));
}

#[test]
fn a_list_drops_writes_from_before_its_request() {
    let (cache, _writer) = synced();
    cache.wrote(config_map("10"));
    cache.relisted(None, &cache.list_requested(None));
    assert_eq!(cache.get("ns", "a"), Lookup::Missing);
}

#[test]
fn a_list_does_not_drop_a_write_from_after_its_request_and_is_repeated() {
    let (cache, _writer) = synced();
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
    let (store, _writer) = reflector::store();
    let cache = Cache::new(store, &[Some("ns".into()), Some("other".into())]);
    cache.wrote(config_map("10"));
    let other = Some("other");
    cache.relisted(other, &cache.list_requested(other));
    assert_eq!(found(&cache), Some("10".into()));
}

#[test]
fn a_cache_that_has_not_synced_does_not_report_an_object_as_missing() {
    let (store, _writer) = reflector::store();
    let cache: Cache<ConfigMap> = Cache::new(store, &[Some("ns".into())]);
    assert_eq!(cache.get("ns", "a"), Lookup::Unknown(WatchState::Starting));
    cache.set_watch_state(Some("ns"), WatchState::NotServed);
    assert_eq!(cache.get("ns", "a"), Lookup::Unknown(WatchState::NotServed));
}

#[test]
fn a_namespace_that_may_not_be_read_does_not_block_the_others() {
    let (store, _writer) = reflector::store();
    let cache: Cache<ConfigMap> = Cache::new(store, &[Some("a".into()), Some("b".into())]);
    let is_ready = || cache.progress().ready().now_or_never().is_some();
    cache.set_watch_state(Some("a"), WatchState::Synced);
    assert!(cache.progress().partly_synced().now_or_never().is_some());
    assert!(!is_ready(), "b has not answered yet");
    cache.set_watch_state(Some("b"), WatchState::Failing("forbidden".into()));
    assert!(is_ready());
    cache.set_watch_state(Some("a"), WatchState::Failing("forbidden".into()));
    assert!(!is_ready(), "none can be read");
}
