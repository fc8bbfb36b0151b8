//! The effective value of each field.
//!
//! The API server sets defaults only where the parent object exists, and not at all in a manifest that `render` reads from a
//! file. The methods here return the same value in both cases. So the rest of the program uses them, and never reads an optional
//! field directly.

mod database;
mod identity;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::SecretKeySelector;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;

use super::defaults::{
    API_PORT, DRAIN_TIMEOUT_SECONDS, IMAGE, LOG_OUTPUT, LONGEST_POLLING_INTERVAL, METRICS_PATH, METRICS_PORT,
    PROGRESS_DEADLINE_SECONDS, REPLICAS, SHORTEST_POLLING_INTERVAL, TERMINATION_GRACE_PERIOD_SECONDS,
};
use super::names::{NFS, SMB};
use super::{
    AdapterServiceSpec, DittoServerSpec, Exposure, LogFormat, LogLevel, ServiceMonitorSpec, ServiceType,
    duration,
};

/// An empty text means absent, as in the Go operator.
fn present(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|text| !text.is_empty())
}

fn text<'a>(value: Option<&'a String>, default: &'a str) -> &'a str {
    present(value).unwrap_or(default)
}

/// The default applies to a port that is absent or 0, and to what is no port. Objects stored before the schema had limits may contain
/// them.
fn port(value: Option<i32>, default: i32) -> i32 {
    value
        .filter(|port| (1..=65_535).contains(port))
        .unwrap_or(default)
}

/// A reference without a name refers to nothing.
fn named(reference: Option<&SecretKeySelector>) -> Option<&SecretKeySelector> {
    reference.filter(|selector| !selector.name.is_empty())
}

/// Stands for absent maps of annotations and labels.
static NO_ENTRIES: BTreeMap<String, String> = BTreeMap::new();

/// The server and its pod.
impl DittoServerSpec {
    /// Image of the server container.
    #[must_use]
    pub fn image(&self) -> &str {
        text(self.image.as_ref(), IMAGE)
    }

    /// Desired number of pods: 0 or 1.
    #[must_use]
    pub fn desired_replicas(&self) -> i32 {
        self.replicas.unwrap_or(REPLICAS)
    }

    /// How long the server may upload before it stops. `None`: it is not asked.
    #[must_use]
    pub fn drain_timeout(&self) -> Option<Duration> {
        let uploads = self.uploads.as_ref();
        let seconds = uploads.and_then(|uploads| uploads.drain_timeout_seconds);
        let seconds = u64::try_from(seconds.unwrap_or(DRAIN_TIMEOUT_SECONDS)).unwrap_or(0);
        (seconds > 0).then_some(Duration::from_secs(seconds))
    }

    /// Whether the server is asked to upload before a new pod replaces the running one.
    #[must_use]
    pub fn drains_before_rollout(&self) -> bool {
        let uploads = self.uploads.as_ref();
        uploads.and_then(|uploads| uploads.drain_before_rollout) == Some(true)
    }

    /// Seconds that the pod has to stop.
    #[must_use]
    pub fn termination_grace_period_seconds(&self) -> i64 {
        self.termination_grace_period_seconds
            .unwrap_or(TERMINATION_GRACE_PERIOD_SECONDS)
    }

    /// Whether the pod runs in the network of its node.
    #[must_use]
    pub fn host_network(&self) -> bool {
        let template = self.pod_template.as_ref();
        template.is_some_and(|template| template.host_network)
    }

    /// Whether a PodDisruptionBudget protects the pod.
    #[must_use]
    pub fn pod_disruption_budget_enabled(&self) -> bool {
        let budget = self.pod_disruption_budget.as_ref();
        budget.is_some_and(|budget| budget.enabled)
    }

    /// Minimum level of log messages.
    #[must_use]
    pub fn log_level(&self) -> LogLevel {
        self.logging
            .as_ref()
            .and_then(|logging| logging.level)
            .unwrap_or_default()
    }

