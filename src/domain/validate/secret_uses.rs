//! Presence of the Secrets and keys that the pod uses.
//!
//! Every finding blocks the pod template: a pod without a required key does not start, and one with a wrong value crashes. A pod
//! that runs keeps running.

use std::fmt::Write;

use super::database::observed_problem;
use super::{Concern, Finding, Severity, Violation, values};
use crate::api::{names, reasons};
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::{Origin, Purpose, SecretData, SecretUse, generation};

/// The field whose `key` the Go operator documented as a connection string.
const POSTGRES_REF: &str = "spec.database.postgresSecretRef";
/// The key that its documentation names.
const CONNECTION_STRING: &str = "connection-string";

/// Judges all uses. One missing Secret is one finding, no matter how many of its keys are used.
pub(super) fn findings(observed: &Observed, uses: &[SecretUse]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for used in uses {
        if seen.contains(&used.secret.as_str()) {
            continue;
        }
        seen.push(&used.secret);
        let of_secret: Vec<&SecretUse> = uses.iter().filter(|other| other.secret == used.secret).collect();
        findings.extend(judge(observed, &used.secret, &of_secret));
    }
    findings.into_iter().map(Finding::blocking).collect()
}

fn judge(observed: &Observed, name: &str, uses: &[&SecretUse]) -> Vec<Violation> {
    match observed.secrets.get(name) {
        Some(Read::Found(data)) => missing_keys(observed, name, uses, data)
            .into_iter()
            .chain(bad_values(observed, uses, data))
            .collect(),
        Some(Read::Unreadable(error)) => vec![unreadable(name, uses, error)],
        Some(Read::Missing) => missing_secret(observed, name, uses).into_iter().collect(),
        None => vec![unreadable(name, uses, "it was not read")],
    }
}

fn unreadable(name: &str, uses: &[&SecretUse], error: &str) -> Violation {
    let reason = of_percona(
        uses,
        reasons::DATABASE_SECRET_UNREADABLE,
        reasons::SECRET_UNREADABLE,
    );
    let message = format!(
        "Secret {name} cannot be read ({}): {error}. The pod keeps its present values. Check that the operator may get Secrets",
        users(uses)
    );
    Violation {
        reason,
        message,
        concern: concern(uses),
        severity: Severity::Unknown,
    }
}

fn missing_secret(observed: &Observed, name: &str, uses: &[&SecretUse]) -> Option<Violation> {
    let needed: Vec<&SecretUse> = uses.iter().copied().filter(|used| !used.optional).collect();
    match needed.first()?.origin {
        Origin::User(_) => {
            let message = format!(
                "Secret {name} not found ({}): create it with these keys, or correct the reference",
                users(&needed)
            );
            Some(waiting(reasons::SECRET_NOT_FOUND, &needed, message))
        }
        Origin::Percona => {
            let message = format!(
                "Secret {name} not found: the Percona Operator for PostgreSQL creates it for the user of the cluster"
            );
            // If the cluster cannot be read, it is unknown whether the Secret will be created. That is reported first.
            let is_known =
                observed_problem(observed).is_none_or(|problem| problem.severity != Severity::Unknown);
            let severity = if is_known {
                Severity::Waiting
            } else {
                Severity::Unknown
            };
            let missing = waiting(reasons::DATABASE_SECRET_MISSING, &needed, message);
            Some(Violation { severity, ..missing })
        }
        Origin::Managed => missing_managed(observed, name, &needed),
    }
}

/// Only the signing key: the first password is optional for the pod.
fn missing_managed(observed: &Observed, name: &str, uses: &[&SecretUse]) -> Option<Violation> {
    // It is deleted with its server if the policy says so.
    if observed.server.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let purpose = uses.first()?.purpose;
    if generation::is_allowed(observed, purpose) {
        let message = format!(
            "Secret {name} cannot be generated, because the operating system provides no random bytes. The operator retries"
        );
        let is_drawn = !observed.fresh.jwt_key.is_empty();
        return (!is_drawn).then(|| waiting(reasons::SECRET_NOT_FOUND, uses, message));
    }
    let left = match (&observed.stateful_set, &observed.claims) {
        (Read::Found(_), _) if generation::exists(observed) => {
            "its server exists (a running pod is not changed)"
        }
        (Read::Found(_) | Read::Missing, Read::Found(_)) => "volumes of an earlier server exist",
        // The conditions of the StatefulSet and the violation about the claims report this.
        (Read::Unreadable(_), _) | (_, Read::Missing | Read::Unreadable(_)) => return None,
    };
    let message = format!(
        "Secret {name}, which this operator generated, is missing while {left}. A new key is not generated without a request: restore the Secret, or create it with {}; or set the annotation {} to a new value. Then a new key is generated, the server starts with it, and all users must sign in again",
        keys_wanted(uses),
        names::ROTATE_SECRETS_ANNOTATION
    );
    let severity = Severity::Terminal;
    Some(Violation {
        reason: reasons::MANAGED_SECRET_LOST,
        message,
        concern: Concern::Config,
        severity,
    })
}

