//! What could not be read, and so what no difference can be told of. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt;

use crate::api::{DatabaseBackend, PerconaPGCluster, ServiceMonitor, names};
use crate::domain::observed::ExpansionAnswer;
use crate::domain::observed::{KindState, Observed, Read};
use crate::domain::validate::{Severity, Violation};
use crate::plugin::cluster::NO_PERMISSION_TO_PATCH;

/// One line for each thing that could not be read, with the permission that it takes.
pub(super) fn unread(observed: &Observed, violations: &[Violation]) -> Vec<String> {
    let server = observed.server.name_any();
    let mut lines: Vec<String> = [
        line(
            "StatefulSet",
            &names::stateful_set(&server),
            &observed.stateful_set,
        ),
        line("ConfigMap", &names::config_map(&server), &observed.config_map),
        line("Pod", &names::pod(&server), &observed.pods),
        line("the PersistentVolumeClaims", "", &observed.claims),
    ]
    .into_iter()
    .flatten()
    .collect();
    lines.extend(secrets(observed));
    lines.extend(database(observed));
    lines.extend(service_monitor(observed));
    lines.extend(growths(observed));
    let unknown = violations
        .iter()
        .filter(|violation| violation.severity == Severity::Unknown);
    if lines.is_empty() {
        lines.extend(unknown.map(|violation| violation.message.clone()));
    }
    lines
}

fn line<T>(kind: &str, name: &str, read: &Read<T>) -> Option<String> {
    match read {
        Read::Unreadable(error) => Some(format!("{}: {error}", format!("{kind} {name}").trim_end())),
        Read::Found(_) | Read::Missing => None,
    }
}

/// The reader of Secrets keeps the API server's words to itself, so the permission is named here.
fn secrets(observed: &Observed) -> Vec<String> {
    let mut by_error: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, read) in &observed.secrets {
        if let Read::Unreadable(error) = read {
            by_error.entry(error).or_default().push(name);
        }
    }
    let namespace = observed.server.namespace().unwrap_or_default();
    by_error
        .into_iter()
        .map(|(error, names)| {
            let names = names.join(", ");
            format!("Secret {names}: {error}; it takes `get` on secrets in the namespace {namespace}")
        })
        .collect()
}

fn database(observed: &Observed) -> Option<String> {
    let server = &observed.server;
    if !matches!(server.spec.database_backend(), DatabaseBackend::Percona(_)) {
        return None;
    }
    let name = names::percona_cluster(&server.name_any());
    match &observed.database.kind {
        KindState::Unknown(error) => Some(format!("{} {name}: {error}", PerconaPGCluster::KIND)),
        KindState::Served | KindState::NotServed => {
            line(PerconaPGCluster::KIND, &name, &observed.database.cluster)
        }
    }
}

fn service_monitor(observed: &Observed) -> Option<String> {
    observed.server.spec.service_monitor()?;
    let name = names::metrics_service(&observed.server.name_any());
    match &observed.service_monitors {
        KindState::Unknown(error) => Some(format!("{} {name}: {error}", ServiceMonitor::KIND)),
        KindState::Served | KindState::NotServed => None,
    }
}

fn growths(observed: &Observed) -> Vec<String> {
    let refused = observed
        .expansion_answers
        .iter()
        .filter_map(|(name, answer)| match answer {
            ExpansionAnswer::Refused(text) if text.contains(NO_PERMISSION_TO_PATCH) => {
                Some((name, text.as_str()))
            }
            ExpansionAnswer::Unread => Some((name, "the API server does not say whether it may grow")),
            _ => None,
        });
    refused
        .map(|(name, text)| format!("PersistentVolumeClaim {name}: {text}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::running;
    use crate::domain::validate::validate;

    fn told(observed: &Observed) -> Vec<String> {
        unread(observed, &validate(observed).all())
    }

    #[test]
    fn nothing_is_unread_of_a_server_that_is_seen_whole() {
        assert_eq!(told(&running("")), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_cannot_be_read_is_named_and_secrets_with_their_permission() {
        let mut observed =
            running("{percona: {enabled: true}, metrics: {enabled: true, serviceMonitor: {enabled: true}}}");
        observed.pods = Read::Unreadable("no pods".into());
        observed.claims = Read::Unreadable("no claims".into());
        observed.database.kind = KindState::Unknown("no clusters".into());
        observed.service_monitors = KindState::Unknown("no monitors".into());
        for name in ["a", "b"] {
            let forbidden = Read::Unreadable("Forbidden (HTTP 403)".into());
            observed.secrets.insert(name.into(), forbidden);
        }
        observed.expansion_answers.insert(
            "metadata-files-0".into(),
            ExpansionAnswer::Refused("it cannot patch resource x".into()),
        );
        observed.expansion_answers.insert(
            "content-files-0".into(),
            ExpansionAnswer::Refused("exceeded quota: q".into()),
        );
        assert_eq!(
            told(&observed),
            [
                "Pod files-0: no pods",
                "the PersistentVolumeClaims: no claims",
                "Secret a, b: Forbidden (HTTP 403); it takes `get` on secrets in the namespace storage",
                "PerconaPGCluster files-postgres: no clusters",
                "ServiceMonitor files-metrics: no monitors",
                "PersistentVolumeClaim metadata-files-0: it cannot patch resource x",
            ]
        );
    }

    #[test]
    fn what_validate_could_not_judge_is_never_lost() {
        let mut observed = running("");
        observed.secrets.clear();
        let told = told(&observed);
        assert!(
            told.iter().any(|line| line.contains("cannot be read")),
            "{told:?}"
        );
    }
}
