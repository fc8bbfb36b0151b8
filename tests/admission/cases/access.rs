//! How the server is reached and watched, and snapshots.

use super::Expect::{Accepted, Refused, RefusedBySchema};
use super::{Case, create, update};

/// Ports, TLS, Services, discovery.
pub const NETWORK: &[Case] = &[
    create(
        "the API and the metrics on one port are refused",
        "{storage: {metadataSize: 10Gi}, controlPlane: {port: 9090}, metrics: {enabled: true}}",
        Refused(
            "spec.metrics.port",
            "spec.metrics.port and spec.controlPlane.port must differ",
        ),
    ),
    create(
        "metrics on the API's default port are refused",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, port: 8080}}",
        Refused(
            "spec.metrics.port",
            "change one of them (defaults: 9090 and 8080)",
        ),
    ),
    create(
        "one port for both is accepted while metrics are off",
        "{storage: {metadataSize: 10Gi}, controlPlane: {port: 9090}, metrics: {enabled: false}}",
        Accepted,
    ),
    update(
        "a stored port conflict does not prevent another edit",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, port: 8080}}",
        "{storage: {metadataSize: 20Gi}, metrics: {enabled: true, port: 8080}}",
        Accepted,
    ),
    update(
        "a stored port conflict does not allow another violation",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, port: 8080}}",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, port: 8080}, identity: {ldap: {enabled: true, url: 'ldaps://a', baseDN: 'dc=x', bindDN: 'cn=y'}}}",
        Refused(
            "spec.identity.ldap.bindPasswordSecretRef",
            "set it, or disable LDAP",
        ),
    ),
    create(
        "one node port for two ports of an adapter is refused",
        "{storage: {metadataSize: 10Gi}, adapterServices: {type: NodePort, nfs: {nodePort: 30001, adapterNodePort: 30001}}}",
        Refused("spec.adapterServices.nfs", "change one of them"),
    ),
    create(
        "one node port for two adapters is refused",
        "{storage: {metadataSize: 10Gi}, adapterServices: {type: NodePort, nfs: {nodePort: 30001}, smb: {adapterNodePort: 30001}}}",
        Refused("spec.adapterServices.nfs", "change one of them"),
    ),
    create(
        "different node ports are accepted",
        "{storage: {metadataSize: 10Gi}, adapterServices: {type: NodePort, nfs: {nodePort: 30001, adapterNodePort: 30002}, smb: {nodePort: 30003}}}",
        Accepted,
    ),
    create(
        "the API on port 12049, which the server itself uses, is refused",
        "{storage: {metadataSize: 10Gi}, controlPlane: {port: 12049}}",
        Refused(
            "spec.controlPlane.port",
            "must not be 12049, 1445, 12445 or 10111",
        ),
    ),
    create(
        "metrics on port 12049, which the server itself uses, are refused",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, port: 12049}}",
        Refused(
            "spec.metrics.port",
            "spec.metrics.port must not be 12049, 1445, 12445 or 10111",
        ),
    ),
    create(
        "the API on port 1445, which the server itself uses, is refused",
        "{storage: {metadataSize: 10Gi}, controlPlane: {port: 1445}}",
        Refused(
            "spec.controlPlane.port",
            "must not be 12049, 1445, 12445 or 10111",
        ),
    ),
    create(
        "metrics on port 1445, which the server itself uses, are refused",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, port: 1445}}",
        Refused(
            "spec.metrics.port",
            "spec.metrics.port must not be 12049, 1445, 12445 or 10111",
        ),
    ),
    create(
        "the API on port 12445, which the server itself uses, is refused",
        "{storage: {metadataSize: 10Gi}, controlPlane: {port: 12445}}",
        Refused(
            "spec.controlPlane.port",
            "must not be 12049, 1445, 12445 or 10111",
        ),
    ),
    create(
        "the API on port 10111, which the server itself uses, is refused",
        "{storage: {metadataSize: 10Gi}, controlPlane: {port: 10111}}",
        Refused(
            "spec.controlPlane.port",
            "must not be 12049, 1445, 12445 or 10111",
        ),
    ),
    create(
        "metrics on port 10111, which the server itself uses, are refused",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, port: 10111}}",
        Refused(
            "spec.metrics.port",
            "spec.metrics.port must not be 12049, 1445, 12445 or 10111",
        ),
    ),
    create(
        "a port of the server itself is accepted for disabled metrics",
        "{storage: {metadataSize: 10Gi}, metrics: {port: 12049}}",
        Accepted,
    ),
    update(
        "a stored port of the server itself does not prevent another edit",
        "{storage: {metadataSize: 10Gi}, controlPlane: {port: 1445}, metrics: {enabled: true, port: 12049}}",
        "{storage: {metadataSize: 10Gi}, controlPlane: {port: 1445, tls: true}, metrics: {enabled: true, port: 12049, path: /m}}",
        Accepted,
    ),
    create(
        "port 0 is refused",
        "{storage: {metadataSize: 10Gi}, controlPlane: {port: 0}}",
        RefusedBySchema("spec.controlPlane.port", "should be greater than or equal to 1"),
    ),
    create(
        "port 65536 is refused",
        "{storage: {metadataSize: 10Gi}, metrics: {port: 65536}}",
        RefusedBySchema("spec.metrics.port", "should be less than or equal to 65535"),
    ),
    create(
        "client certificates without TLS are refused",
        "{storage: {metadataSize: 10Gi}, controlPlane: {clientCASecretName: ca}}",
        Refused(
            "spec.controlPlane.clientCASecretName",
            "needs spec.controlPlane.certSecretName",
        ),
    ),
    create(
        "a certificate Secret with a bad name is refused",
        "{storage: {metadataSize: 10Gi}, controlPlane: {certSecretName: My Cert}}",
        Refused("spec.controlPlane.certSecretName", "must be the name of a Secret"),
    ),
    create(
        "empty Secret names for TLS mean absent names",
        "{storage: {metadataSize: 10Gi}, controlPlane: {certSecretName: '', clientCASecretName: ''}}",
        Accepted,
    ),
    update(
        "a stored client CA without certificate does not prevent another edit",
        "{storage: {metadataSize: 10Gi}, controlPlane: {clientCASecretName: ca}}",
        "{storage: {metadataSize: 10Gi}, controlPlane: {clientCASecretName: ca, port: 8081}}",
        Accepted,
    ),
    create(
        "a NetworkPolicy with sources is accepted",
        "{storage: {metadataSize: 10Gi}, networkPolicy: {from: [{ipBlock: {cidr: 192.0.2.0/24}}, {namespaceSelector: {matchLabels: {a: b}}}]}}",
        Accepted,
    ),
    create(
        "a disabled NetworkPolicy is accepted",
        "{storage: {metadataSize: 10Gi}, networkPolicy: {enabled: false}}",
        Accepted,
    ),
    create(
        "a NetworkPolicy with one source that is not in a list is refused",
        "{storage: {metadataSize: 10Gi}, networkPolicy: {from: {podSelector: {}}}}",
        RefusedBySchema("spec.networkPolicy.from", "must be of type array"),
    ),
    create(
        "an unknown Service type is refused",
        "{storage: {metadataSize: 10Gi}, service: {type: Ingress}}",
        RefusedBySchema(
            "spec.service.type",
            "supported values: \"ClusterIP\", \"NodePort\", \"LoadBalancer\"",
        ),
    ),
    create(
        "an annotation that is not a string is refused",
        "{storage: {metadataSize: 10Gi}, service: {annotations: {a: true}}}",
        RefusedBySchema("spec.service.annotations.a", "must be of type string"),
    ),
    create(
        "a polling interval without unit is refused",
        "{storage: {metadataSize: 10Gi}, adapterDiscovery: {pollingInterval: '30'}}",
        Refused(
            "spec.adapterDiscovery.pollingInterval",
            "must be a duration above zero such as 30s",
        ),
    ),
    create(
        "a polling interval of zero is refused",
        "{storage: {metadataSize: 10Gi}, adapterDiscovery: {pollingInterval: 0s}}",
        Refused("spec.adapterDiscovery.pollingInterval", "above zero"),
    ),
    create(
        "adapter Services are accepted",
        "{storage: {metadataSize: 10Gi}, adapterDiscovery: {pollingInterval: 1m30s}, adapterServices: {type: NodePort, annotations: {a: b}}}",
        Accepted,
    ),
];

