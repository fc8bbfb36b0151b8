//! How a reconcile failed, in names that the code gives: labels in the metrics.

use crate::client;

/// The step that failed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step.
    pub step: &'static str,
    /// The variant of its error.
    pub error: &'static str,
}

/// The variant of a call that failed. An object that the API server does not take (`invalid`), or that a quota or a policy
/// keeps out (`denied`), is for a user to mend; anything else (`call`) for who runs the operator or the cluster.
#[must_use]
pub(crate) fn of_call(error: &kube::Error) -> &'static str {
    match error {
        _ if client::is_invalid(error) => "invalid",
        // Of a missing right it says who cannot do what. Admission says why it does not want the object.
        kube::Error::Api(status) if status.code == 403 && !status.message.contains(" cannot ") => "denied",
        _ => "call",
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn what_a_user_has_to_mend_is_told_from_a_missing_right() {
        for (code, message, expected) in [
            (
                422,
                r#"StatefulSet.apps "files" is invalid: spec.x: too long"#,
                "invalid",
            ),
            (400, "admission webhook denied the request: no", "invalid"),
            (
                403,
                r#"services "files" is forbidden: exceeded quota: team, requested: services=1, used: services=2, limited: services=2"#,
                "denied",
            ),
            (
                403,
                r#"services "files" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"#,
                "denied",
            ),
            (
                403,
                r#"services is forbidden: User "a" cannot create resource "services" in API group "" in the namespace "b""#,
                "call",
            ),
            (
                403,
                r#"services "files" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on"#,
                "call",
            ),
            (500, "Internal error occurred: failed calling webhook", "call"),
        ] {
            let status = Status {
                code,
                message: message.into(),
                ..Status::default()
            };
            let error = kube::Error::Api(status.boxed());
            assert_eq!(of_call(&error), expected, "{message}");
        }
    }
}
