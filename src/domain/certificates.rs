//! When the certificates of a server's API expire: the one with which it serves, and the one with which the operator calls it.
//!
//! Both are the user's. Whoever issues them renews them, so this only warns in time. It changes the status of no condition: until
//! the certificate has expired nothing is wrong, and afterwards `status.api` reports that the calls fail.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::api::{CertificateState, CertificateStatus};
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::TLS_CERTIFICATE_KEY;

/// How long before its end a certificate is reported. cert-manager renews after two thirds of the lifetime by default, so one of 90 days
/// is renewed 30 days before its end: 14 days are reached only if the renewal fails.
const LEAD: SignedDuration = SignedDuration::from_hours(14 * 24);

/// One certificate, with what uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use<'a> {
    secret: &'a str,
    field: &'static str,
    /// What stops when it has expired.
    loss: &'static str,
    /// What happens with a renewed one.
    renewal: &'static str,
}

/// The certificates that the spec names, each Secret once.
fn uses(observed: &Observed) -> Vec<Use<'_>> {
    let spec = &observed.server.spec;
    let server = spec.cert_secret_name().map(|secret| Use {
        secret,
        field: "spec.controlPlane.certSecretName",
        loss: "clients of the API refuse the server, the operator among them",
        renewal: "the server uses it without a restart",
    });
    let operator = spec.operator_cert_secret_name().map(|secret| Use {
        secret,
        field: "spec.controlPlane.operatorCertSecretName",
        loss: "the server refuses the operator",
        renewal: "the operator uses it for its next call",
    });
    let mut uses: Vec<Use<'_>> = server.into_iter().chain(operator).collect();
    uses.dedup_by(|later, first| later.secret == first.secret);
    uses
}

/// The certificates for the status. What is known of one stays while its Secret cannot be read.
#[must_use]
pub fn status(observed: &Observed) -> Vec<CertificateStatus> {
    let uses = uses(observed).into_iter();
    uses.filter_map(|used| state(observed, used.secret)).collect()
}

fn state(observed: &Observed, secret: &str) -> Option<CertificateStatus> {
    match observed.secrets.get(secret)? {
        Read::Found(data) => {
            let not_after = not_after(data.value(TLS_CERTIFICATE_KEY)?)?;
            Some(CertificateStatus {
                secret: secret.to_owned(),
                key: TLS_CERTIFICATE_KEY.to_owned(),
                not_after: Some(Time(not_after)),
                state: state_at(not_after, observed.at),
            })
        }
        Read::Missing => None,
        Read::Unreadable(_) => {
            let known = &observed.server.status.as_ref()?.certificates;
            known.iter().find(|known| known.secret == secret).cloned()
        }
    }
}

fn state_at(not_after: Timestamp, now: Timestamp) -> CertificateState {
    let left = not_after.duration_since(now);
    if left.is_negative() {
        CertificateState::Expired
    } else if left < LEAD {
        CertificateState::Expiring
    } else {
        CertificateState::Valid
    }
}

/// What to know and to do about a certificate that is not valid for long.
#[must_use]
pub fn advice(observed: &Observed, certificate: &CertificateStatus) -> Option<String> {
    let all = uses(observed);
    let used = all.iter().find(|used| used.secret == certificate.secret)?;
    let CertificateStatus {
        secret,
        key,
        not_after,
        state,
    } = certificate;
    let Use {
        field, loss, renewal, ..
    } = used;
    let end = not_after.as_ref()?.0;
    let fact = match state {
        CertificateState::Valid => return None,
        CertificateState::Expiring => format!("expires at {end}. From then on, {loss}"),
        CertificateState::Expired => format!("expired at {end}: {loss}"),
    };
    Some(format!(
        "The certificate in Secret {secret}, key {key} ({field}), {fact}. Put a renewed certificate and its key into the Secret; {renewal}. If cert-manager issues it, kubectl describe certificate shows why it was not renewed"
    ))
}

