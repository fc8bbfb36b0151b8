//! Probes of the server's container (contract, section 2.3).

use k8s_openapi::api::core::v1::{HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::DittoServerSpec;

/// Answers while the process runs.
const ALIVE: &str = "/health";
/// Answers once the stores are open.
const READY: &str = "/health/ready";

/// Restarts the container after three failures.
pub(super) fn liveness(spec: &DittoServerSpec) -> Probe {
    Probe {
        initial_delay_seconds: Some(15),
        period_seconds: Some(10),
        ..probe(spec, ALIVE)
    }
}

/// Takes the pod out of its Services after three failures.
pub(super) fn readiness(spec: &DittoServerSpec) -> Probe {
    Probe {
        initial_delay_seconds: Some(10),
        period_seconds: Some(5),
        ..probe(spec, READY)
    }
}

/// Gives the server 150 seconds to start. No initial delay: the API server drops a zero.
pub(super) fn startup(spec: &DittoServerSpec) -> Probe {
    Probe {
        period_seconds: Some(5),
        failure_threshold: Some(30),
        ..probe(spec, ALIVE)
    }
}

fn probe(spec: &DittoServerSpec, path: &str) -> Probe {
    let port = IntOrString::Int(spec.api_port());
    let timing = Probe {
        timeout_seconds: Some(5),
        success_threshold: Some(1),
        failure_threshold: Some(3),
        ..Probe::default()
    };
    // The kubelet has no client certificate, so with mutual TLS it can only check that the port is open.
    if spec.client_ca_secret_name().is_some() {
        return Probe {
            tcp_socket: Some(TCPSocketAction {
                port,
                ..TCPSocketAction::default()
            }),
            ..timing
        };
    }
    let scheme = if spec.cert_secret_name().is_some() {
        "HTTPS"
    } else {
        "HTTP"
    };
    let get = HTTPGetAction {
        path: Some(path.to_owned()),
        port,
        scheme: Some(scheme.to_owned()),
        ..HTTPGetAction::default()
    };
    Probe {
        http_get: Some(get),
        ..timing
    }
}
