//! Why the pod of a server does not serve, in one line, read from the status of the pod.
//!
//! The first cause that applies, in this order: the pod does not exist, is being deleted, was evicted, its image cannot be pulled,
//! its container cannot be created or crashes, its volumes are not bound, no node accepts it, it runs but is not ready.

use std::cell::OnceCell;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use kube::ResourceExt;

use super::{bounded, ending};
use crate::api::names;
use crate::domain::desired::wanted_hash;
use crate::domain::observed::{Observed, Read};
use crate::domain::redact::Redactor;
use crate::domain::workload::pods::{condition, is_ready};
use crate::domain::workload::{pod_template, rollout};
use crate::domain::{data_home, volumes};

/// Maximum length, in bytes, of a quote from the kubelet, the scheduler or the container.
const QUOTE_MAX: usize = 240;
/// A message of this length, in bytes, may be the end of a longer one: the kubelet keeps the last 2048 bytes of a log and 4096 of a
/// termination message, minus an incomplete character.
const CUT_AT: usize = 2040;
/// Reasons of the kubelet: it cannot pull an image.
const IMAGE_REASONS: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];
/// Reasons of the kubelet: it cannot create a container from an image.
const CREATE_REASONS: [&str; 4] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PostStartHookError",
];
const CRASH_REASON: &str = "CrashLoopBackOff";

/// Why a pod does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodCause {
    /// One line that begins with the pod's name.
    pub message: String,
    /// Whether something is wrong. Normal phases of a start or a stop are reported only after the deadline.
    pub is_fault: bool,
}

/// Why the pod of a server is not ready. `None` if it is ready, or if no pod is wanted and none exists.
#[must_use]
pub fn pod_cause(observed: &Observed) -> Option<PodCause> {
    let wanted = observed.server.spec.desired_replicas() > 0;
    let name = names::pod(&observed.server.name_any());
    let (message, is_fault) = match &observed.pods {
        Read::Unreadable(error) => (format!("its status cannot be read: {error}"), false),
        Read::Missing => return None,
        Read::Found(pods) => match pods.iter().find(|pod| pod.name_any() == name) {
            Some(pod) => PodReader::new(observed, pod).of_pod(pod)?,
            None if wanted => absent(observed),
            None => return None,
        },
    };
    Some(PodCause {
        message: format!("pod {name}: {message}"),
        is_fault,
    })
}

/// A pod that does not exist. Its claims are created first. If one is refused, only an event of the StatefulSet shows why.
fn absent(observed: &Observed) -> (String, bool) {
    let live = observed
        .stateful_set
        .found()
        .filter(|live| rollout::is_seen(live));
    let missing = live
        .and_then(|live| volumes::missing_claims(observed, live))
        .unwrap_or_default();
    if missing.is_empty() {
        let message = "does not exist yet. If this lasts, the events of the StatefulSet show why";
        return (message.into(), false);
    }
    let message = format!(
        "does not exist, because PersistentVolumeClaim {} was not created yet. kubectl describe statefulset {} shows why it is refused",
        missing.join(", "),
        names::stateful_set(&observed.server.name_any())
    );
    (message, true)
}

/// Reads the status of a pod, and knows which values must not be quoted.
struct PodReader<'a> {
    observed: &'a Observed,
    /// The config hash of the pod: it covers the values that the pod read at its start.
    config_hash: Option<&'a str>,
    /// Passwords, keys and tokens that the pod knows. `None` if one of them is not known here: then nothing is quoted.
    /// Computed for the first quote, because most pods have none.
    confidential: OnceCell<Option<Redactor>>,
}

impl<'a> PodReader<'a> {
    fn new(observed: &'a Observed, pod: &'a Pod) -> Self {
        Self {
            observed,
            config_hash: pod_template::hash_on(&pod.metadata),
            confidential: OnceCell::new(),
        }
    }

