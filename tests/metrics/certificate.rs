//! The certificate of `/metrics`, renewed under a running operator.

use std::path::Path;
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use kube::client::Body;
use kube::{Client, Config};
use rcgen::{CertifiedKey, KeyPair};

use super::new_folder;
use crate::support::process::{POLL, Process, free_address};
use crate::support::{World, wait};

type Certificate = CertifiedKey<KeyPair>;

fn write(folder: &Path) -> Certificate {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("tls.crt"), made.cert.pem()).expect("a file");
    std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).expect("a file");
    made
}

/// The answer for a scraper that trusts only this certificate. `None` if the operator serves another certificate.
async fn answer(address: std::net::SocketAddr, trusted: &Certificate) -> Option<StatusCode> {
    let mut config = Config::new(format!("https://{address}").parse().expect("an address"));
    config.root_cert = Some(vec![trusted.cert.der().to_vec()]);
    config.connect_timeout = Some(Duration::from_secs(10));
    config.default_retry = false;
    let client = Client::try_from(config).expect("a client");
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    client.send(request).await.ok().map(|answer| answer.status())
}

async fn until_shown(operator: &Process, address: std::net::SocketAddr, trusted: &Certificate) {
    let deadline = Instant::now() + wait::LONGEST;
    // The token is invalid. That the operator asks for one shows that the handshake succeeded.
    while answer(address, trusted).await != Some(StatusCode::UNAUTHORIZED) {
        assert!(Instant::now() < deadline, "never shown:\n{}", operator.log());
        tokio::time::sleep(POLL * 10).await;
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let world = World::without_operator("certificate").await;
    let folder = &new_folder("certificate");
    let first = write(folder);
    let metrics = free_address();
    let bind = format!("--metrics-bind-address={metrics}");
    let path = format!("--metrics-cert-path={}", folder.display());
    let operator = Process::start(&world, &[&bind, &path]).await;
    until_shown(&operator, metrics, &first).await;
    let second = write(folder);
    until_shown(&operator, metrics, &second).await;
    assert_eq!(answer(metrics, &first).await, None, "the first is gone");
}