    /// Format of log lines.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        self.logging
            .as_ref()
            .and_then(|logging| logging.format)
            .unwrap_or_default()
    }

    /// `stdout`, `stderr` or a file path.
    #[must_use]
    pub fn log_output(&self) -> &str {
        text(
            self.logging.as_ref().and_then(|logging| logging.output.as_ref()),
            LOG_OUTPUT,
        )
    }

    /// Maximum duration of a rollout, in seconds, at least 1: a server that was stored before the schema had a minimum may have less, and
    /// without a duration each rollout would be late when it begins.
    #[must_use]
    pub fn progress_deadline_seconds(&self) -> i32 {
        self.progress_deadline_seconds
            .unwrap_or(PROGRESS_DEADLINE_SECONDS)
            .max(1)
    }
}

/// The REST API and the Services.
impl DittoServerSpec {
    /// Port of the REST API.
    #[must_use]
    pub fn api_port(&self) -> i32 {
        port(self.control_plane.as_ref().and_then(|api| api.port), API_PORT)
    }

    /// Secret with the certificate of the server, if the server itself serves https.
    #[must_use]
    pub fn cert_secret_name(&self) -> Option<&str> {
        present(self.control_plane.as_ref()?.cert_secret_name.as_ref())
    }

    /// Secret with the CA of client certificates. Used only together with [`Self::cert_secret_name`].
    #[must_use]
    pub fn client_ca_secret_name(&self) -> Option<&str> {
        self.cert_secret_name()?;
        present(self.control_plane.as_ref()?.client_ca_secret_name.as_ref())
    }

    /// Secret with the certificate of the operator, if the server asks clients for one.
    #[must_use]
    pub fn operator_cert_secret_name(&self) -> Option<&str> {
        self.client_ca_secret_name()?;
        present(self.control_plane.as_ref()?.operator_cert_secret_name.as_ref())
    }

    /// Whether clients, including the operator, reach the REST API over https.
    #[must_use]
    pub fn api_over_https(&self) -> bool {
        self.cert_secret_name().is_some() || self.control_plane.as_ref().is_some_and(|api| api.tls)
    }

    /// Whether the spec asks for TLS, but has no certificate: `tls` alone does not enable it.
    #[must_use]
    pub fn tls_without_certificate(&self) -> bool {
        self.cert_secret_name().is_none() && self.control_plane.as_ref().is_some_and(|api| api.tls)
    }

