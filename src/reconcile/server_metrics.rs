//! The series of each server: its conditions, its certificates, and whether a volume is stuck. They are computed from the cache at each scrape, so
//! they disappear with the server.
//!
//! The labels that name the server begin with `server_`. Prometheus adds the labels of the target to each series, `namespace`
//! among them, and would rename labels of the metric with the same name.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::api::{CertificateStatus, ShareStatus, reasons};
use crate::cluster::cache::{Cache, StoredServer};
use crate::cluster::leader::Leadership;
use crate::domain::conditions::{self, PROGRESSING, READY};
use crate::domain::shard::LeaseName;
use crate::reconcile::shards::Shards;
use crate::server::poller::{Known, Poller};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    server_namespace: String,
    server_name: String,
    condition: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StuckLabels {
    server_namespace: String,
    server_name: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    server_namespace: String,
    server_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AdapterLabels {
    server_namespace: String,
    server_name: String,
    adapter: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShardLabels {
    server_namespace: String,
    server_name: String,
    lease: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShareLabels {
    server_namespace: String,
    server_name: String,
    share: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    server_namespace: String,
    server_name: String,
    secret: String,
}

/// Computes the series of all servers, on the leader only.
pub(super) struct ServerCollector {
    pub(super) servers: Cache<StoredServer>,
    pub(super) leadership: Leadership,
    pub(super) poller: Poller<ObjectRef<StoredServer>>,
    pub(super) shards: Arc<Shards>,
}

impl fmt::Debug for ServerCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServerCollector")
    }
}

impl Collector for ServerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (leader, series) = (Gauge::<i64>::default(), Series::default());
        if self.leadership.is_leader() {
            leader.set(1);
            let left = self.shards.left();
            let others: HashSet<_> = left.iter().map(|(server, _)| server.clone()).collect();
            let own = self.servers.all();
            own.filter(|server| !others.contains(&ObjectRef::from_obj(server.as_ref())))
                .for_each(|server| series.add(&server));
            for (server, owner) in &left {
                series.add_left(server, owner);
            }
            for (server, known) in self.poller.all() {
                series.add_known(&server, &known);
            }
        }
        encode(&mut encoder, "leader", "1 on the leader", &leader)?;
        series.encode(&mut encoder)
    }
}

fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// The series of servers.
#[derive(Default)]
struct Series {
    conditions: Family<ConditionLabels, Gauge>,
    stuck: Family<StuckLabels, Gauge>,
    polls: Family<ServerLabels, Counter>,
    failures: Family<ServerLabels, Counter>,
    adapters: Family<AdapterLabels, Gauge>,
    certificates: Family<CertificateLabels, Gauge>,
    left: Family<ShardLabels, Gauge>,
    shares_declared: Family<ServerLabels, Gauge>,
    shares_ready: Family<ServerLabels, Gauge>,
    share_failed: Family<ShareLabels, Gauge>,
}

