//! Warnings about settings without the effect that a user may expect.

use kube::runtime::events::{Event, EventType};

use super::{event, find};
use crate::api::DittoServerStatus;
use crate::domain::conditions::{AVAILABLE, CONFIG_READY};
use crate::domain::load_balancers;
use crate::domain::observed::Observed;

/// `spec.controlPlane.tls` is true, but there is no certificate: the API is served over plain HTTP. One event for each
/// generation of the spec.
pub const TLS_NOT_ENABLED: &str = "TlsNotEnabled";

/// An annotation that turns something on has an unknown value. One event for each value.
pub const UNKNOWN_ANNOTATION_VALUE: &str = "UnknownAnnotationValue";

/// A Service of type LoadBalancer has had no address for two minutes. One event for each Service, until it has had an address.
pub const LOAD_BALANCER_WITHOUT_ADDRESS: &str = "LoadBalancerWithoutAddress";

/// The warnings about settings that were reconciled for the first time.
pub(super) fn warnings(
    observed: &Observed,
    before: &DittoServerStatus,
    after: &DittoServerStatus,
) -> Vec<Event> {
    let mut warnings = unknown_switches(observed, before);
    warnings.extend(load_balancers(observed, before));
    warnings.extend(tls_not_enabled(observed, before, after));
    warnings
}

fn unknown_switches(observed: &Observed, before: &DittoServerStatus) -> Vec<Event> {
    let sentences = new_sentences(observed.server.unknown_switches(), before, CONFIG_READY);
    let warning = |note| event(EventType::Warning, UNKNOWN_ANNOTATION_VALUE, "Validate", note);
    sentences.map(warning).collect()
}

fn load_balancers(observed: &Observed, before: &DittoServerStatus) -> Vec<Event> {
    let sentences = new_sentences(load_balancers::overdue(observed), before, AVAILABLE);
    let warning = |note| event(EventType::Warning, LOAD_BALANCER_WITHOUT_ADDRESS, "Watch", note);
    sentences.map(warning).collect()
}

/// The sentences that the stored condition does not have: those that it has were reported already.
fn new_sentences(
    sentences: Vec<String>,
    before: &DittoServerStatus,
    type_: &str,
) -> impl Iterator<Item = String> {
    let reported = find(before, type_).map_or("", |condition| condition.message.as_str());
    sentences
        .into_iter()
        .filter(move |sentence| !reported.contains(sentence))
}

fn tls_not_enabled(
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
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::api::names;
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
            let warning = warnings(&observed, &status(before), &status(2)).pop();
            assert_eq!(warning.is_some(), is_warned, "{spec:?} {before}");
            let note = warning.and_then(|event| event.note).unwrap_or_default();
            assert_eq!(note.contains("certSecretName"), is_warned, "{note}");
        }
    }

    #[test]
    fn an_unknown_value_of_an_annotation_is_a_warning_once_for_each_value() {
        let mut observed = testing::nothing("");
        let annotate = |observed: &mut Observed, value: &str| {
            let annotation = (names::PAUSED_ANNOTATION.to_owned(), value.to_owned());
            Arc::make_mut(&mut observed.server).metadata.annotations = Some([annotation].into());
        };
        annotate(&mut observed, "yes");
        let reported = |message: &str| {
            let mut status = status(2);
            let condition = json!({"type": CONFIG_READY, "status": "True", "reason": "ConfigValid", "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"});
            status.conditions = vec![serde_json::from_value(condition).unwrap()];
            status
        };
        let first = warnings(&observed, &reported("ConfigMap valid"), &status(2));
        let note = first[0].note.clone().unwrap_or_default();
        assert!(note.contains("\"yes\""), "{note}");
        let told = reported(&format!("ConfigMap valid. {note}"));
        assert!(warnings(&observed, &told, &status(2)).is_empty());
        annotate(&mut observed, "on");
        assert_eq!(warnings(&observed, &told, &status(2)).len(), 1);
        annotate(&mut observed, "true");
        assert!(warnings(&observed, &told, &status(2)).is_empty());
    }
}
