//! The object as a whole: forms in use, names, the pod.

use super::Expect::{Accepted, Refused, RefusedBySchema};
use super::{Case, MINIMAL, create, named, update};

/// Manifests in the forms that users of the Go operator have.
pub const SAMPLES: &[Case] = &[
    create("a minimal server is accepted", MINIMAL, Accepted),
    create(
        "a server with local content, SQLite, metrics and its own Secrets is accepted",
        r#"
image: marmos91c/dittofs:latest
replicas: 1
storage: {metadataSize: "10Gi", contentSize: "50Gi", storageClassName: standard}
database: {type: sqlite, sqlite: {path: /data/controlplane/controlplane.db}}
metrics: {enabled: true, port: 9090}
controlPlane: {port: 8080}
identity:
  type: memory
  jwt: {secretRef: {name: my-jwt, key: secret}, accessTokenDuration: "15m", refreshTokenDuration: "168h"}
  admin: {username: admin, passwordSecretRef: {name: my-admin, key: password}}
service: {type: LoadBalancer, annotations: {service.beta.kubernetes.io/aws-load-balancer-type: nlb}}
resources: {limits: {cpu: "2", memory: 4Gi}, requests: {cpu: 500m, memory: 1Gi}}
"#,
        Accepted,
    ),
    create(
        "a server with its own PostgreSQL is accepted, with any key",
        r"
storage: {metadataSize: 1Gi, contentSize: 1Gi}
database: {type: postgres, postgresSecretRef: {name: postgres-credentials, key: connection-string}}
",
        Accepted,
    ),
    create(
        "type sqlite with an own PostgreSQL Secret is accepted, because the Secret has priority",
        "{storage: {metadataSize: 1Gi}, database: {type: sqlite, postgresSecretRef: {name: pg, key: ''}}}",
        Accepted,
    ),
    create(
        "a server with a Percona cluster and backups is accepted",
        r#"
storage: {metadataSize: 10Gi}
percona:
  enabled: true
  replicas: 3
  storageSize: 20Gi
  databaseName: dittofs
  backup: {enabled: true, bucket: b, endpoint: "https://s3.example.com", region: eu-west-1, credentialsSecretRef: {name: s3}}
"#,
        Accepted,
    ),
    create(
        "a server with TLS and client certificates is accepted",
        r"
storage: {metadataSize: 10Gi}
controlPlane: {port: 8443, tls: true, certSecretName: files-tls, clientCASecretName: files-ca}
",
        Accepted,
    ),
    create(
        "an object as the Go operator stores it is accepted",
        "{storage: {metadataSize: 10Gi, controlPlaneSize: 1Gi}, service: {type: ClusterIP}, resources: {}}",
        Accepted,
    ),
    create(
        "null fields mean absent fields",
        "{storage: {metadataSize: 10Gi, contentSize: null}, image: null}",
        Accepted,
    ),
    create(
        "a stopped server is accepted",
        "{replicas: 0, storage: {metadataSize: 10Gi}}",
        Accepted,
    ),
];