    fn of_pod(&self, pod: &Pod) -> Option<(String, bool)> {
        if pod.metadata.deletion_timestamp.is_some() {
            return Some(("is being deleted".into(), false));
        }
        if is_ready(pod) {
            return None;
        }
        let Some(status) = &pod.status else {
            return Some(("has no status yet".into(), false));
        };
        let fault = self
            .evicted(status)
            .or_else(|| statuses(status).find_map(|container| self.fault(container)))
            .or_else(|| self.unscheduled(pod));
        if let Some(fault) = fault {
            return Some((fault, true));
        }
        let waiting = statuses(status).find(|container| !runs(container));
        Some(match waiting {
            Some(container) => (format!("container {} is being started", container.name), false),
            None if status.container_statuses.as_ref().is_none_or(Vec::is_empty) => {
                ("its containers are not started yet".into(), false)
            }
            None => (not_ready(status), true),
        })
    }

    /// A pod that failed as a whole: it was evicted, or its node refused it.
    fn evicted(&self, status: &PodStatus) -> Option<String> {
        if status.phase.as_deref() != Some("Failed") {
            return None;
        }
        let reason = status.reason.as_deref().unwrap_or("no reason given");
        Some(format!(
            "has failed ({reason}){}",
            self.after_colon(status.message.as_deref())
        ))
    }

    fn fault(&self, container: &ContainerStatus) -> Option<String> {
        let state = container.state.as_ref()?;
        let waiting = state.waiting.as_ref();
        let reason = waiting
            .and_then(|waiting| waiting.reason.as_deref())
            .unwrap_or_default();
        let message = self.after_colon(waiting.and_then(|waiting| waiting.message.as_deref()));
        let name = &container.name;
        if IMAGE_REASONS.contains(&reason) {
            return Some(format!(
                "image {} cannot be pulled ({reason}){message}",
                container.image
            ));
        }
        if CREATE_REASONS.contains(&reason) {
            return Some(format!("container {name} cannot be created ({reason}){message}"));
        }
        self.crashed(container, state, reason == CRASH_REASON)
    }

    /// A container that exited and does not run again: its exit code and its last message.
    fn crashed(&self, container: &ContainerStatus, state: &ContainerState, loops: bool) -> Option<String> {
        let last = || {
            container
                .last_state
                .as_ref()
                .and_then(|last| last.terminated.as_ref())
        };
        let ended = state.terminated.as_ref().or_else(last);
        if state.running.is_some() || (ended.is_none() && !loops) {
            return None;
        }
        let name = &container.name;
        let how = if loops {
            "crashes in a loop (CrashLoopBackOff)"
        } else {
            "has exited"
        };
        let end = ended.map(|ended| self.exit(ended)).unwrap_or_default();
        Some(format!("container {name} {how}{end}{}", restarts(container)))
    }

    fn exit(&self, ended: &ContainerStateTerminated) -> String {
        let signal = ended.signal.filter(|signal| *signal != 0);
        let signal = signal
            .map(|signal| format!(", signal {signal}"))
            .unwrap_or_default();
        let reason = ended.reason.as_deref().filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let message = self.last_message(ended.message.as_deref());
        let message = message
            .map(|line| format!(", last message \"{line}\""))
            .unwrap_or_default();
        format!(", exit code {}{signal}{reason}{message}", ended.exit_code)
    }

    fn unscheduled(&self, pod: &Pod) -> Option<String> {
        let (status, message) = condition(pod, "PodScheduled")?;
        if status != "False" {
            return None;
        }
        let message = self.after_colon(message);
        let unbound = self.unbound_claims(pod);
        if unbound.is_empty() {
            return Some(format!("no node accepts it (Unschedulable){message}"));
        }
        let unbound = unbound.join(", ");
        Some(format!("volume claims are not bound: {unbound}{message}"))
    }

