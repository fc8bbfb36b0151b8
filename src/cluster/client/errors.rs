//! Failed calls: their class, and their text for messages.

use kube::core::Status;

use crate::base::causes::with_causes;
use crate::domain::applied::FailureClass;

/// The text of an error for messages: the API server's own message if there is one. kube's text repeats the message and adds
/// the whole answer in Rust's notation.
#[must_use]
pub fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        kube::Error::Api(status) => format!("{} (HTTP {})", status.reason, status.code),
        other => with_causes(other),
    }
}

/// Whether the API server rejected the object as invalid. Sending the same object again does not help.
#[must_use]
pub fn is_invalid(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 422))
}

/// Whether there was no answer: the API server could not be reached, or the connection ended. A write may have taken effect.
#[must_use]
pub fn is_unanswered(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_))
}

/// Whether a dry run failed only because an admission webhook does not support dry runs. That says nothing about the real call.
#[must_use]
pub fn is_dry_run_unsupported(error: &kube::Error) -> bool {
    // The API server's text, for a webhook whose `sideEffects` are neither `None` nor `NoneOnDryRun`.
    matches!(error, kube::Error::Api(status)
        if status.code == 400 && status.message.contains("does not support dry run"))
}

/// Whether the API server rejected the call because the namespace is being deleted.
#[must_use]
pub fn is_namespace_terminating(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if says_namespace_terminating(status))
}

/// Whether an answer of the API server says that the namespace is being deleted.
#[must_use]
pub fn says_namespace_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
}

/// The class of a call that failed. The author of the manifest can fix `Invalid` and `Denied`; everything else is for
/// the administrator of the operator or the cluster.
#[must_use]
pub fn class(error: &kube::Error) -> FailureClass {
    match error {
        _ if is_invalid(error) => FailureClass::Invalid,
        // RBAC answers "… cannot create resource …". Admission answers with its own reason.
        kube::Error::Api(status) if status.code == 403 && !status.message.contains(" cannot ") => {
            FailureClass::Denied
        }
        _ => FailureClass::Call,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_the_message_of_the_api_server_once() {
        let status = Status {
            code: 422,
            reason: "Invalid".into(),
            message: "spec.x: too long".into(),
            ..Status::default()
        };
        let error = kube::Error::Api(status.boxed());
        assert_eq!(explain(&error), "spec.x: too long");
        assert!(is_invalid(&error));
    }

    #[test]
    fn an_error_of_the_connection_shows_its_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("client error")]
        struct Failed(#[source] std::io::Error);
        let failed = Failed(std::io::Error::other("the connection is closed"));
        assert_eq!(
            explain(&kube::Error::Service(Box::new(failed))),
            "ServiceError: client error: the connection is closed"
        );
    }

    #[test]
    fn a_webhook_without_dry_runs_is_distinguished_from_a_refusal() {
        for (code, message, expected) in [
            (
                400,
                r#"admission webhook "w.example.com" does not support dry run"#,
                true,
            ),
            (400, "admission webhook denied the request: no", false),
            (403, "exceeded quota: team", false),
        ] {
            let status = Status {
                code,
                message: message.into(),
                ..Status::default()
            };
            let error = kube::Error::Api(status.boxed());
            assert_eq!(is_dry_run_unsupported(&error), expected, "{message}");
        }
    }

    #[test]
    fn an_invalid_or_denied_object_is_distinguished_from_a_missing_right() {
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
            assert_eq!(class(&error).label(), expected, "{message}");
        }
    }
}