/// The name, and whether there is a spec.
pub const NAMES: &[Case] = &[
    named(
        "a23456789-123456789-123456789-123456789-123456789-1",
        create("a name of 51 characters is accepted", MINIMAL, Accepted),
    ),
    named(
        "a23456789-123456789-123456789-123456789-123456789-12",
        create(
            "a name of 52 characters is refused",
            MINIMAL,
            Refused("metadata.name", "at most 51 characters"),
        ),
    ),
    named(
        "a23456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-\
         123456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-",
        create(
            "a name of 200 characters is refused",
            MINIMAL,
            Refused("metadata.name", "choose another name"),
        ),
    ),
    named(
        "files.example",
        create(
            "a name with a dot is refused",
            MINIMAL,
            Refused("metadata.name", "must have"),
        ),
    ),
    named(
        "9files",
        create(
            "a name that starts with a digit is refused",
            MINIMAL,
            Refused("metadata.name", "start with a letter"),
        ),
    ),
    named(
        "dotted.but-stored",
        update(
            "a stored object with a bad name can be edited",
            MINIMAL,
            "{storage: {metadataSize: 10Gi}, replicas: 0}",
            Accepted,
        ),
    ),
    named(
        "a23456789-123456789-12345678",
        create(
            "a name of 28 characters is accepted with Percona",
            "{storage: {metadataSize: 10Gi}, percona: {enabled: true}}",
            Accepted,
        ),
    ),
    named(
        "a23456789-123456789-123456789",
        create(
            "a name of 29 characters is refused with Percona",
            "{storage: {metadataSize: 10Gi}, percona: {enabled: true}}",
            Refused(
                "metadata.name",
                "at most 28 characters when spec.percona.enabled is true",
            ),
        ),
    ),
    named(
        "a23456789-123456789-123456780",
        update(
            "Percona cannot be enabled for a stored object with a long name",
            MINIMAL,
            "{storage: {metadataSize: 10Gi}, percona: {enabled: true}}",
            Refused("metadata.name", "choose a shorter name"),
        ),
    ),
    named(
        "a23456789-123456789-12345678a",
        update(
            "a stored object with Percona and a long name can be edited",
            "{storage: {metadataSize: 10Gi}, percona: {enabled: true}}",
            "{storage: {metadataSize: 10Gi}, percona: {enabled: true}, image: 'x:2'}",
            Accepted,
        ),
    ),
    create(
        "an object without spec is refused",
        "",
        Refused("", "spec is missing: set at least"),
    ),
    update("a stored object without spec can be edited", "", "", Accepted),
    update(
        "a spec can be added to a stored object without one",
        "",
        MINIMAL,
        Accepted,
    ),
    update(
        "the spec cannot be removed",
        MINIMAL,
        "",
        Refused("", "spec is missing"),
    ),
];