    /// The claims of a pod that exist and are not bound.
    fn unbound_claims(&self, pod: &Pod) -> Vec<String> {
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let used = volumes.filter_map(|volume| Some(&volume.persistent_volume_claim.as_ref()?.claim_name));
        let claims = self.observed.claims.found().map(Vec::as_slice);
        let is_unbound = |name: &&String| {
            let claim = claims
                .unwrap_or_default()
                .iter()
                .find(|claim| claim.name_any() == **name);
            claim.is_some_and(|claim| {
                let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
                phase != Some("Bound")
            })
        };
        let with_class = |name: &String| {
            let claim = claims
                .unwrap_or_default()
                .iter()
                .find(|claim| claim.name_any() == *name);
            let class = claim.and_then(|claim| claim.spec.as_ref()?.storage_class_name.as_deref());
            class.map_or_else(|| name.clone(), |class| format!("{name} (StorageClass {class})"))
        };
        used.filter(is_unbound).map(with_class).collect()
    }

    fn after_colon(&self, text: Option<&str>) -> String {
        self.quote(text)
            .map(|line| format!(": {line}"))
            .unwrap_or_default()
    }

    /// The end of the last message of a container: the message is the end of its log, so the last line has the cause. It is quoted only if
    /// the pod was started with the values that the Secrets have now: other values cannot be recognised in it.
    fn last_message(&self, text: Option<&str>) -> Option<String> {
        let is_known = self.config_hash? == wanted_hash(self.observed)?;
        let line = self.line(text).filter(|_| is_known)?;
        Some(ending(&line, QUOTE_MAX))
    }

    fn quote(&self, text: Option<&str>) -> Option<String> {
        self.line(text).map(|line| bounded(line, QUOTE_MAX))
    }

    /// Another program's text as one line. A container may print anything when it crashes, also values of the server's
    /// Secrets. They are removed before the line is shortened.
    fn line(&self, text: Option<&str>) -> Option<String> {
        let confidential = self.confidential.get_or_init(|| confidential(self.observed));
        let text = confidential.as_ref()?.text(whole_lines(text?));
        let words = text.split(|c: char| c.is_whitespace() || c.is_control());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

/// A text without its first line if the kubelet may have cut it: a part of a password would not be recognised.
fn whole_lines(text: &str) -> &str {
    if text.len() < CUT_AT {
        return text;
    }
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

/// What must not be quoted. `None` if a value cannot be read now: the pod may know it all the same.
fn confidential(observed: &Observed) -> Option<Redactor> {
    let mut values = Vec::new();
    let uses = data_home::uses(observed);
    for used in uses.iter().filter(|used| used.purpose.is_confidential()) {
        match observed.secrets.get(&used.secret) {
            Some(Read::Found(_)) => values.extend(observed.value(used)),
            Some(Read::Missing) if used.optional => {}
            _ => return None,
        }
    }
    Some(Redactor::of(values))
}

/// Init containers come first: the other containers wait for them.
fn statuses(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    let init = status.init_container_statuses.iter().flatten();
    init.filter(|container| !has_completed(container))
        .chain(status.container_statuses.iter().flatten())
}

fn has_completed(container: &ContainerStatus) -> bool {
    let ended = container
        .state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    ended.is_some_and(|ended| ended.exit_code == 0)
}

fn runs(container: &ContainerStatus) -> bool {
    container
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some())
}

fn restarts(container: &ContainerStatus) -> String {
    match container.restart_count {
        0 => String::new(),
        1 => ", restarted once".into(),
        count => format!(", restarted {count} times"),
    }
}

fn not_ready(status: &PodStatus) -> String {
    let unready = status
        .container_statuses
        .iter()
        .flatten()
        .find(|container| !container.ready);
    unready.map_or_else(
        || "its containers run, but it is not ready".into(),
        |container| {
            let restarts = restarts(container);
            format!("container {} runs but is not ready{restarts}", container.name)
        },
    )
}

#[cfg(test)]
mod tests;