/// Metrics.
pub const METRICS: &[Case] = &[
    create(
        "a metrics path without slash is refused",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, path: metrics}}",
        Refused("spec.metrics.path", "must start with '/'"),
    ),
    create(
        "a scrape interval in Prometheus' units is accepted",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, serviceMonitor: {enabled: true, interval: 1m30s, labels: {release: prometheus}}}}",
        Accepted,
    ),
    create(
        "a scrape interval with a fraction is refused",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, serviceMonitor: {enabled: true, interval: 1.5m}}}",
        Refused(
            "spec.metrics.serviceMonitor.interval",
            "must be a Prometheus duration",
        ),
    ),
    create(
        "a metrics token without a Secret is refused",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, bearerTokenSecret: {key: token}}}",
        Refused("spec.metrics.bearerTokenSecret.name", "must name a Secret"),
    ),
    create(
        "a metrics token with a Secret is accepted",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true, bearerTokenSecret: {name: t, key: token}}}",
        Accepted,
    ),
];

/// Snapshot policies.
pub const SNAPSHOTS: &[Case] = &[
    create(
        "snapshot policies are accepted",
        "{storage: {metadataSize: 10Gi}, snapshotPolicies: [{share: /a, interval: 6h, keepLast: 10, ttl: 720h, namePrefix: auto_-1}, {share: b, interval: '@daily', enabled: false}]}",
        Accepted,
    ),
    create(
        "a snapshot interval of a macro that the server does not know is refused",
        "{storage: {metadataSize: 10Gi}, snapshotPolicies: [{share: /a, interval: '@monthly'}]}",
        Refused(
            "spec.snapshotPolicies[0].interval",
            "or @hourly, @daily or @weekly",
        ),
    ),
    create(
        "a snapshot interval of zero is refused",
        "{storage: {metadataSize: 10Gi}, snapshotPolicies: [{share: /a, interval: 1h}, {share: /b, interval: 0h}]}",
        Refused("spec.snapshotPolicies[1].interval", "above zero"),
    ),
    create(
        "a snapshot prefix with a slash is refused",
        "{storage: {metadataSize: 10Gi}, snapshotPolicies: [{share: /a, interval: 1h, namePrefix: a/b}]}",
        Refused("spec.snapshotPolicies[0].namePrefix", "at most 64 characters"),
    ),
    create(
        "a snapshot age that is not a duration is refused",
        "{storage: {metadataSize: 10Gi}, snapshotPolicies: [{share: /a, interval: 1h, ttl: 30 days}]}",
        Refused("spec.snapshotPolicies[0].ttl", "must be a duration"),
    ),
    create(
        "a snapshot policy without a share is refused",
        "{storage: {metadataSize: 10Gi}, snapshotPolicies: [{share: '', interval: 1h}]}",
        Refused("spec.snapshotPolicies[0].share", "must name a share"),
    ),
    create(
        "a negative number of snapshots is refused",
        "{storage: {metadataSize: 10Gi}, snapshotPolicies: [{share: /a, interval: 1h, keepLast: -1}]}",
        RefusedBySchema(
            "spec.snapshotPolicies[0].keepLast",
            "should be greater than or equal to 0",
        ),
    ),
];