/// Replicas, image, resources, security, logs.
pub const POD: &[Case] = &[
    create(
        "two replicas are refused",
        "{replicas: 2, storage: {metadataSize: 10Gi}}",
        RefusedBySchema("spec.replicas", "should be less than or equal to 1"),
    ),
    create(
        "negative replicas are refused",
        "{replicas: -1, storage: {metadataSize: 10Gi}}",
        RefusedBySchema("spec.replicas", "should be greater than or equal to 0"),
    ),
    create(
        "replicas as a string are refused",
        "{replicas: '1', storage: {metadataSize: 10Gi}}",
        RefusedBySchema("spec.replicas", "must be of type integer"),
    ),
    create(
        "a spec that is YAML in a string is refused",
        "'storage: {metadataSize: 10Gi}'",
        RefusedBySchema("spec", "must be of type object"),
    ),
    create(
        "a storage block that is YAML in a string is refused",
        "storage: '{metadataSize: 10Gi}'",
        RefusedBySchema("spec.storage", "must be of type object"),
    ),
    create(
        "an image with a space is refused",
        "{image: 'dittofs latest', storage: {metadataSize: 10Gi}}",
        Refused("spec.image", "must be a container image without spaces"),
    ),
    create(
        "the image Foo/BAR is refused",
        "{image: 'Foo/BAR', storage: {metadataSize: 10Gi}}",
        Refused("spec.image", "with its repository in lower case"),
    ),
    create(
        "the image marmos91c/DittoFS:v1 is refused",
        "{image: 'marmos91c/DittoFS:v1', storage: {metadataSize: 10Gi}}",
        Refused("spec.image", "with its repository in lower case"),
    ),
    create(
        "the image dittofs: is refused",
        "{image: 'dittofs:', storage: {metadataSize: 10Gi}}",
        Refused("spec.image", "with its repository in lower case"),
    ),
    create(
        "the image dittofs@sha256:12 is refused",
        "{image: 'dittofs@sha256:12', storage: {metadataSize: 10Gi}}",
        Refused("spec.image", "with its repository in lower case"),
    ),
    create(
        "the image /dittofs is refused",
        "{image: '/dittofs', storage: {metadataSize: 10Gi}}",
        Refused("spec.image", "with its repository in lower case"),
    ),
    create(
        "the image https://example.com/dittofs is refused",
        "{image: 'https://example.com/dittofs', storage: {metadataSize: 10Gi}}",
        Refused("spec.image", "with its repository in lower case"),
    ),
    create(
        "the image '' is accepted",
        "{image: '', storage: {metadataSize: 10Gi}}",
        Accepted,
    ),
    create(
        "the image 'x:2' is accepted",
        "{image: 'x:2', storage: {metadataSize: 10Gi}}",
        Accepted,
    ),
    create(
        "the image 'localhost:5000/a' is accepted",
        "{image: 'localhost:5000/a', storage: {metadataSize: 10Gi}}",
        Accepted,
    ),
    create(
        "the image '[::1]:5000/a__b/c-d.e:V1' is accepted",
        "{image: '[::1]:5000/a__b/c-d.e:V1', storage: {metadataSize: 10Gi}}",
        Accepted,
    ),
    create(
        "the image 'Registry.Example.com/a' is accepted",
        "{image: 'Registry.Example.com/a', storage: {metadataSize: 10Gi}}",
        Accepted,
    ),
    create(
        "an image by digest is accepted",
        "{image: 'registry.example.com:5000/a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000', storage: {metadataSize: 1Gi}}",
        Accepted,
    ),
    create(
        "a grace period below what the server needs is refused",
        "{terminationGracePeriodSeconds: 35, storage: {metadataSize: 10Gi}}",
        RefusedBySchema(
            "spec.terminationGracePeriodSeconds",
            "should be greater than or equal to 36",
        ),
    ),
    create(
        "the shortest grace period is accepted",
        "{terminationGracePeriodSeconds: 36, storage: {metadataSize: 10Gi}}",
        Accepted,
    ),
    create(
        "complete security contexts are accepted",
        r#"
storage: {metadataSize: 10Gi}
securityContext: {runAsUser: 1000, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}, seccompProfile: {type: RuntimeDefault}}
podSecurityContext: {fsGroup: 1000, supplementalGroups: [2000], sysctls: [{name: net.core.somaxconn, value: "1024"}]}
"#,
        Accepted,
    ),
    create(
        "an invalid resource quantity is refused",
        "{resources: {limits: {cpu: much}}, storage: {metadataSize: 10Gi}}",
        RefusedBySchema("spec.resources.limits.cpu", "should match"),
    ),
    create(
        "a resource quantity with an exponent that is expensive to compute is refused",
        "{storage: {metadataSize: 10Gi}, resources: {limits: {cpu: '1e2147483647'}}}",
        RefusedBySchema("spec.resources.limits.cpu", "should match"),
    ),
    create(
        "an expensive resource request is refused",
        "{storage: {metadataSize: 10Gi}, resources: {requests: {memory: '1e-2147483647'}}}",
        RefusedBySchema("spec.resources.requests.memory", "should match"),
    ),
    create(
        "resource quantities in every notation are accepted",
        "{storage: {metadataSize: 10Gi}, resources: {limits: {cpu: 500m, memory: 1.5Gi}, requests: {cpu: '.25', memory: '12e6'}}}",
        Accepted,
    ),
    create(
        "a grace period of more than a day is refused",
        "{storage: {metadataSize: 10Gi}, terminationGracePeriodSeconds: 9223372036854775807}",
        RefusedBySchema(
            "spec.terminationGracePeriodSeconds",
            "should be less than or equal to 86400",
        ),
    ),
    create(
        "a resource quantity without quotes is accepted",
        "{resources: {limits: {cpu: 2}}, storage: {metadataSize: 10Gi}}",
        Accepted,
    ),
    create(
        "an unknown log level is refused",
        "{logging: {level: TRACE}, storage: {metadataSize: 10Gi}}",
        RefusedBySchema(
            "spec.logging.level",
            "supported values: \"DEBUG\", \"INFO\", \"WARN\", \"ERROR\"",
        ),
    ),
    create(
        "a complete logging block is accepted",
        "{logging: {level: WARN, format: text, output: /data/controlplane/dittofs.log}, storage: {metadataSize: 10Gi}}",
        Accepted,
    ),
];
