//! TLS to a server. Its certificate is always verified, against the CA in its Secret or the CAs of the system.

mod alias;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, Error as TlsError, RootCertStore};

use super::Error;
use crate::domain::server_api::Trust;

/// The configuration for these certificates.
///
/// # Errors
/// When a certificate or a key does not parse.
pub(super) fn configuration(trust: Option<&Trust>) -> Result<ClientConfig, Error> {
    let roots = match trust.map(|trust| trust.ca.as_deref()) {
        Some(Some(ca)) => of_pem(ca)?,
        Some(None) => of_system(),
        None => RootCertStore::empty(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Certificate(error.to_string()))?;
    let builder = match trust.and_then(|trust| trust.alias.as_ref()) {
        Some(alias) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(alias::Verifier::new(roots, alias)?)),
        None => builder.with_root_certificates(roots),
    };
    let Some((certificate, key)) = trust.and_then(|trust| trust.client.as_ref()) else {
        return Ok(builder.with_no_client_auth());
    };
    let invalid = |error: &dyn std::fmt::Display| {
        Error::Certificate(format!(
            "the Secret in spec.controlPlane.operatorCertSecretName cannot be used: {error}"
        ))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|error| invalid(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&key.0).map_err(|error| invalid(&error))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| invalid(&error))
}

fn of_pem(ca: &[u8]) -> Result<RootCertStore, Error> {
    let invalid = |error: String| {
        Error::Certificate(format!(
            "key ca.crt of the Secret in spec.controlPlane.certSecretName cannot be used: {error}"
        ))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| invalid(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(invalid("it has no certificate".to_owned()));
    }
    Ok(roots)
}

/// A CA of the system that does not parse is left out.
fn of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// The error of TLS itself in an error. An I/O error wraps it, perhaps twice.
pub(super) fn failure<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e TlsError> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    let wrapped = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    failure(wrapped)
}

/// What to do about an error of TLS.
pub(super) fn remedy(error: &TlsError) -> &'static str {
    match error {
        TlsError::AlertReceived(_) => {
            "The server refuses the certificate of the operator. Name a Secret in spec.controlPlane.operatorCertSecretName whose certificate is signed by the CA in spec.controlPlane.clientCASecretName"
        }
        error if alias::names_another_host(error) => {
            "The certificate in spec.controlPlane.certSecretName must be valid for this host"
        }
        TlsError::InvalidCertificate(_) => {
            "The certificate of the server is checked against ca.crt in the Secret in spec.controlPlane.certSecretName, or against the CAs of the system if it has no ca.crt. Correct ca.crt or the certificate"
        }
        _ => "Does the server use TLS on this port?",
    }
}
