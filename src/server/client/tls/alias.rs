//! A certificate for the name of a Service in the domain of the cluster, where the short name is dialled.
//!
//! Users of cert-manager list `<service>.<namespace>.svc`, others only the name with the domain. Both mean the same Service.

use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

use super::Error;

/// Verifies with the name that was dialled, then with its alias.
#[derive(Debug)]
pub(super) struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    dialled: ServerName<'static>,
    alias: ServerName<'static>,
}

impl Verifier {
    /// # Errors
    /// When a name is not a name of DNS, or there is no CA.
    pub(super) fn new(roots: RootCertStore, (dialled, alias): &(String, String)) -> Result<Self, Error> {
        let invalid = |error: &dyn std::fmt::Display| Error::Certificate(error.to_string());
        let name = |name: &String| ServerName::try_from(name.clone()).map_err(|error| invalid(&error));
        let provider = Arc::new(ring::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Ok(Self {
            inner: inner.map_err(|error| invalid(&error))?,
            dialled: name(dialled)?,
            alias: name(alias)?,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verify = |name: &ServerName<'_>| {
            self.inner
                .verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
        };
        verify(server_name).or_else(|refused| {
            if names_another_host(&refused) && *server_name == self.dialled {
                verify(&self.alias).map_err(|_| refused)
            } else {
                Err(refused)
            }
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Whether a certificate is right but for the name in it.
pub(super) fn names_another_host(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    const SHORT: &str = "files-api.storage.svc";
    const LONG: &str = "files-api.storage.svc.example.org";

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn trusting(authority: &Authority) -> Verifier {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        Verifier::new(roots, &(SHORT.to_owned(), LONG.to_owned())).unwrap()
    }

    /// Whether a certificate for `named`, signed by `signer`, is accepted from the host `dialled`.
    fn accepts(verifier: &Verifier, signer: &Authority, named: &str, dialled: &str) -> bool {
        let params = CertificateParams::new([named.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, signer).unwrap();
        let name = ServerName::try_from(dialled.to_owned()).unwrap();
        let outcome = verifier.verify_server_cert(certificate.der(), &[], &name, &[], UnixTime::now());
        outcome.is_ok()
    }

    #[test]
    fn a_certificate_for_the_name_in_the_domain_of_the_cluster_is_accepted_and_no_other() {
        let authority = authority();
        let verifier = trusting(&authority);
        for (named, dialled, wanted) in [
            (SHORT, SHORT, true),
            (LONG, SHORT, true),
            (LONG, LONG, true),
            ("files-api.other.svc", SHORT, false),
            ("files-api.storage.svc.example.com", SHORT, false),
            (LONG, "other-api.storage.svc", false),
        ] {
            let is_accepted = accepts(&verifier, &authority, named, dialled);
            assert_eq!(is_accepted, wanted, "{named} at {dialled}");
        }
    }

    #[test]
    fn another_ca_is_refused_with_either_name() {
        let verifier = trusting(&authority());
        let other = authority();
        assert!(!accepts(&verifier, &other, LONG, SHORT));
        assert!(!accepts(&verifier, &other, SHORT, SHORT));
    }
}
