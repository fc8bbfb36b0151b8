//! Fields that admission refuses today, in objects that were stored before it did.
//!
//! Only what prevents the server from running is judged here: a stored object that works continues to work.

use kube::ResourceExt;

use super::{Concern, Finding, Severity, Violation, database};
use crate::api::rules::{NAME_MAX, NAME_MAX_WITH_PERCONA};
use crate::api::{DittoServer, DittoServerSpec, LdapSpec, duration, reasons};
use crate::domain::observed::Observed;

/// Longest name of a StatefulSet whose pods can be created: they have a label `<name>-<hash>` of at most 63 characters with a hash
/// of up to 10. Admission allows a little less ([`NAME_MAX`]), for children of later versions.
const STATEFUL_SET_NAME_MAX: usize = 52;

/// A name with which no child can be created.
pub(super) fn unusable_name(server: &DittoServer) -> Option<Violation> {
    let name = server.name_any();
    let starts_with_letter = name.starts_with(|c: char| c.is_ascii_lowercase());
    let ends_with_alphanumeric = name.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_label = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if starts_with_letter && ends_with_alphanumeric && is_label && name.len() <= STATEFUL_SET_NAME_MAX {
        return None;
    }
    let message = format!(
        "metadata.name does not fit the children that are named after it: use at most {NAME_MAX} characters, only a-z, 0-9 and '-', a letter first and no '-' last. A name cannot be changed: create a new DittoServer"
    );
    Some(terminal(reasons::INVALID_NAME, Concern::Config, message))
}

/// Everything in the spec that prevents the server from running.
pub(super) fn findings(observed: &Observed) -> Vec<Finding> {
    let spec = &observed.server.spec;
    let mut findings: Vec<Finding> = two_databases(spec)
        .into_iter()
        .chain(crashing_fields(spec))
        .map(Finding::blocking)
        .collect();
    findings.extend(name_with_percona(observed));
    findings
}

fn two_databases(spec: &DittoServerSpec) -> Option<Violation> {
    if !spec.percona_enabled() || spec.postgres_secret_ref().is_none() {
        return None;
    }
    let message = "spec.percona.enabled and spec.database.postgresSecretRef are both set, but a server has one database: remove one of them";
    Some(terminal(
        reasons::CONFLICTING_DATABASES,
        Concern::Config,
        message.into(),
    ))
}

fn name_with_percona(observed: &Observed) -> Option<Finding> {
    let fits = observed.server.name_any().len() <= NAME_MAX_WITH_PERCONA;
    if fits || !observed.server.spec.percona_enabled() {
        return None;
    }
    let message = format!(
        "metadata.name has more than {NAME_MAX_WITH_PERCONA} characters, too many for the pods of a PostgreSQL cluster: use spec.database.postgresSecretRef instead of spec.percona, or create a new DittoServer with a shorter name"
    );
    let violation = terminal(reasons::INVALID_NAME, Concern::Database, message);
    Some(Finding {
        violation,
        blocks_pod: !database::is_used_by_pod(observed),
    })
}

/// Fields on which the server exits at start (contract, section 9, 28).
fn crashing_fields(spec: &DittoServerSpec) -> impl Iterator<Item = Violation> {
    let messages = [
        duration_problem(
            "spec.identity.jwt.accessTokenDuration",
            spec.access_token_duration(),
        ),
        duration_problem(
            "spec.identity.jwt.refreshTokenDuration",
            spec.refresh_token_duration(),
        ),
        port_problem(
            "spec.controlPlane.port",
            spec.control_plane.as_ref().and_then(|api| api.port),
        ),
        port_problem(
            "spec.metrics.port",
            spec.metrics.as_ref().and_then(|metrics| metrics.port),
        ),
        ports_problem(spec),
        spec.ldap()
            .filter(|ldap| ldap.enabled)
            .and_then(|ldap| ldap_problem(spec, ldap)),
    ];
    messages
        .into_iter()
        .flatten()
        .map(|message| terminal(reasons::INVALID_SPEC, Concern::Config, message))
}

fn duration_problem(field: &str, value: &str) -> Option<String> {
    let is_duration = duration::parse_go(value).is_some();
    (!is_duration).then(|| format!("{field} is not a duration: write for example 15m or 24h"))
}

/// A port that no Service can have. The children are built with the default meanwhile. Zero is the default, too.
fn port_problem(field: &str, port: Option<i32>) -> Option<String> {
    let port = port.filter(|port| !(0..=65_535).contains(port))?;
    Some(format!(
        "{field} is {port}, which is no port: choose one from 1 to 65535"
    ))
}

fn ports_problem(spec: &DittoServerSpec) -> Option<String> {
    let clash = spec.metrics_enabled() && spec.metrics_port() == spec.api_port();
    clash.then(|| {
        let port = spec.api_port();
        format!("spec.metrics.port and spec.controlPlane.port are both {port}: change one of them")
    })
}

fn ldap_problem(spec: &DittoServerSpec, ldap: &LdapSpec) -> Option<String> {
    if spec.ldap_bind_password_ref().is_none() {
        return Some("spec.identity.ldap is enabled without bindPasswordSecretRef: name the Secret with the bind password".into());
    }
    // As in URLs, capitals of the scheme do not matter.
    let url = ldap.url.to_ascii_lowercase();
    let encrypted = url.starts_with("ldaps://");
    if !encrypted && !url.starts_with("ldap://") {
        return Some("spec.identity.ldap.url must start with ldaps:// or ldap://".into());
    }
    let allowed = encrypted || ldap.start_tls || ldap.allow_plaintext;
    (!allowed).then(|| {
        "spec.identity.ldap.url is not encrypted: use ldaps://, or set startTLS, or set allowPlaintext to allow it".into()
    })
}

fn terminal(reason: &'static str, concern: Concern, message: String) -> Violation {
    Violation {
        reason,
        message,
        concern,
        severity: Severity::Terminal,
    }
}