/// The end of the first certificate in a PEM file, which is the one that identifies its owner. `None` if there is none that parses:
/// the server and the operator report that when they use it.
#[must_use]
pub fn not_after(pem: &[u8]) -> Option<Timestamp> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let certificate = Certificate::from_der(&der).ok()?;
    let end = certificate.tbs_certificate().validity().not_after;
    let seconds = i64::try_from(end.to_unix_duration().as_secs()).ok()?;
    // RFC 5280 has 9999-12-31 for a certificate without an end. It is beyond the range of the type.
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::api::DittoServerStatus;
    use crate::domain::testing;

    const TLS: &str =
        "controlPlane: {certSecretName: cert, clientCASecretName: ca, operatorCertSecretName: operator}";

    /// A certificate that ends at this midnight.
    fn pem(year: i32, month: u8, day: u8) -> String {
        let mut params = CertificateParams::new(["files.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn observed(now: &str) -> Observed {
        let mut observed = testing::ready(TLS);
        observed.at = at(now);
        testing::set(&mut observed, "cert", "tls.crt", pem(2027, 3, 15).as_bytes());
        testing::set(&mut observed, "operator", "tls.crt", pem(2030, 1, 1).as_bytes());
        observed
    }

    #[test]
    fn the_end_is_that_of_the_first_certificate_also_with_text_around_it_and_windows_line_ends() {
        let first = pem(2027, 3, 15);
        let end = Some(at("2027-03-15T00:00:00Z"));
        assert_eq!(not_after(first.as_bytes()), end);
        let chain = format!("subject=CN = files\n{first}{}", pem(2021, 1, 1)).replace('\n', "\r\n");
        assert_eq!(not_after(chain.as_bytes()), end);
        // UTCTime ends with 2049; later years have another encoding.
        let late = pem(2077, 1, 1);
        assert_eq!(not_after(late.as_bytes()), Some(at("2077-01-01T00:00:00Z")));
        assert_eq!(not_after(pem(9999, 12, 31).as_bytes()), None, "it has no end");
    }

    #[test]
    fn what_is_not_a_certificate_has_no_end() {
        let cut = pem(2027, 3, 15).replace("MII", "");
        for bytes in [
            b"".as_slice(),
            b"certificate",
            b"\xff\xfe",
            b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n",
            cut.as_bytes(),
        ] {
            assert_eq!(not_after(bytes), None);
        }
    }

    #[test]
    fn a_certificate_is_expiring_from_fourteen_days_before_its_end() {
        for (now, state) in [
            ("2027-02-28T23:59:59Z", CertificateState::Valid),
            ("2027-03-01T00:00:01Z", CertificateState::Expiring),
            ("2027-03-15T00:00:00Z", CertificateState::Expiring),
            ("2027-03-15T00:00:01Z", CertificateState::Expired),
        ] {
            let observed = observed(now);
            let known = status(&observed);
            assert_eq!(
                (known[0].secret.as_str(), known[0].state),
                ("cert", state),
                "{now}"
            );
            assert_eq!(
                (known[1].secret.as_str(), known[1].state),
                ("operator", CertificateState::Valid)
            );
            assert_eq!(
                advice(&observed, &known[0]).is_some(),
                state != CertificateState::Valid
            );
        }
    }

    #[test]
    fn the_advice_names_the_secret_the_key_the_field_and_the_date() {
        let observed = observed("2027-03-10T00:00:00Z");
        let advice = advice(&observed, &status(&observed)[0]).unwrap();
        for part in [
            "Secret cert",
            "tls.crt",
            "spec.controlPlane.certSecretName",
            "2027-03-15",
        ] {
            assert!(advice.contains(part), "{advice}");
        }
    }

    #[test]
    fn a_secret_that_cannot_be_read_keeps_what_is_known_and_one_that_is_gone_does_not() {
        let mut observed = observed("2027-03-10T00:00:00Z");
        let known = status(&observed);
        Arc::make_mut(&mut observed.server).status = Some(DittoServerStatus {
            certificates: known.clone(),
            ..DittoServerStatus::default()
        });
        let unreadable = Read::Unreadable("forbidden".into());
        observed.secrets.insert("cert".into(), unreadable);
        assert_eq!(status(&observed), known);
        observed.secrets.insert("cert".into(), Read::Missing);
        assert_eq!(status(&observed), known[1..]);
    }

    #[test]
    fn one_secret_for_both_purposes_is_reported_once() {
        let spec =
            "controlPlane: {certSecretName: cert, clientCASecretName: ca, operatorCertSecretName: cert}";
        let mut observed = testing::ready(spec);
        testing::set(&mut observed, "cert", "tls.crt", pem(2027, 3, 15).as_bytes());
        assert_eq!(status(&observed).len(), 1);
    }
}
