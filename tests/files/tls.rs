//! The API of a real server over TLS.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

use super::polled;
use crate::support::{World, fixtures, real};

/// A CA.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its certificate.
    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A Secret with a certificate for this address, to serve and to call with, and with the CA.
    pub(super) fn issue(&self, secret: &str, address: Ipv4Addr) -> Secret {
        let mut params = CertificateParams::new([address.to_string()]).expect("a name");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let (certificate, key, ca) = (certificate.pem(), key.serialize_pem(), self.pem());
        let data = [("tls.crt", certificate), ("tls.key", key), ("ca.crt", ca)];
        fixtures::secret(
            secret,
            &data.each_ref().map(|(key, value)| (*key, value.as_str())),
        )
    }
}

async fn address(world: &World) -> Ipv4Addr {
    real::runner().await.address(&world.namespace, "files-0")
}

async fn reachable(world: &World) {
    world
        .server_until("files", "reachable", |server| {
            let api = server.status.as_ref().and_then(|status| status.api.as_ref());
            api.is_some_and(|api| api.reachable)
        })
        .await;
}

/// Waits until the API is unreachable. Returns the message of the status.
async fn unreachable(world: &World) -> String {
    let server = world
        .server_until("files", "unreachable", |server| {
            let api = server.status.as_ref().and_then(|status| status.api.as_ref());
            api.is_some_and(|api| !api.reachable && api.message.is_some())
        })
        .await;
    let api = server.status.and_then(|status| status.api);
    api.and_then(|api| api.message).expect("a message")
}

#[tokio::test]
async fn the_certificate_of_a_server_is_verified_against_the_ca_in_its_secret() {
    let world = World::of_real_server("tls").await;
    let authority = Authority::new();
    world
        .create(&authority.issue("cert", address(&world).await))
        .await;
    let spec = json!({"controlPlane": {"certSecretName": "cert"}});
    world.create(&polled(spec)).await;
    reachable(&world).await;

    let other = json!({"stringData": {"ca.crt": Authority::new().pem()}});
    world.merge::<Secret>("cert", other).await;
    let message = unreachable(&world).await;
    assert!(
        message.contains("TLS") && message.contains("ca.crt") && message.contains("certSecretName"),
        "{message}"
    );
    let right = json!({"stringData": {"ca.crt": authority.pem()}});
    world.merge::<Secret>("cert", right).await;
    reachable(&world).await;
}

#[tokio::test]
async fn a_server_that_wants_client_certificates_is_called_with_that_of_the_operator() {
    let world = World::of_real_server("tls").await;
    let authority = Authority::new();
    let address = address(&world).await;
    for name in ["cert", "clients", "operator"] {
        world.create(&authority.issue(name, address)).await;
    }
    let tls = |operator: Option<&str>| {
        json!({"controlPlane": {
            "certSecretName": "cert", "clientCASecretName": "clients", "operatorCertSecretName": operator,
        }})
    };
    world.create(&polled(tls(None))).await;
    let message = unreachable(&world).await;
    assert!(message.contains("operatorCertSecretName"), "{message}");
    world
        .merge::<dittofs_operator::api::DittoServer>("files", json!({"spec": tls(Some("operator"))}))
        .await;
    reachable(&world).await;
}
