//! What a user should know about the ServiceMonitor of a server.

use kube::ResourceExt;

use super::observed::{KindState, Observed};
use crate::api::names;

/// Why the ServiceMonitor that the spec asks for does not exist, if its kind is not installed. Nothing has failed: everything else is
/// done, and the operator creates the ServiceMonitor when the kind is installed.
#[must_use]
pub fn not_installed(observed: &Observed) -> Option<String> {
    let is_asked_for = observed.server.spec.service_monitor().is_some();
    (is_asked_for && observed.service_monitors == KindState::NotServed).then(|| {
        format!(
            "spec.metrics.serviceMonitor has no effect, because the kind ServiceMonitor is not installed. Install the Prometheus Operator, and this operator creates ServiceMonitor {}; or set spec.metrics.serviceMonitor.enabled to false",
            names::metrics_service(&observed.server.name_any())
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing;

    #[test]
    fn only_a_server_that_asks_for_a_service_monitor_has_a_note_about_a_missing_kind() {
        let on = "metrics: {enabled: true, serviceMonitor: {enabled: true}}";
        for (spec, kind, is_noted) in [
            (on, KindState::NotServed, true),
            (on, KindState::Served, false),
            (on, KindState::Unknown("forbidden".into()), false),
            (
                "metrics: {enabled: false, serviceMonitor: {enabled: true}}",
                KindState::NotServed,
                false,
            ),
            ("metrics: {enabled: true}", KindState::NotServed, false),
            ("", KindState::NotServed, false),
        ] {
            let mut observed = testing::nothing(spec);
            observed.service_monitors = kind;
            assert_eq!(not_installed(&observed).is_some(), is_noted, "{spec}");
        }
    }
}
