//! Requests above the limits of the server's container. No pod can be created with them.
//!
//! Admission does not refuse them: Kubernetes 1.33 estimates a CEL rule over these maps as too expensive, and refuses the whole CRD.

use super::{Concern, Finding, Severity, Violation};
use crate::api::{quantity, reasons};
use crate::domain::observed::Observed;

/// Judges the resources.
pub(super) fn finding(observed: &Observed) -> Option<Finding> {
    let resources = observed.server.spec.resources.as_ref()?;
    let (requests, limits) = (resources.requests.as_ref()?, resources.limits.as_ref()?);
    let exceeding = requests.iter().filter_map(|(name, request)| {
        let limit = limits.get(name)?;
        let is_above = quantity::nanos(&request.0)? > quantity::nanos(&limit.0)?;
        is_above.then(|| format!("{name} ({} is above {})", request.0, limit.0))
    });
    let exceeding: Vec<String> = exceeding.collect();
    (!exceeding.is_empty()).then(|| {
        Finding::blocking(Violation {
            reason: reasons::INVALID_SPEC,
            message: format!(
                "spec.resources.requests must not be above spec.resources.limits: lower the request or raise the limit of {}",
                exceeding.join(", ")
            ),
            concern: Concern::Config,
            severity: Severity::Terminal,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing;

    #[test]
    fn a_request_above_its_limit_names_the_resource_and_blocks_the_pod() {
        let spec = "resources: {requests: {cpu: 500m, memory: 2Gi, example.org/device: 2}, limits: {cpu: 1, memory: 1Gi, example.org/device: 1}}";
        let finding = finding(&testing::nothing(spec)).unwrap();
        assert!(finding.blocks_pod);
        assert_eq!(
            finding.violation.message,
            "spec.resources.requests must not be above spec.resources.limits: lower the request or raise the limit of example.org/device (2 is above 1), memory (2Gi is above 1Gi)"
        );
    }

    #[test]
    fn a_request_equal_to_its_limit_in_another_form_or_without_a_limit_is_valid() {
        for spec in [
            "",
            "resources: {requests: {cpu: 8, memory: 5Gi}}",
            "resources: {limits: {cpu: 1}}",
            "resources: {requests: {cpu: 1000m, memory: 1024Mi, ephemeral-storage: 5Gi}, limits: {cpu: 1, memory: 1Gi}}",
        ] {
            assert!(finding(&testing::nothing(spec)).is_none(), "{spec}");
        }
    }
}
