//! Events about data: a claim that was deleted, a connection that is not encrypted.

use super::*;

#[test]
fn the_end_of_a_deleted_claim_has_an_event_that_the_volume_is_new() {
    let mut life = Life::ready("");
    let mut set = running(&life.observed.server);
    let templates = json!([{"metadata": {"name": "metadata"}}]);
    let spec = set.spec.as_mut().expect("a spec");
    spec.volume_claim_templates = serde_json::from_value(templates).expect("templates");
    let now = applied(&life.observed, Some(set));
    life.reconcile(&now);
    let claim = |deleted: bool| {
        let mut claim = crate::domain::validate::fixtures::claim("metadata", &[]);
        claim.metadata.deletion_timestamp =
            deleted.then(|| k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(5)));
        Read::Found(vec![Arc::new(claim)])
    };
    life.observed.claims = claim(true);
    let events = life.reconcile(&now);
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        events[0].starts_with("Warning VolumeClaimTerminating: PersistentVolumeClaim metadata-files-0"),
        "{events:?}"
    );
    assert_eq!(life.reconcile(&now), Vec::<String>::new(), "it does not repeat");
    life.observed.claims = claim(false);
    let events = life.reconcile(&now);
    let new = "Warning VolumeReplaced: PersistentVolumeClaim metadata-files-0 was deleted. The volume of the new claim is empty.";
    assert!(events.iter().any(|event| event.starts_with(new)), "{events:?}");
    assert_eq!(life.reconcile(&now), Vec::<String>::new());
}

#[test]
fn a_connection_that_is_not_encrypted_has_an_event_for_each_change_of_the_pod() {
    let mut life = Life::ready("database: {postgresSecretRef: {name: pg, key: k}}");
    let keys = [
        ("host", "db"),
        ("database", "d"),
        ("user", "u"),
        ("password", "p"),
    ];
    let mut now = life.pod_ready();
    now.steps = vec![step("StatefulSet", "files", Outcome::Updated)];
    let warns = |events: &[String]| {
        events
            .iter()
            .any(|event| event.starts_with("Warning DatabaseNotEncrypted: "))
    };
    assert!(!warns(&life.reconcile(&now)), "it has a mode");
    life.observed.secrets.insert("pg".into(), secret(&keys));
    assert!(warns(&life.reconcile(&now)));
    let message = &life
        .status
        .conditions
        .iter()
        .find(|one| one.type_ == CONFIG_READY)
        .expect("it")
        .message;
    assert!(message.ends_with("Secret pg has no key sslmode"), "{message}");
    now.steps.clear();
    assert!(!warns(&life.reconcile(&now)), "it does not repeat");
}
