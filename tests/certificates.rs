//! The certificates of a server's API, when they are about to expire.

use std::collections::BTreeMap;

use dittofs_operator::api::{CertificateState, CertificateStatus, DittoServer};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::ListParams;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::support::{World, fixtures, wait};

/// A certificate that ends on the day in so many days, and its key.
fn issue(days: i64) -> BTreeMap<&'static str, String> {
    let end = Timestamp::now() + SignedDuration::from_hours(24 * days);
    let end = end.to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut params = CertificateParams::new(["files.example".to_owned()]).expect("a name");
    params.not_before = date_time_ymd(2020, 1, 1);
    let (month, day) = (end.month().unsigned_abs(), end.day().unsigned_abs());
    params.not_after = date_time_ymd(end.year().into(), month, day);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    [("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem())].into()
}

fn secret(name: &str, days: i64) -> Secret {
    let data = issue(days);
    let data: Vec<(&str, &str)> = data.iter().map(|(key, value)| (*key, value.as_str())).collect();
    fixtures::secret(name, &data)
}

async fn renew(world: &World, name: &str, days: i64) {
    let renewed = json!({"stringData": issue(days)});
    world.merge::<Secret>(name, renewed).await;
}

/// Waits until the certificate in this Secret has this state.
async fn until(world: &World, secret: &str, state: CertificateState) -> CertificateStatus {
    let find = |server: &DittoServer| {
        let mut known = server.status.iter().flat_map(|status| &status.certificates);
        known
            .find(|known| known.secret == secret && known.state == state)
            .cloned()
    };
    let server = world
        .server_until("files", "with the state of its certificate", |server| {
            find(server).is_some()
        })
        .await;
    find(&server).expect("the certificate")
}

/// How often each event about certificates happened.
async fn counted(world: &World) -> Vec<(String, i32)> {
    let events = world.api::<Event>().list(&ListParams::default()).await;
    let about = events.expect("events").into_iter().filter_map(|event| {
        let reason = event.reason.filter(|reason| reason.starts_with("Certificate"))?;
        let series = event.series.and_then(|series| series.count);
        Some((reason, series.or(event.count).unwrap_or(1)))
    });
    let mut about: Vec<(String, i32)> = about.collect();
    about.sort();
    about
}

async fn settled(world: &World, fence: &str) {
    let edit: Value = json!({"spec": {"service": {"annotations": {"fence": fence}}}});
    world.merge::<DittoServer>("files", edit).await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_reported_once_also_after_a_restart_of_the_operator() {
    let mut world = World::new("certificates").await;
    world.create(&secret("cert", 10)).await;
    world.create(&secret("clients", 3000)).await;
    let ca = issue(3000);
    world
        .create(&fixtures::secret("ca", &[("ca.crt", &ca["tls.crt"])]))
        .await;
    let spec = json!({"controlPlane": {
        "certSecretName": "cert", "clientCASecretName": "ca", "operatorCertSecretName": "clients",
    }});
    world.create(&fixtures::server("files", spec)).await;
    let known = until(&world, "cert", CertificateState::Expiring).await;
    until(&world, "clients", CertificateState::Valid).await;
    let note = world.event_note("CertificateExpiring").await;
    let day = known.not_after.expect("an end").0.to_string();
    for part in ["Secret cert", "tls.crt", "certSecretName", &day] {
        assert!(note.contains(part), "{note}");
    }
    settled(&world, "a").await;
    world.stop_operator().await;
    world.start_operator().await;
    settled(&world, "b").await;
    // It writes events in the background, and the last ones when it stops.
    world.stop_operator().await;
    let once = ("CertificateExpiring".to_owned(), 1);
    assert_eq!(counted(&world).await, std::slice::from_ref(&once));
    world.start_operator().await;

    renew(&world, "cert", 90).await;
    until(&world, "cert", CertificateState::Valid).await;
    settled(&world, "c").await;
    world.stop_operator().await;
    assert_eq!(counted(&world).await, [once]);
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_reported_and_changes_the_status_of_no_condition() {
    let world = World::new("certificates").await;
    world.create(&secret("cert", -3)).await;
    let spec = json!({"controlPlane": {"certSecretName": "cert"}});
    world.create(&fixtures::server("files", spec)).await;
    until(&world, "cert", CertificateState::Expired).await;
    let note = world.event_note("CertificateExpired").await;
    assert!(note.contains("Secret cert"), "{note}");
    let server = world.ready("files").await;
    assert!(wait::is(&server, "ConfigReady", "True", "ConfigValid"));
}
