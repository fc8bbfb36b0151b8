//! Adapters that are restarted, or have to be.
//!
//! The server applies some settings of an adapter only when the adapter starts. A restart cuts the clients of the adapter, so the
//! operator never makes one without a request: an annotation of the DittoServer, of which each new value is one request.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::api::names::{NFS, RESTART_NFS_ANNOTATION, RESTART_SMB_ANNOTATION, SMB};
use crate::api::{AdapterRestartStatus, DittoServer};
use crate::domain::server_settings::Outcome;

/// The adapters that can be restarted, with the annotation that requests it.
const ANNOTATIONS: [(&str, &str); 2] = [(NFS, RESTART_NFS_ANNOTATION), (SMB, RESTART_SMB_ANNOTATION)];
/// Longest part of a value that counts, in characters. An annotation may have 256 KiB.
const VALUE_MAX: usize = 64;

/// A request of the user that has not been carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The adapter.
    pub adapter: &'static str,
    /// The value of the annotation.
    pub value: String,
}

/// What an operator left in the configuration of an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The request.
    pub request: String,
    /// Whether the operator disabled the adapter and has not yet enabled it again.
    pub stopped: bool,
}

/// An adapter as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whether the server should run it.
    pub is_enabled: bool,
    /// The mark of an operator.
    pub mark: Option<Mark>,
}

/// The next step of a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Disable the adapter, then enable it.
    Stop,
    /// Enable the adapter: an operator disabled it for this request.
    Start,
    /// The adapter was restarted already.
    Nothing,
    /// Leave the adapter alone: somebody disabled it.
    Refuse,
}

/// The next step for a request.
#[must_use]
pub fn next(row: &Row, request: &Request) -> Next {
    let mark = row.mark.as_ref().filter(|mark| mark.request == request.value);
    match (row.is_enabled, mark) {
        (true, None) => Next::Stop,
        (false, Some(mark)) if mark.stopped => Next::Start,
        // It was restarted, by the operator or by a person who enabled it again. It may have been disabled since.
        (_, Some(_)) => Next::Nothing,
        (false, None) => Next::Refuse,
    }
}

/// The requests that have not been carried out.
#[must_use]
pub fn requests(server: &DittoServer) -> Vec<Request> {
    let requests = ANNOTATIONS.into_iter().filter_map(|(adapter, annotation)| {
        let value = server.annotations().get(annotation)?;
        let value: String = value.chars().take(VALUE_MAX).collect();
        let known = known(server).into_iter().find(|known| known.adapter == adapter);
        let handled = known.and_then(|known| known.last_request);
        (!value.is_empty() && handled.as_ref() != Some(&value)).then_some(Request { adapter, value })
    });
    requests.collect()
}

/// What is known of restarts.
#[must_use]
pub fn known(server: &DittoServer) -> Vec<AdapterRestartStatus> {
    let status = server.status.as_ref();
    status
        .map(|status| status.adapter_restarts.clone())
        .unwrap_or_default()
}

/// The restarts for the status. Before the API was asked, what is known stays.
#[must_use]
pub fn status(server: &DittoServer, outcome: Option<&Outcome>) -> Vec<AdapterRestartStatus> {
    match outcome {
        Some(outcome) => outcome.restarts.clone(),
        None => known(server),
    }
}

/// What a user types to have an adapter restarted. `None` for an adapter that cannot be restarted.
#[must_use]
pub fn command(server: &DittoServer, adapter: &str) -> Option<String> {
    let (_, annotation) = ANNOTATIONS.into_iter().find(|(known, _)| *known == adapter)?;
    let name = server.name_any();
    Some(format!(
        "kubectl annotate --overwrite dittoserver {name} {annotation}=\"$(date +%s)\""
    ))
}

/// The restarts of all adapters while settings are applied.
#[derive(Clone, Debug)]
pub struct Restarts {
    /// Start of the server process.
    started: Option<Time>,
    states: BTreeMap<String, AdapterRestartStatus>,
}

impl Restarts {
    /// What is known, for the process that runs now. One that started later uses all settings.
    #[must_use]
    pub fn new(known: &[AdapterRestartStatus], started: Option<Timestamp>) -> Self {
        let started = started.map(Time);
        let states = known.iter().cloned().map(|mut state| {
            if state.required && state.server_started != started {
                state = AdapterRestartStatus {
                    adapter: state.adapter,
                    last_request: state.last_request,
                    ..AdapterRestartStatus::default()
                };
            }
            (state.adapter.clone(), state)
        });
        Self {
            states: states.collect(),
            started,
        }
    }

    /// A setting is written that the adapter uses after its next start.
    pub fn require(&mut self, adapter: &str, message: String) {
        let started = self.started.clone();
        let state = self.state(adapter);
        state.required = true;
        state.server_started = started;
        state.message = Some(message);
    }