fn missing_keys(
    observed: &Observed,
    name: &str,
    uses: &[&SecretUse],
    data: &SecretData,
) -> Option<Violation> {
    let missing: Vec<&SecretUse> = uses
        .iter()
        .copied()
        .filter(|used| !used.optional && data.value(&used.key).is_none())
        .collect();
    let first = missing.first()?;
    if first.origin == Origin::User(POSTGRES_REF) && has_connection_string(observed, data) {
        return Some(connection_string(name));
    }
    let remedy = match first.origin {
        Origin::User(_) => "add the key to the Secret, or correct the reference".into(),
        Origin::Managed => format!(
            "add {}. A generated Secret is never overwritten",
            keys_wanted(&missing)
        ),
        Origin::Percona => "the Percona Operator for PostgreSQL writes it. Read its logs".into(),
    };
    let keys: Vec<&str> = missing.iter().map(|used| used.key.as_str()).collect();
    let plural = if keys.len() == 1 { "key" } else { "keys" };
    let message = format!(
        "Secret {name} lacks the {plural} {}, or the value is empty ({}): {remedy}",
        keys.join(", "),
        user(first)
    );
    let reason = of_percona(
        &missing,
        reasons::DATABASE_SECRET_KEY_MISSING,
        reasons::SECRET_KEY_MISSING,
    );
    Some(waiting(reason, &missing, message))
}

/// Whether the Secret has a whole connection string instead of its parts.
fn has_connection_string(observed: &Observed, data: &SecretData) -> bool {
    let named = observed
        .server
        .spec
        .postgres_secret_ref()
        .and_then(|reference| data.value(&reference.key));
    let is_uri = named.is_some_and(|value| value.windows(3).any(|window| window == b"://"));
    is_uri || data.value(CONNECTION_STRING).is_some()
}

fn connection_string(name: &str) -> Violation {
    let message = format!(
        "Secret {name} ({POSTGRES_REF}) has a connection string, but the server reads its parts: add the keys host, database, user and password, and port and sslmode if needed. The operator does not split the string, because the value of a Secret never leaves its Secret"
    );
    let severity = Severity::Terminal;
    Violation {
        reason: reasons::CONNECTION_STRING_UNSUPPORTED,
        message,
        concern: Concern::Config,
        severity,
    }
}

/// A server that exists has read the first password already, and ignores it.
fn bad_values(observed: &Observed, uses: &[&SecretUse], data: &SecretData) -> Vec<Violation> {
    let is_ignored = |violation: &Violation, used: &SecretUse| {
        used.purpose == Purpose::AdminPassword
            && violation.reason == reasons::SECRET_VALUE_ENDS_WITH_NEWLINE
            && generation::exists(observed)
    };
    let bad = uses.iter().filter_map(|used| {
        let violation = bad_value(used, data)?;
        (!is_ignored(&violation, used)).then_some(violation)
    });
    bad.collect()
}

fn bad_value(used: &SecretUse, data: &SecretData) -> Option<Violation> {
    let (reason, remedy) = values::problem(used.purpose, data.value(&used.key)?)?;
    let reason = of_percona(&[used], reasons::DATABASE_SECRET_INVALID, reason);
    let message = format!(
        "Secret {}, key {} ({}): the value {remedy}",
        used.secret,
        used.key,
        user(used)
    );
    Some(Violation {
        reason,
        message,
        concern: concern(&[used]),
        severity: Severity::Terminal,
    })
}

fn waiting(reason: &'static str, uses: &[&SecretUse], message: String) -> Violation {
    Violation {
        reason,
        message,
        concern: concern(uses),
        severity: Severity::Waiting,
    }
}

fn of_percona(uses: &[&SecretUse], percona: &'static str, other: &'static str) -> &'static str {
    if concern(uses) == Concern::Database {
        percona
    } else {
        other
    }
}

fn concern(uses: &[&SecretUse]) -> Concern {
    let of_percona = uses.first().is_some_and(|used| used.origin == Origin::Percona);
    if of_percona {
        Concern::Database
    } else {
        Concern::Config
    }
}

fn user(used: &SecretUse) -> &'static str {
    match used.origin {
        Origin::User(field) => field,
        Origin::Managed => "generated by this operator",
        Origin::Percona => "written by the Percona Operator for PostgreSQL",
    }
}

/// The fields that use the Secret, and which of its keys: `spec.controlPlane.certSecretName: tls.crt, tls.key`.
fn users(uses: &[&SecretUse]) -> String {
    let mut text = String::new();
    let mut last = None;
    for used in uses {
        // Writing to a String cannot fail.
        let _ = match last == Some(used.origin) {
            true => write!(text, ", {}", used.key),
            false if text.is_empty() => write!(text, "{}: {}", user(used), used.key),
            false => write!(text, "; {}: {}", user(used), used.key),
        };
        last = Some(used.origin);
    }
    text
}

/// The keys of a managed Secret, with what the server requires of them.
fn keys_wanted(uses: &[&SecretUse]) -> String {
    let wanted = |used: &&SecretUse| match used.purpose {
        Purpose::JwtKey => format!("the key {} of at least 32 characters", used.key),
        Purpose::AdminPassword => format!("the key {} of 8 to 72 bytes", used.key),
        _ => format!("the key {}", used.key),
    };
    uses.iter().map(wanted).collect::<Vec<_>>().join(" and ")
}
