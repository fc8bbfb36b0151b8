//! Warnings about settings without the effect that a user may expect.

use kube::runtime::events::{Event, EventType};

use super::{event, find};
use crate::api::DittoServerStatus;
use crate::domain::conditions::{AVAILABLE, CONFIG_READY};
use crate::domain::load_balancers;
use crate::domain::monitoring;
use crate::domain::observed::Observed;

/// `spec.controlPlane.tls` is true, but there is no certificate: the API is served over plain HTTP. One event for each
/// generation of the spec.
pub const TLS_NOT_ENABLED: &str = "TlsNotEnabled";

/// An annotation that turns something on has an unknown value. One event for each value.
pub const UNKNOWN_ANNOTATION_VALUE: &str = "UnknownAnnotationValue";

/// A Service of type LoadBalancer has had no address for two minutes. One event for each Service, until it has had an address.
pub const LOAD_BALANCER_WITHOUT_ADDRESS: &str = "LoadBalancerWithoutAddress";

/// `spec.podTemplate.hostNetwork` is true: NetworkPolicies do not apply to the pod, and its ports are open on the node. One event for
/// each generation of the spec.
pub const HOST_NETWORK: &str = "HostNetwork";

/// The spec asks for a ServiceMonitor, and the kind is not installed. One event until it is.
pub const SERVICE_MONITOR_NOT_INSTALLED: &str = "ServiceMonitorNotInstalled";

/// The warnings about settings that were reconciled for the first time.
pub(super) fn warnings(
    observed: &Observed,
    before: &DittoServerStatus,
    after: &DittoServerStatus,
) -> Vec<Event> {
    let mut warnings = unknown_switches(observed, before);
    warnings.extend(load_balancers(observed, before));
    warnings.extend(service_monitor(observed, before));
    if before.observed_generation != after.observed_generation {
        warnings.extend(of_spec(observed));
    }
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

fn service_monitor(observed: &Observed, before: &DittoServerStatus) -> Vec<Event> {
    let sentences = monitoring::not_installed(observed).into_iter().collect();
    let sentences = new_sentences(sentences, before, CONFIG_READY);
    let warning = |note| {
        event(
            EventType::Warning,
            SERVICE_MONITOR_NOT_INSTALLED,
            "Reconcile",
            note,
        )
    };
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

/// The warnings about a new spec.
fn of_spec(observed: &Observed) -> impl Iterator<Item = Event> {
    let spec = &observed.server.spec;
    let tls = spec.tls_without_certificate().then_some((
        TLS_NOT_ENABLED,
        "spec.controlPlane.tls does not enable TLS, and the API is served over plain HTTP: set spec.controlPlane.certSecretName to a Secret with tls.crt and tls.key, or remove tls",
    ));
    let host_network = spec.host_network().then_some((
        HOST_NETWORK,
        "spec.podTemplate.hostNetwork runs the server in the network of its node: NetworkPolicies do not apply to it, and all of its ports are open on the node. Remove hostNetwork unless the server needs it",
    ));
    let warnings = [tls, host_network].into_iter().flatten();
    warnings.map(|(reason, note)| event(EventType::Warning, reason, "Validate", note.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::api::names;
    use crate::domain::observed::KindState;
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

    /// The status with this message of `ConfigReady`.
    fn reported(message: &str) -> DittoServerStatus {
        let mut status = status(2);
        let condition = json!({"type": CONFIG_READY, "status": "True", "reason": "ConfigValid", "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"});
        status.conditions = vec![serde_json::from_value(condition).unwrap()];
        status
    }

    #[test]
    fn a_service_monitor_whose_kind_is_not_installed_is_a_warning_once() {
        let mut observed = testing::nothing("metrics: {enabled: true, serviceMonitor: {enabled: true}}");
        assert!(warnings(&observed, &reported(""), &status(2)).is_empty());
        observed.service_monitors = KindState::NotServed;
        let first = warnings(&observed, &reported("ConfigMap valid"), &status(2));
        assert_eq!(first[0].reason, SERVICE_MONITOR_NOT_INSTALLED);
        let note = first[0].note.clone().unwrap_or_default();
        assert!(note.contains("files-metrics"), "{note}");
        let repeated = warnings(
            &observed,
            &reported(&format!("ConfigMap valid. {note}")),
            &status(2),
        );
        assert!(repeated.is_empty());
    }

    #[test]
    fn the_network_of_the_node_is_a_warning_once_for_each_generation() {
        for (spec, before, is_warned) in [
            ("podTemplate: {hostNetwork: true}", 1, true),
            ("podTemplate: {hostNetwork: true}", 2, false),
            ("podTemplate: {hostNetwork: false}", 1, false),
            ("podTemplate: {}", 1, false),
        ] {
            let observed = testing::nothing(spec);
            let warning = warnings(&observed, &status(before), &status(2)).pop();
            let reason = warning.map(|event| event.reason).unwrap_or_default();
            assert_eq!(reason == HOST_NETWORK, is_warned, "{spec} {before}");
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
