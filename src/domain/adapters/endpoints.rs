//! Where clients reach the adapters, and whether they serve: a part of the status.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::exposed::adapter_type;
use super::names::port_name;
use super::report::Reachability;
use crate::api::{ApiStatus, Endpoint, ServiceType, reasons};
use crate::domain::load_balancers;
use crate::domain::observed::{Observed, Read};
use crate::domain::workload::pods;

/// Message while the API cannot answer because no pod runs.
pub const NOT_RUNNING: &str = "no pod of the server is ready";

/// One endpoint for each Service of an adapter, sorted by the name of the Service. If Services or pods cannot be read, those of the
/// status stay.
#[must_use]
pub fn endpoints(observed: &Observed) -> Vec<Endpoint> {
    let (Read::Found(services), false) = (&observed.services, is_unreadable(&observed.pods)) else {
        let status = observed.server.status.as_ref();
        return status.map_or_else(Vec::new, |status| status.endpoints.clone());
    };
    let mut endpoints: Vec<Endpoint> = services
        .iter()
        .filter_map(|service| endpoint(observed, service))
        .collect();
    endpoints.sort_by(|one, other| one.service.cmp(&other.service));
    endpoints
}

fn endpoint(observed: &Observed, service: &Service) -> Option<Endpoint> {
    let protocol = adapter_type(&service.metadata, observed)?;
    let spec = service.spec.as_ref()?;
    let port = client_port(spec.ports.as_deref()?, &protocol)?;
    let name = service.name_any();
    let problem = problem(observed, service, &protocol);
    Some(Endpoint {
        host: load_balancers::address(service)
            .unwrap_or_else(|| format!("{name}.{}.svc", observed.server.namespace().unwrap_or_default())),
        cluster_ip: spec.cluster_ip.clone(),
        port: port.port,
        node_port: port.node_port,
        service: name,
        ready: problem.is_none(),
        message: problem,
        protocol,
    })
}

/// The standard port of the protocol, which has its name; else the adapter's own.
fn client_port<'a>(ports: &'a [ServicePort], protocol: &str) -> Option<&'a ServicePort> {
    let named = |name: &str| ports.iter().find(|port| port.name.as_deref() == Some(name));
    named(protocol).or_else(|| named(&port_name(protocol)))
}

fn problem(observed: &Observed, service: &Service, protocol: &str) -> Option<String> {
    if !is_pod_ready(observed) {
        return Some(NOT_RUNNING.to_owned());
    }
    if let Some(adapter) = observed.report.enabled.get(protocol) {
        if !adapter.is_healthy {
            let message = adapter.message.as_deref().unwrap_or("it does not listen");
            return Some(format!("the server says of the adapter: {message}"));
        }
    } else if observed.report.has_answer() && !observed.report.is_unread(protocol) {
        return Some("the server does not run the adapter".to_owned());
    } else if let Some(known) = known(observed, service) {
        // The API has said nothing of it since this operator started.
        return match known.message.as_deref() {
            Some(NOT_RUNNING) => Some("the API of the server has not answered yet".to_owned()),
            message => message.map(str::to_owned),
        };
    }
    let type_ = service.spec.as_ref().and_then(|spec| spec.type_.as_deref());
    let needs_address = type_ == Some(ServiceType::LoadBalancer.as_str());
    (needs_address && load_balancers::address(service).is_none())
        .then(|| "the load balancer has no address yet".to_owned())
}

fn known<'a>(observed: &'a Observed, service: &Service) -> Option<&'a Endpoint> {
    let endpoints = &observed.server.status.as_ref()?.endpoints;
    let name = service.name_any();
    endpoints.iter().find(|endpoint| endpoint.service == name)
}

fn is_unreadable<T>(read: &Read<T>) -> bool {
    matches!(read, Read::Unreadable(_))
}

/// Whether a pod of the server is ready and stays.
#[must_use]
pub fn is_pod_ready(observed: &Observed) -> bool {
    pods::serving(&observed.pods).is_some()
}

/// Whether the operator reaches the API. What an earlier process found out stays until this one knows more.
#[must_use]
pub fn api_status(observed: &Observed) -> Option<ApiStatus> {
    let before = observed
        .server
        .status
        .as_ref()
        .and_then(|status| status.api.as_ref());
    if is_unreadable(&observed.pods) {
        return before.cloned();
    }
    if !is_pod_ready(observed) {
        return before.map(|before| stopped(before, observed.at));
    }
    match &observed.report.api {
        Reachability::Unknown => before.cloned(),
        Reachability::Reachable => Some(ApiStatus {
            reachable: true,
            ..ApiStatus::default()
        }),
        Reachability::Unreachable {
            last_success,
            failure,
        } => Some(ApiStatus {
            reachable: false,
            last_success: last_success
                .map(whole_seconds)
                .or_else(|| before.and_then(|before| before.last_success.clone())),
            message: Some(failure.message.clone()),
        }),
    }
}

fn stopped(before: &ApiStatus, now: Timestamp) -> ApiStatus {
    ApiStatus {
        reachable: false,
        last_success: before
            .last_success
            .clone()
            .or_else(|| before.reachable.then(|| whole_seconds(now))),
        message: Some(NOT_RUNNING.to_owned()),
    }
}

/// The API stores whole seconds.
fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// Why no adapter serves, if that has lasted longer than a rollout may take.
///
/// While the API does not answer, also since this operator started, the condition stays what it is.
#[must_use]
pub fn unavailable(observed: &Observed) -> Option<String> {
    let known = known_unavailable(observed);
    if is_unreadable(&observed.pods) {
        return known;
    }
    if !is_pod_ready(observed) {
        return None;
    }
    let report = &observed.report;
    if !report.has_answer() || report.api != Reachability::Reachable {
        return known;
    }
    let since = report.unavailable_since?;
    (known.is_some() || left(observed, since) == Duration::ZERO).then(|| {
        let adapters = report.enabled.iter().map(|(adapter_type, adapter)| {
            let message = adapter.message.as_deref().unwrap_or("it does not listen");
            format!("{adapter_type}: {message}")
        });
        let adapters: Vec<String> = adapters.collect();
        format!(
            "The server runs, but none of its adapters serves files ({}). Look at the server's log: kubectl logs {}-0",
            adapters.join("; "),
            observed.server.name_any()
        )
    })
}

fn known_unavailable(observed: &Observed) -> Option<String> {
    let conditions = &observed.server.status.as_ref()?.conditions;
    let mut known = conditions.iter();
    let condition = known.find(|condition| condition.reason == reasons::ADAPTERS_UNAVAILABLE)?;
    Some(condition.message.clone())
}

/// Time until [`unavailable`] changes although nothing else does.
#[must_use]
pub fn recheck_in(observed: &Observed) -> Option<Duration> {
    let since = observed.report.unavailable_since?;
    if observed.report.api != Reachability::Reachable {
        return None;
    }
    Some(left(observed, since)).filter(|left| !left.is_zero())
}

/// The rest of the progress deadline.
fn left(observed: &Observed, since: Timestamp) -> Duration {
    let deadline = i64::from(observed.server.spec.progress_deadline_seconds());
    let passed = observed.at.duration_since(since);
    let left = SignedDuration::from_secs(deadline) - passed;
    Duration::try_from(left).unwrap_or(Duration::ZERO)
}
