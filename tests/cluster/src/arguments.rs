//! The command lines of the components.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::component::Component;
use crate::options::Options;
use crate::pki::Files;

/// Kubernetes' default; the first address is the API server's own.
const SERVICE_RANGE: &str = "10.0.0.0/16";

/// Controllers that need something that is not there (a cloud, kubelets that ask for certificates), or that
/// nothing in a test can observe. Fewer of them start and list faster. The controller manager refuses a name that it does
/// not know, so each name needs the minor release that brought it, if that is newer than the oldest supported release.
const NO_CONTROLLERS: [&str; 13] = [
    "bootstrap-signer-controller",
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-cleaner-controller",
    "certificatesigningrequest-signing-controller",
    "endpointslice-mirroring-controller",
    "legacy-serviceaccount-token-cleaner-controller",
    "node-ipam-controller",
    "persistentvolume-attach-detach-controller",
    "resourceclaim-controller",
    "storageversion-garbage-collector-controller",
    "token-cleaner-controller",
    "ttl-after-finished-controller",
    "ttl-controller",
];
const NO_CONTROLLERS_SINCE: [(u32, &str); 1] = [(34, "podcertificaterequest-cleaner-controller")];

/// The loopback ports of an instance; they stay the same over restarts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub etcd: u16,
    pub etcd_peer: u16,
    pub api_server: u16,
    pub controller_manager: u16,
    pub scheduler: u16,
    pub kwok: u16,
}

/// The files of an instance.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub directory: PathBuf,
    pub logs: PathBuf,
    pub audit_log: PathBuf,
    pub pki: Files,
}

impl Layout {
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.directory.join(format!("{user}.kubeconfig"))
    }

    pub(crate) fn log(&self, component: Component) -> PathBuf {
        self.logs.join(format!("{component}.log"))
    }

    pub(crate) fn pid_file(&self, component: Component) -> PathBuf {
        self.directory.join("pids").join(component.program())
    }
}

/// A command line under construction: `--name=value`, where values may be paths.
#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn set(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        let mut argument = OsString::from(format!("--{name}="));
        argument.push(value);
        self.0.push(argument);
        self
    }
}

/// The arguments of a component, without the program.
pub(crate) fn of(
    component: Component,
    kubernetes_minor: u32,
    layout: &Layout,
    ports: Ports,
    options: &Options,
) -> Vec<OsString> {
    let line = match component {
        Component::Etcd => etcd(layout, ports),
        Component::ApiServer => api_server(layout, ports),
        Component::ControllerManager => controller_manager(kubernetes_minor, layout, ports),
        Component::Scheduler => scheduler(layout, ports),
        Component::Kwok => kwok(layout, ports),
    };
    let gates: Vec<_> = options
        .feature_gates
        .iter()
        .map(|(name, on)| format!("{name}={on}"))
        .collect();
    let line = if component.is_kubernetes() && !gates.is_empty() {
        line.set("feature-gates", gates.join(","))
    } else {
        line
    };
    let extra = options.extra_args.iter().filter(|(of, _)| *of == component);
    line.0
        .into_iter()
        .chain(extra.map(|(_, argument)| OsString::from(argument)))
        .collect()
}

fn etcd(layout: &Layout, ports: Ports) -> Line {
    let client = url(ports.etcd);
    let peer = url(ports.etcd_peer);
    Line::default()
        .set("name", "default")
        .set("data-dir", layout.directory.join("etcd"))
        .set("listen-client-urls", &client)
        .set("advertise-client-urls", &client)
        .set("listen-peer-urls", &peer)
        .set("initial-advertise-peer-urls", &peer)
        .set("initial-cluster", format!("default={peer}"))
        .set("cert-file", layout.pki.path("etcd.crt"))
        .set("key-file", layout.pki.path("etcd.key"))
        .set("trusted-ca-file", layout.pki.path("ca.crt"))
        .set("client-cert-auth", "true")
        .set("peer-cert-file", layout.pki.path("etcd.crt"))
        .set("peer-key-file", layout.pki.path("etcd.key"))
        .set("peer-trusted-ca-file", layout.pki.path("ca.crt"))
        .set("peer-client-cert-auth", "true")
        // The data is removed with the instance, so no disk flush is needed.
        .set("unsafe-no-fsync", "true")
        .set("snapshot-count", "10000")
        .set("log-level", "warn")
}