impl Series {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        encode(
            encoder,
            "dittoserver_condition",
            "A condition of a DittoServer: 1 True, 0 False, -1 Unknown; on the leader only",
            &self.conditions,
        )?;
        encode(
            encoder,
            "dittoserver_volume_stuck",
            "1 while a volume of a DittoServer differs from the spec and needs manual action; on the leader only",
            &self.stuck,
        )?;
        encode(
            encoder,
            "dittoserver_api_polls",
            "Calls to the API of a DittoServer for its adapters",
            &self.polls,
        )?;
        encode(
            encoder,
            "dittoserver_api_poll_failures",
            "Calls to the API of a DittoServer that failed",
            &self.failures,
        )?;
        encode(
            encoder,
            "dittoserver_adapter_healthy",
            "1 while an enabled adapter of a DittoServer serves, 0 while it does not",
            &self.adapters,
        )?;
        encode(
            encoder,
            "dittoserver_certificate_expiry_timestamp_seconds",
            "End of a certificate of the API of a DittoServer, in seconds since the epoch; on the leader only",
            &self.certificates,
        )?;
        encode(
            encoder,
            "dittoserver_other_shard",
            "1 while this operator selects a DittoServer and leaves it alone, because it belongs to the operator with this Lease",
            &self.left,
        )?;
        self.encode_shares(encoder)
    }

    fn encode_shares(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        encode(
            encoder,
            "dittoserver_shares_declared",
            "Shares in the spec of a DittoServer; on the leader only",
            &self.shares_declared,
        )?;
        encode(
            encoder,
            "dittoserver_shares_ready",
            "Shares in the spec of a DittoServer that clients can mount; on the leader only",
            &self.shares_ready,
        )?;
        encode(
            encoder,
            "dittoserver_share_failed",
            "1 while a share in the spec of a DittoServer cannot be mounted, with the reason; on the leader only",
            &self.share_failed,
        )
    }

    fn add_shares(&self, stored: &StoredServer, shares: &[ShareStatus]) {
        let labels = ServerLabels {
            server_namespace: stored.namespace().unwrap_or_default(),
            server_name: stored.name_any(),
        };
        let declared: Vec<&ShareStatus> = shares.iter().filter(|share| share.declared).collect();
        if declared.is_empty() {
            return;
        }
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let ready = declared.iter().filter(|share| share.ready).count();
        self.shares_declared
            .get_or_create(&labels)
            .set(count(declared.len()));
        self.shares_ready.get_or_create(&labels).set(count(ready));
        for share in declared.iter().filter(|share| !share.ready) {
            let labels = ShareLabels {
                server_namespace: labels.server_namespace.clone(),
                server_name: labels.server_name.clone(),
                share: share.name.clone(),
                reason: share.reason.clone().unwrap_or_default(),
            };
            self.share_failed.get_or_create(&labels).set(1);
        }
    }

    fn add_left(&self, server: &ObjectRef<StoredServer>, owner: &LeaseName) {
        let labels = ShardLabels {
            server_namespace: server.namespace.clone().unwrap_or_default(),
            server_name: server.name.clone(),
            lease: owner.to_string(),
        };
        self.left.get_or_create(&labels).set(1);
    }

    fn add_known(&self, server: &ObjectRef<StoredServer>, known: &Known) {
        let labels = ServerLabels {
            server_namespace: server.namespace.clone().unwrap_or_default(),
            server_name: server.name.clone(),
        };
        self.polls.get_or_create(&labels).inc_by(known.polls);
        self.failures.get_or_create(&labels).inc_by(known.failures);
        for (adapter, state) in &known.report.enabled {
            let labels = AdapterLabels {
                server_namespace: labels.server_namespace.clone(),
                server_name: labels.server_name.clone(),
                adapter: adapter.clone(),
            };
            self.adapters
                .get_or_create(&labels)
                .set(i64::from(state.is_healthy));
        }
    }

    fn add(&self, stored: &StoredServer) {
        let Ok(server) = &stored.0 else {
            // It cannot be parsed, and neither can its conditions. It is not ready.
            return self.add_condition(stored, READY, 0);
        };
        let conditions = || server.status.iter().flat_map(|status| &status.conditions);
        for condition in conditions::OURS {
            let found = conditions().find(|found| found.type_ == condition);
            match found.map(|found| found.status.as_str()) {
                Some("True") => self.add_condition(stored, condition, 1),
                Some("False") => self.add_condition(stored, condition, 0),
                Some(_) => self.add_condition(stored, condition, -1),
                // The status has not been written yet, or cannot be written.
                None if condition == READY => self.add_condition(stored, condition, -1),
                None => {}
            }
        }
        self.add_certificates(
            stored,
            server.status.iter().flat_map(|status| &status.certificates),
        );
        self.add_shares(
            stored,
            server
                .status
                .as_ref()
                .map_or(&[], |status| status.shares.as_slice()),
        );
        let progressing = conditions().find(|found| found.type_ == PROGRESSING);
        let reason = progressing.and_then(|progressing| {
            reasons::BLOCKED_VOLUME
                .into_iter()
                .find(|stuck| *stuck == progressing.reason)
        });
        if let Some(reason) = reason {
            let labels = StuckLabels {
                server_namespace: stored.namespace().unwrap_or_default(),
                server_name: stored.name_any(),
                reason,
            };
            self.stuck.get_or_create(&labels).set(1);
        }
    }

    fn add_certificates<'a>(
        &self,
        stored: &StoredServer,
        certificates: impl Iterator<Item = &'a CertificateStatus>,
    ) {
        for certificate in certificates {
            let Some(end) = &certificate.not_after else {
                continue;
            };
            let labels = CertificateLabels {
                server_namespace: stored.namespace().unwrap_or_default(),
                server_name: stored.name_any(),
                secret: certificate.secret.clone(),
            };
            self.certificates.get_or_create(&labels).set(end.0.as_second());
        }
    }

    fn add_condition(&self, stored: &StoredServer, condition: &'static str, value: i64) {
        let labels = ConditionLabels {
            server_namespace: stored.namespace().unwrap_or_default(),
            server_name: stored.name_any(),
            condition,
        };
        self.conditions.get_or_create(&labels).set(value);
    }
}

#[cfg(test)]
mod tests;
