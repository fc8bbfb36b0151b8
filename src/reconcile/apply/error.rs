//! Why a child was not written.

use thiserror::Error;

use super::Outcome;
use crate::cluster::client::errors;
use crate::domain::applied::{FailureClass, WriteFailure};

/// Why a child was not written.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// The API server refused a call, or did not answer in time.
    #[error("{verb} failed: {}", errors::explain(source))]
    Call {
        /// What was tried: create, read, apply, delete.
        verb: &'static str,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// A Secret could not be written. The API server's text is left out, because it may quote the object.
    #[error("{verb} failed: {reason} (HTTP {code})")]
    Secret {
        /// What was tried: create, update, delete.
        verb: &'static str,
        /// The API server's machine-readable reason.
        reason: String,
        /// HTTP status code; 0 if there was no answer.
        code: u16,
    },
    /// The object appeared, disappeared or changed after it was read. The next reconcile reads it again.
    #[error("changed concurrently; retrying")]
    Raced,
    /// The child could not be converted to JSON.
    #[error("cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// The child must not be written now. The outcome says why: it is paused, foreign, terminating, or its server is gone.
    #[error("{0}")]
    Stopped(Outcome),
}

impl Error {
    pub(super) fn call(verb: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Call {
            verb,
            source: Box::new(source),
        }
    }

    /// The same error without the API server's text.
    pub(super) fn confidential(self) -> Self {
        let Self::Call { verb, source } = self else {
            return self;
        };
        let (reason, code) = match *source {
            kube::Error::Api(status) => (status.reason, status.code),
            _ => ("no answer".into(), 0),
        };
        Self::Secret { verb, reason, code }
    }

    /// The HTTP status code of the API server's answer, if there was one.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Call { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Secret { code, .. } => Some(*code),
            Self::Raced | Self::Encode(_) | Self::Stopped(_) => None,
        }
    }

    /// Whether the API server refused an object for what is in it.
    pub(super) fn is_invalid(&self) -> bool {
        matches!(self, Self::Call { source, .. } if errors::is_invalid(source))
    }

    /// Whether the API server, an admission policy or a quota refused an object.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Call { source, .. } = self else {
            return false;
        };
        matches!(
            errors::class(source),
            FailureClass::Invalid | FailureClass::Denied
        )
    }

    /// Whether a create failed because an object of this name exists.
    pub(super) fn is_already_exists(&self) -> bool {
        let Self::Call { source, .. } = self else {
            return false;
        };
        matches!(source.as_ref(), kube::Error::Api(status) if status.reason == "AlreadyExists")
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        let (verb, text, class) = match error {
            Error::Stopped(outcome) => return outcome,
            Error::Call { verb, source } => (Some(verb), errors::explain(&source), errors::class(&source)),
            Error::Secret { verb, reason, code } => {
                // No answer, or a server error, cannot be corrected in the Secret.
                let is_servers = matches!(code, 0 | 500..);
                let class = if is_servers {
                    FailureClass::Call
                } else {
                    FailureClass::Secret
                };
                (Some(verb), format!("{reason} (HTTP {code})"), class)
            }
            Error::Raced => (None, error.to_string(), FailureClass::Raced),
            Error::Encode(_) => (None, error.to_string(), FailureClass::Encode),
        };
        Self::Failed(WriteFailure { verb, text, class })
    }
}
