//! `ConfigReady`: the ConfigMap has the rendered configuration, and the Secrets of the pod have valid values.

use kube::ResourceExt;

use super::inputs::config;
use super::{Check, Child, Inputs, Judgement, first_failure, reasons};
use crate::api::names;
use crate::domain::validate::{Concern, Severity, Violation};

const CHECKS: [Check; 8] = [
    conflict,
    violation,
    build_error,
    failure,
    terminating,
    config_map_there,
    key_there,
    as_rendered,
];

pub(super) fn judge(inputs: &Inputs<'_>) -> Judgement {
    let judgement = first_failure(&CHECKS, inputs).unwrap_or_else(|| {
        let mut sentences = vec!["ConfigMap valid and contains configuration"];
        sentences.extend(inputs.config_notes.iter().map(String::as_str));
        Judgement::yes(reasons::CONFIG_VALID, sentences.join(". "))
    });
    let mut notes = inputs.server.unknown_switches();
    notes.extend(inputs.monitoring_note.clone());
    judgement.with_sentences(&notes)
}

fn conflict(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = inputs.conflict(|kind| kind == "ConfigMap")?;
    Some(Judgement::no(reasons::RESOURCE_CONFLICT, message))
}

fn violation(inputs: &Inputs<'_>) -> Option<Judgement> {
    inputs.violation(Concern::Config).map(of_violation)
}

/// A violation as the judgement of the condition that reports it.
pub(super) fn of_violation(violation: &Violation) -> Judgement {
    match violation.severity {
        Severity::Unknown => Judgement::unknown(violation.reason, &violation.message),
        Severity::Waiting | Severity::Terminal => Judgement::no(violation.reason, &violation.message),
    }
}

fn build_error(inputs: &Inputs<'_>) -> Option<Judgement> {
    let error = inputs.build_error.as_ref()?;
    Some(Judgement::no(
        reasons::BUILD_FAILED,
        format!("The children cannot be built: {error}"),
    ))
}

fn is_configuration(kind: &str) -> bool {
    matches!(kind, "ConfigMap" | "Secret")
}

fn failure(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = inputs.failure(is_configuration)?;
    Some(Judgement::no(reasons::APPLY_FAILED, message))
}

fn terminating(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = inputs.terminating(is_configuration)?;
    Some(Judgement::no(reasons::RESOURCE_TERMINATING, message))
}

fn name(inputs: &Inputs<'_>) -> String {
    names::config_map(&inputs.server.name_any())
}

fn config_map_there(inputs: &Inputs<'_>) -> Option<Judgement> {
    match &inputs.config_map {
        Child::Absent => Some(Judgement::no(
            reasons::CONFIG_MAP_NOT_FOUND,
            format!("ConfigMap {} not found", name(inputs)),
        )),
        Child::Unreadable(error) => {
            let message = format!("ConfigMap {} cannot be read: {error}", name(inputs));
            Some(Judgement::unknown(reasons::CONFIG_MAP_UNREADABLE, message))
        }
        Child::Ours(_) | Child::Foreign(_) => None,
    }
}

fn key_there(inputs: &Inputs<'_>) -> Option<Judgement> {
    if config(inputs.config_map.ours()?).is_some() {
        return None;
    }
    let message = format!("ConfigMap {} lacks {} key", name(inputs), names::CONFIG_KEY);
    Some(Judgement::no(reasons::CONFIG_MISSING, message))
}

fn as_rendered(inputs: &Inputs<'_>) -> Option<Judgement> {
    let live = config(inputs.config_map.ours()?)?;
    if inputs.rendered.is_none_or(|rendered| rendered == live) {
        return None;
    }
    let mut message = format!(
        "ConfigMap {} does not have the configuration that the spec asks for",
        name(inputs)
    );
    // The apply does not change it while the pod cannot be updated with it.
    if let Some(refusal) = inputs.failure(|kind| kind == "StatefulSet") {
        message.push_str(": it is not changed until the pod can be updated with it. ");
        message.push_str(&refusal);
    }
    Some(Judgement::no(reasons::CONFIG_OUTDATED, message))
}
