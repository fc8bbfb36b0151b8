//! Gives a DittoFS server free ports when its own are taken on this machine.
//!
//! A pod has a network of its own and need not share its ports. Here servers share the machine's, and bind their NFS and SMB
//! ports on all addresses. The ports are rows of the server's database, so only its API can change them.

use std::net::Ipv4Addr;
use std::time::Duration;

use http::Method;
use k8s_openapi::api::core::v1::Container;
use serde_json::{Value, json};

use super::api::ServerApi;
use super::environment::Variables;
use super::{DFS, probes};
use crate::ports;

/// The variable with the key that signs tokens.
const KEY: &str = "DITTOFS_CONTROLPLANE_SECRET";
/// The server keeps the health of an adapter for five seconds: one that was asked for too early looks ill for so long.
const PATIENCE: Duration = Duration::from_secs(6);
/// Attempts, because another process may take a free port first.
const ATTEMPTS: usize = 3;

/// The API of the server in a container. `None` for another program, and for a server that wants client certificates.
pub(super) fn api_of(container: &Container, address: Ipv4Addr, variables: &Variables) -> Option<ServerApi> {
    let command = container.command.iter().flatten().next()?;
    let get = container.readiness_probe.as_ref()?.http_get.as_ref()?;
    let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
    let port = probes::port_of(container, &get.port)?;
    let (_, key) = variables.iter().find(|(name, _)| name == KEY)?;
    let url = format!("{scheme}://{address}:{port}");
    (command == DFS).then(|| ServerApi::new(url, key).ok())?
}

/// Moves every adapter that cannot bind its port to a free one.
pub(super) async fn settle(api: ServerApi) {
    for _ in 0..ATTEMPTS {
        tokio::time::sleep(PATIENCE).await;
        let Ok(adapters) = api.call(Method::GET, "/adapters", None).await else {
            return;
        };
        let unbound = unbound(&adapters);
        if unbound.is_empty() {
            return;
        }
        for kind in unbound {
            let Ok(port) = ports::free() else { return };
            let body = json!({"port": port});
            // What fails is seen and tried again by the next attempt.
            let _ = api
                .call(Method::PUT, &format!("/adapters/{kind}"), Some(&body))
                .await;
        }
    }
}

/// The types of the adapters that should listen and do not.
fn unbound(adapters: &Value) -> Vec<String> {
    let of = |adapter: &Value| {
        let listens = adapter["enabled"] != true || adapter["status"]["status"] == "healthy";
        adapter["type"].as_str().filter(|_| !listens).map(str::to_owned)
    };
    adapters.as_array().into_iter().flatten().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enabled_adapters_that_do_not_listen_are_moved() {
        let adapters = json!([
            {"type": "nfs", "enabled": true, "running": true, "status": {"status": "unknown"}},
            {"type": "smb", "enabled": true, "running": true, "status": {"status": "healthy"}},
            {"type": "off", "enabled": false, "running": false, "status": {"status": "unknown"}},
        ]);
        assert_eq!(unbound(&adapters), ["nfs"]);
        assert!(unbound(&json!({"title": "no list"})).is_empty());
    }
}