    /// Type of the Service `<cr>-api`. The Go operator's code has the fallback `LoadBalancer`, but the API server has always set
    /// the default `ClusterIP` at its first write.
    #[must_use]
    pub fn service_type(&self) -> ServiceType {
        self.service
            .as_ref()
            .and_then(|service| service.r#type)
            .unwrap_or(ServiceType::ClusterIP)
    }

    /// Annotations of the Service `<cr>-api`.
    #[must_use]
    pub fn service_annotations(&self) -> &BTreeMap<String, String> {
        self.service
            .as_ref()
            .map_or(&NO_ENTRIES, |service| &service.annotations)
    }

    /// Whether the operator creates the baseline NetworkPolicy.
    #[must_use]
    pub fn network_policy_enabled(&self) -> bool {
        let policy = self.network_policy.as_ref();
        policy.and_then(|policy| policy.enabled).unwrap_or(true)
    }

    /// Sources that may connect to the API and the metrics. `None`: all sources.
    #[must_use]
    pub fn allowed_sources(&self) -> Option<&[NetworkPolicyPeer]> {
        let sources = self.network_policy.as_ref().map(|policy| policy.from.as_slice());
        sources.filter(|sources| !sources.is_empty())
    }

    /// Sources that may connect to the adapters. `None`: all sources.
    #[must_use]
    pub fn allowed_file_sources(&self) -> Option<&[NetworkPolicyPeer]> {
        let sources = self
            .network_policy
            .as_ref()
            .map(|policy| policy.files_from.as_slice());
        sources
            .filter(|sources| !sources.is_empty())
            .or_else(|| self.allowed_sources())
    }

    /// Type of an adapter's Service.
    #[must_use]
    pub fn adapter_service_type(&self, adapter_type: &str) -> ServiceType {
        let own = self
            .adapter_service(adapter_type)
            .and_then(|service| service.r#type);
        let all = || self.adapter_services.as_ref()?.r#type;
        own.or_else(all).unwrap_or(ServiceType::LoadBalancer)
    }

    /// How the Service of an adapter is exposed: the fields of the adapter, then those of all adapters.
    #[must_use]
    pub fn exposure(&self, adapter_type: &str) -> Exposure {
        let all = self.adapter_services.as_ref().map(|services| &services.exposure);
        let own = self
            .adapter_service(adapter_type)
            .map(|service| &service.exposure);
        let mut exposure = own.cloned().unwrap_or_default();
        if let Some(all) = all {
            exposure.inherit(all);
        }
        exposure
    }

    /// The differences of one adapter's Service.
    #[must_use]
    pub fn adapter_service(&self, adapter_type: &str) -> Option<&AdapterServiceSpec> {
        let services = self.adapter_services.as_ref()?;
        match adapter_type {
            NFS => services.nfs.as_ref(),
            SMB => services.smb.as_ref(),
            _ => None,
        }
    }

    /// Whether NFS has a portmapper and UDP.
    #[must_use]
    pub fn nfs_v3_discovery(&self) -> bool {
        self.adapter_services
            .as_ref()
            .and_then(|services| services.nfs_v3_discovery)
            .unwrap_or(false)
    }

    /// Time between two queries for adapters, at least [`SHORTEST_POLLING_INTERVAL`] and at most
    /// [`LONGEST_POLLING_INTERVAL`]. The default applies to invalid values and to zero.
    #[must_use]
    pub fn polling_interval(&self) -> Duration {
        self.adapter_discovery
            .as_ref()
            .and_then(|discovery| duration::parse_go(discovery.polling_interval.as_deref()?))
            .filter(|interval| !interval.is_zero())
            .unwrap_or(Duration::from_secs(30))
            .clamp(SHORTEST_POLLING_INTERVAL, LONGEST_POLLING_INTERVAL)
    }
}

/// Metrics.
impl DittoServerSpec {
    /// Whether the server serves metrics.
    #[must_use]
    pub fn metrics_enabled(&self) -> bool {
        self.metrics.as_ref().is_some_and(|metrics| metrics.enabled)
    }

    /// Port of the metrics, whether they are enabled or not.
    #[must_use]
    pub fn metrics_port(&self) -> i32 {
        port(
            self.metrics.as_ref().and_then(|metrics| metrics.port),
            METRICS_PORT,
        )
    }

    /// Path of the metrics.
    #[must_use]
    pub fn metrics_path(&self) -> &str {
        text(
            self.metrics.as_ref().and_then(|metrics| metrics.path.as_ref()),
            METRICS_PATH,
        )
    }

    /// Secret and key of the token of scrapers. Used only while metrics are enabled.
    #[must_use]
    pub fn metrics_token_ref(&self) -> Option<&SecretKeySelector> {
        let metrics = self.metrics.as_ref().filter(|metrics| metrics.enabled)?;
        named(metrics.bearer_token_secret.as_ref())
    }

    /// The ServiceMonitor, if it and the metrics are enabled.
    #[must_use]
    pub fn service_monitor(&self) -> Option<&ServiceMonitorSpec> {
        let metrics = self.metrics.as_ref().filter(|metrics| metrics.enabled)?;
        metrics.service_monitor.as_ref().filter(|monitor| monitor.enabled)
    }
}

#[cfg(test)]
mod tests;