    /// Whether the adapter needs a restart for this reason.
    #[must_use]
    pub fn is_required(&self, adapter: &str, message: &str) -> bool {
        let state = self.states.get(adapter);
        state.is_some_and(|state| state.required && state.message.as_deref() == Some(message))
    }

    /// A request was handled: the adapter was restarted, or there was nothing to restart.
    pub fn handled(&mut self, request: &Request, refusal: Option<&str>) {
        *self.state(request.adapter) = AdapterRestartStatus {
            adapter: request.adapter.to_owned(),
            last_request: Some(request.value.clone()),
            message: refusal.map(str::to_owned),
            ..AdapterRestartStatus::default()
        };
    }

    /// A request could not be carried out. It stays open.
    pub fn failed(&mut self, request: &Request, message: String) {
        self.state(request.adapter).message = Some(message);
    }

    /// The states for the status.
    #[must_use]
    pub fn into_status(self) -> Vec<AdapterRestartStatus> {
        self.states.into_values().collect()
    }

    fn state(&mut self, adapter: &str) -> &mut AdapterRestartStatus {
        let state = self.states.entry(adapter.to_owned()).or_default();
        adapter.clone_into(&mut state.adapter);
        state
    }
}

/// Whether a request for this adapter is not finished. The adapter may be disabled for a moment then.
#[must_use]
pub fn is_requested(server: &DittoServer, adapter: &str) -> bool {
    requests(server).iter().any(|request| request.adapter == adapter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{DittoServerStatus, names};
    use crate::domain::testing;

    fn request(value: &str) -> Request {
        Request {
            adapter: NFS,
            value: value.into(),
        }
    }

    fn row(is_enabled: bool, mark: Option<(&str, bool)>) -> Row {
        let mark = mark.map(|(request, stopped)| Mark {
            request: request.into(),
            stopped,
        });
        Row { is_enabled, mark }
    }

    #[test]
    fn an_adapter_is_stopped_once_for_each_request_and_enabled_only_if_the_operator_disabled_it() {
        for (is_enabled, mark, step) in [
            (true, None, Next::Stop),
            (true, Some(("earlier", false)), Next::Stop),
            (true, Some(("earlier", true)), Next::Stop),
            (false, Some(("now", true)), Next::Start),
            (true, Some(("now", false)), Next::Nothing),
            (true, Some(("now", true)), Next::Nothing),
            (false, Some(("now", false)), Next::Nothing),
            (false, Some(("earlier", false)), Next::Refuse),
            (false, None, Next::Refuse),
        ] {
            let row = row(is_enabled, mark);
            assert_eq!(next(&row, &request("now")), step, "{row:?}");
        }
    }

    fn annotated(value: &str, last: Option<&str>) -> DittoServer {
        let mut server = testing::server("");
        let annotation = (names::RESTART_NFS_ANNOTATION.to_owned(), value.to_owned());
        server.metadata.annotations = Some([annotation].into());
        let known = AdapterRestartStatus {
            adapter: NFS.into(),
            last_request: last.map(str::to_owned),
            ..AdapterRestartStatus::default()
        };
        server.status = Some(DittoServerStatus {
            adapter_restarts: vec![known],
            ..DittoServerStatus::default()
        });
        server
    }

    #[test]
    fn each_new_value_is_one_request() {
        assert_eq!(requests(&annotated("a", None)), [request("a")]);
        assert_eq!(requests(&annotated("b", Some("a"))), [request("b")]);
        assert_eq!(requests(&annotated("a", Some("a"))), []);
        assert_eq!(requests(&annotated("", None)), []);
        assert!(is_requested(&annotated("a", None), NFS));
        assert!(!is_requested(&annotated("a", None), SMB));
        let long = "x".repeat(1000);
        assert_eq!(requests(&annotated(&long, Some(&long[..64]))), []);
    }

    #[test]
    fn a_restart_is_required_until_the_adapter_or_the_server_has_started_again() {
        let process = |second| Timestamp::from_second(second).ok();
        let mut restarts = Restarts::new(&[], process(1));
        restarts.require(NFS, "why".into());
        let known = restarts.into_status();
        assert!(known[0].required);
        assert_eq!(Restarts::new(&known, process(1)).into_status(), known);
        let later = Restarts::new(&known, process(2)).into_status();
        assert!(!later[0].required && later[0].message.is_none());
        let mut restarts = Restarts::new(&known, process(1));
        restarts.handled(&request("a"), None);
        let done = restarts.into_status();
        assert!(!done[0].required && done[0].message.is_none());
        assert_eq!(done[0].last_request.as_deref(), Some("a"));
    }

    #[test]
    fn a_request_that_fails_stays_open() {
        let mut restarts = Restarts::new(&[], None);
        restarts.failed(&request("a"), "no answer".into());
        let state = restarts.into_status();
        assert_eq!(
            (&state[0].last_request, state[0].message.as_deref()),
            (&None, Some("no answer"))
        );
    }
}