fn api_server(layout: &Layout, ports: Ports) -> Line {
    let pki = |name: &str| layout.pki.path(name);
    Line::default()
        .set("etcd-servers", url(ports.etcd))
        .set("etcd-cafile", pki("ca.crt"))
        .set("etcd-certfile", pki("loopback.crt"))
        .set("etcd-keyfile", pki("loopback.key"))
        .set("bind-address", "127.0.0.1")
        .set("advertise-address", "127.0.0.1")
        .set("secure-port", ports.api_server.to_string())
        .set("client-ca-file", pki("ca.crt"))
        .set("tls-cert-file", pki("apiserver.crt"))
        .set("tls-private-key-file", pki("apiserver.key"))
        .set(
            "service-account-issuer",
            "https://kubernetes.default.svc.cluster.local",
        )
        .set("service-account-key-file", pki("service-accounts.pub"))
        .set("service-account-signing-key-file", pki("service-accounts.key"))
        .set("authorization-mode", "RBAC")
        // Like OpenShift: to set an owner reference needs rights on the owner.
        .set("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
        .set("anonymous-auth", "false")
        .set("service-cluster-ip-range", SERVICE_RANGE)
        // No pod can reach loopback of this machine: an endpoint for it would be refused.
        .set("endpoint-reconciler-type", "none")
        .set("allow-privileged", "true")
        // One client's burst is limited by the in-flight limits instead; its bootstrap objects cost start-up time.
        .set("enable-priority-and-fairness", "false")
        .set("audit-policy-file", layout.directory.join("audit-policy.yaml"))
        .set("audit-log-path", &layout.audit_log)
        // Megabytes before the log is rotated. Tests count its lines, so it must not be.
        .set("audit-log-maxsize", "10000")
        .set("profiling", "false")
}

fn controller_manager(kubernetes_minor: u32, layout: &Layout, ports: Ports) -> Line {
    let newer = NO_CONTROLLERS_SINCE
        .iter()
        .filter(|(since, _)| kubernetes_minor >= *since)
        .map(|(_, name)| name);
    let controllers: Vec<_> = NO_CONTROLLERS
        .iter()
        .chain(newer)
        .map(|name| format!("-{name}"))
        .collect();
    Line::default()
        .set("kubeconfig", layout.kubeconfig("controller-manager"))
        .set("bind-address", "127.0.0.1")
        .set("secure-port", ports.controller_manager.to_string())
        .set("tls-cert-file", layout.pki.path("loopback.crt"))
        .set("tls-private-key-file", layout.pki.path("loopback.key"))
        .set("leader-elect", "false")
        .set("root-ca-file", layout.pki.path("ca.crt"))
        .set(
            "service-account-private-key-file",
            layout.pki.path("service-accounts.key"),
        )
        .set("controllers", format!("*,{}", controllers.join(",")))
        .set("enable-hostpath-provisioner", "true")
        .set("kube-api-qps", "1000")
        .set("kube-api-burst", "2000")
        .set("profiling", "false")
}

fn scheduler(layout: &Layout, ports: Ports) -> Line {
    Line::default()
        .set("config", layout.directory.join("scheduler.yaml"))
        .set("bind-address", "127.0.0.1")
        .set("secure-port", ports.scheduler.to_string())
        .set("tls-cert-file", layout.pki.path("loopback.crt"))
        .set("tls-private-key-file", layout.pki.path("loopback.key"))
}

/// The scheduler's configuration file: it has no flags for its client's rate.
pub(crate) fn scheduler_config(kubeconfig: &Path) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": false},
        "enableProfiling": false,
        "clientConnection": {"kubeconfig": kubeconfig, "qps": 1000, "burst": 2000},
        // A pod waits for its volume to be bound; the default backs off up to ten seconds.
        "podInitialBackoffSeconds": 1,
        "podMaxBackoffSeconds": 1,
    })
}

fn kwok(layout: &Layout, ports: Ports) -> Line {
    Line::default()
        .set("kubeconfig", layout.kubeconfig("kwok"))
        .set("config", layout.directory.join("stages.yaml"))
        .set("manage-all-nodes", "true")
        .set("node-ip", "127.0.0.1")
        .set("node-lease-duration-seconds", "40")
        .set("server-address", format!("127.0.0.1:{}", ports.kwok))
}

pub(crate) fn url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}
