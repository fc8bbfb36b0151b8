//! `spec.podTemplate`: additions to the pod, and the parts that belong to the operator.

use super::Expect::{Accepted, Refused, RefusedBySchema};
use super::{Case, create, update};

/// Additions to the pod.
pub const ADDITIONS: &[Case] = &[
    create(
        "every addition to the pod is accepted",
        r#"
storage: {metadataSize: 10Gi}
podTemplate:
  labels: {team: files}
  annotations: {mesh: "on"}
  imagePullSecrets: [{name: registry}]
  imagePullPolicy: Always
  nodeSelector: {disk: ssd}
  affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}
  tolerations: [{key: files, operator: Exists}]
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
  priorityClassName: high
  runtimeClassName: gvisor
  serviceAccountName: files
  hostAliases: [{ip: 192.0.2.1, hostnames: [dc1]}]
  dnsPolicy: None
  dnsConfig: {nameservers: [192.0.2.2], options: [{name: ndots, value: "2"}]}
  hostNetwork: true
  env: [{name: TZ, value: UTC}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
  envFrom: [{secretRef: {name: more}, prefix: MORE_}]
  volumes: [{name: scratch, emptyDir: {}}]
  volumeMounts: [{name: scratch, mountPath: /scratch}]
  initContainers: [{name: first, image: busybox, restartPolicy: Always}]
  sidecars: [{name: second, image: busybox, ports: [{containerPort: 9000}]}]
"#,
        Accepted,
    ),
    create(
        "a label that selects the pod is refused",
        "{storage: {metadataSize: 10Gi}, podTemplate: {labels: {app: other}}}",
        Refused("spec.podTemplate.labels", "app and instance"),
    ),
    create(
        "the annotation of the config hash is refused",
        "{storage: {metadataSize: 10Gi}, podTemplate: {annotations: {dittofs.io/config-hash: x}}}",
        Refused("spec.podTemplate.annotations", "dittofs.io/config-hash"),
    ),
    create(
        "a variable that the operator sets is refused",
        "{storage: {metadataSize: 10Gi}, podTemplate: {env: [{name: TZ}, {name: DITTOFS_CONTROLPLANE_SECRET, value: x}]}}",
        Refused("spec.podTemplate.env[1].name", "set the field of the spec"),
    ),
    create(
        "a volume of the operator is refused",
        "{storage: {metadataSize: 10Gi}, podTemplate: {volumes: [{name: config, emptyDir: {}}]}}",
        Refused("spec.podTemplate.volumes[0].name", "choose another name"),
    ),
    create(
        "a mount in the place of the operator's is refused",
        "{storage: {metadataSize: 10Gi}, podTemplate: {volumeMounts: [{name: x, mountPath: /data/store/metadata}]}}",
        Refused(
            "spec.podTemplate.volumeMounts[0].mountPath",
            "choose another path",
        ),
    ),
    create(
        "a sidecar with the name of the server's container is refused",
        "{storage: {metadataSize: 10Gi}, podTemplate: {sidecars: [{name: dittofs, image: x}]}}",
        Refused("spec.podTemplate.sidecars[0].name", "choose another name"),
    ),
    create(
        "an init container with the name of the server's container is refused",
        "{storage: {metadataSize: 10Gi}, podTemplate: {initContainers: [{name: dittofs, image: x}]}}",
        Refused("spec.podTemplate.initContainers[0].name", "choose another name"),
    ),
    create(
        "two sidecars of one name are refused",
        "{storage: {metadataSize: 10Gi}, podTemplate: {sidecars: [{name: a, image: x}, {name: a, image: z}]}}",
        RefusedBySchema("spec.podTemplate.sidecars[1]", "Duplicate value"),
    ),
    create(
        "a sidecar without a name is refused",
        "{storage: {metadataSize: 10Gi}, podTemplate: {sidecars: [{image: x}]}}",
        RefusedBySchema("spec.podTemplate.sidecars[0].name", "Required value"),
    ),
    create(
        "an unknown pull policy is refused",
        "{storage: {metadataSize: 10Gi}, podTemplate: {imagePullPolicy: Sometimes}}",
        RefusedBySchema("spec.podTemplate.imagePullPolicy", "Unsupported value"),
    ),
    update(
        "a stored addition that is refused today can stay",
        "{storage: {metadataSize: 10Gi}, podTemplate: {labels: {app: other}}}",
        "{storage: {metadataSize: 10Gi}, replicas: 0, podTemplate: {labels: {app: other}}}",
        Accepted,
    ),
];
