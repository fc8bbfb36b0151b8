//! The API as the running pod has it. An edit of its port or of its certificate reaches the pod with the next rollout only.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::api::DittoServer;
use crate::api::names::{API_PORT_NAME, CONTAINER};
use crate::domain::observed::Observed;
use crate::domain::workload::pods;

/// The server, with the port of the API that the serving pod has, and without the certificate if the pod has none. What the pod does not
/// show is as in the spec: the certificate of a pod that has one may have left the spec, and then it is not known.
#[must_use]
pub fn as_running(observed: &Observed) -> Cow<'_, DittoServer> {
    let server = observed.server.as_ref();
    let container = pods::serving(&observed.pods).and_then(container);
    let running = container.and_then(|container| with_api_of(server, container));
    running.map_or(Cow::Borrowed(server), Cow::Owned)
}

fn container(pod: &Pod) -> Option<&Container> {
    let mut containers = pod.spec.as_ref()?.containers.iter();
    containers.find(|container| container.name == CONTAINER)
}

/// `None` if the API is as in the spec.
fn with_api_of(server: &DittoServer, container: &Container) -> Option<DittoServer> {
    let mut ports = container.ports.iter().flatten();
    let port = ports.find(|port| port.name.as_deref() == Some(API_PORT_NAME))?;
    let port = port.container_port;
    let gains_certificate = server.spec.cert_secret_name().is_some() && is_plain(container);
    if port == server.spec.api_port() && !gains_certificate {
        return None;
    }
    let mut running = server.clone();
    let api = running.spec.control_plane.get_or_insert_default();
    api.port = Some(port);
    if gains_certificate {
        api.cert_secret_name = None;
        api.tls = false;
    }
    Some(running)
}

/// Whether the kubelet calls the API over plain http.
fn is_plain(container: &Container) -> bool {
    let probe = container.readiness_probe.as_ref();
    let get = probe.and_then(|probe| probe.http_get.as_ref());
    get.is_some_and(|get| get.scheme.as_deref() != Some("HTTPS"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::domain::observed::Read;
    use crate::domain::testing;

    fn observed(spec: &str, port: i32, scheme: &str) -> Observed {
        let container = json!({
            "name": CONTAINER,
            "ports": [{"name": "metrics", "containerPort": 9090}, {"name": "api", "containerPort": port}],
            "readinessProbe": {"httpGet": {"port": port, "scheme": scheme}},
        });
        let pod = json!({
            "metadata": {"name": "files-0"},
            "spec": {"containers": [{"name": "sidecar"}, container]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let mut observed = testing::running(spec);
        observed.pods = Read::Found(vec![Arc::new(pod)]);
        observed
    }

    #[test]
    fn an_api_whose_port_or_certificate_was_edited_is_that_of_the_pod() {
        for (spec, port, scheme, url) in [
            ("", 8080, "HTTP", None),
            ("controlPlane: {port: 8081}", 8080, "HTTP", Some((8080, false))),
            (
                "controlPlane: {certSecretName: c, tls: true}",
                8080,
                "HTTP",
                Some((8080, false)),
            ),
            (
                "controlPlane: {certSecretName: c, port: 8443}",
                8080,
                "HTTPS",
                Some((8080, true)),
            ),
            ("controlPlane: {certSecretName: c}", 8080, "HTTPS", None),
            // TLS in front of the pod.
            ("controlPlane: {tls: true}", 8080, "HTTP", None),
        ] {
            let observed = observed(spec, port, scheme);
            let running = as_running(&observed);
            let found = match &running {
                Cow::Borrowed(_) => None,
                Cow::Owned(server) => Some((server.spec.api_port(), server.spec.api_over_https())),
            };
            assert_eq!(found, url, "{spec}");
        }
    }

    #[test]
    fn an_api_without_a_pod_is_as_in_the_spec() {
        let observed = testing::running("controlPlane: {port: 8081}");
        assert_eq!(as_running(&observed).spec.api_port(), 8081);
    }
}
