//! Warnings about settings without the effect that a user may expect.

use kube::runtime::events::{Event, EventType};

use super::event;
use crate::api::DittoServerStatus;
use crate::domain::observed::Observed;

/// `spec.controlPlane.tls` is true, but there is no certificate: the API is served over plain HTTP. One event for each
/// generation of the spec.
pub const TLS_NOT_ENABLED: &str = "TlsNotEnabled";

/// The warnings about a spec that was reconciled for the first time.
pub(super) fn warnings(
    observed: &Observed,
    before: &DittoServerStatus,
    after: &DittoServerStatus,
) -> Option<Event> {
    let is_new_spec = before.observed_generation != after.observed_generation;
    (is_new_spec && observed.server.spec.tls_without_certificate()).then(|| {
        event(
            EventType::Warning,
            TLS_NOT_ENABLED,
            "Validate",
            "spec.controlPlane.tls does not enable TLS, and the API is served over plain HTTP: set spec.controlPlane.certSecretName to a Secret with tls.crt and tls.key, or remove tls".into(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing;

    fn status(generation: i64) -> DittoServerStatus {
        DittoServerStatus {
            observed_generation: Some(generation),
            ..DittoServerStatus::default()
        }
    }

    #[test]
    fn tls_without_a_certificate_is_a_warning_once_for_each_generation() {
        for (spec, before, is_warned) in [
            ("controlPlane: {tls: true}", 1, true),
            ("controlPlane: {tls: true, certSecretName: \"\"}", -1, true),
            ("controlPlane: {tls: true}", 2, false),
            ("controlPlane: {tls: true, certSecretName: cert}", 1, false),
            ("controlPlane: {tls: false}", 1, false),
            ("", 1, false),
        ] {
            let observed = testing::nothing(spec);
            let warning = warnings(&observed, &status(before), &status(2));
            assert_eq!(warning.is_some(), is_warned, "{spec:?} {before}");
            let note = warning.and_then(|event| event.note).unwrap_or_default();
            assert_eq!(note.contains("certSecretName"), is_warned, "{note}");
        }
    }
}
