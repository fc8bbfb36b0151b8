//! Volumes, and which database.

use super::Expect::{Accepted, Refused, RefusedBySchema};
use super::{Case, MINIMAL, create, update};

/// Volumes.
pub const STORAGE: &[Case] = &[
    create(
        "a spec without storage is refused",
        "replicas: 1",
        RefusedBySchema("spec.storage", "Required value"),
    ),
    create(
        "storage without a size is refused",
        "storage: {contentSize: 10Gi}",
        RefusedBySchema("spec.storage.metadataSize", "Required value"),
    ),
    create(
        "a size of zero is refused",
        "storage: {metadataSize: 0Gi}",
        Refused(
            "spec.storage.metadataSize",
            "must be a size above zero and below 8Ei, in Mi, Gi or Ti, for example 10Gi",
        ),
    ),
    create(
        "a negative size is refused",
        "storage: {metadataSize: -1Gi}",
        Refused("spec.storage.metadataSize", "must be a size above zero"),
    ),
    create(
        "a size that is not a quantity is refused",
        "storage: {metadataSize: big}",
        Refused("spec.storage.metadataSize", "must be a size above zero"),
    ),
    create(
        "a size without unit is refused",
        "storage: {metadataSize: 10Gi, contentSize: '10'}",
        Refused("spec.storage.contentSize", "in Mi, Gi or Ti"),
    ),
    create(
        "a size as number is refused",
        "storage: {metadataSize: 10}",
        RefusedBySchema("spec.storage.metadataSize", "must be of type string"),
    ),
    create(
        "a size above the maximum of Kubernetes is refused",
        "storage: {metadataSize: 99999999999999999999Ti}",
        Refused("spec.storage.metadataSize", "and below 8Ei"),
    ),
    create(
        "a size of exactly 8Ei is refused",
        "storage: {metadataSize: 8388608Ti}",
        Refused("spec.storage.metadataSize", "and below 8Ei"),
    ),
    create(
        "the maximum size of Kubernetes is accepted",
        "storage: {metadataSize: 8388607Ti}",
        Accepted,
    ),
    create(
        "an empty content size is refused",
        "storage: {metadataSize: 10Gi, contentSize: ''}",
        Refused("spec.storage.contentSize", "must be a size above zero"),
    ),
    create(
        "sizes in all three units and with leading zeros are accepted",
        "storage: {metadataSize: 0512Mi, contentSize: 2Ti, controlPlaneSize: 3Gi}",
        Accepted,
    ),
    create(
        "a class name in capitals is refused",
        "storage: {metadataSize: 10Gi, storageClassName: Fast_SSD}",
        Refused(
            "spec.storage.storageClassName",
            "must be the name of a StorageClass",
        ),
    ),
    create(
        "an empty class name, a volume without class, is accepted",
        "storage: {metadataSize: 10Gi, storageClassName: ''}",
        Accepted,
    ),
    update(
        "a volume can grow",
        MINIMAL,
        "storage: {metadataSize: 20Gi}",
        Accepted,
    ),
    update(
        "a volume cannot shrink",
        MINIMAL,
        "storage: {metadataSize: 5Gi}",
        Refused(
            "spec.storage.metadataSize",
            "cannot shrink from 10Gi to 5Gi, because volumes can only grow: set it to 10Gi or more",
        ),
    ),
    update(
        "the same size in another unit is accepted",
        "storage: {metadataSize: 1Gi}",
        "storage: {metadataSize: 1024Mi}",
        Accepted,
    ),
    update(
        "a smaller number in a larger unit is accepted",
        "storage: {metadataSize: 512Gi}",
        "storage: {metadataSize: 1Ti}",
        Accepted,
    ),
    update(
        "a larger number in a smaller unit is refused if the size shrinks",
        "storage: {metadataSize: 1Gi}",
        "storage: {metadataSize: 1023Mi}",
        Refused("spec.storage.metadataSize", "cannot shrink from 1Gi to 1023Mi"),
    ),
    update(
        "the control-plane volume cannot shrink to its default",
        "storage: {metadataSize: 10Gi, controlPlaneSize: 5Gi}",
        MINIMAL,
        Refused("spec.storage.controlPlaneSize", "cannot shrink from 5Gi to 1Gi"),
    ),
    update(
        "the content volume cannot shrink",
        "storage: {metadataSize: 10Gi, contentSize: 50Gi}",
        "storage: {metadataSize: 10Gi, contentSize: 49Gi}",
        Refused("spec.storage.contentSize", "cannot shrink from 50Gi to 49Gi"),
    ),
    update(
        "the content volume cannot be removed",
        "storage: {metadataSize: 10Gi, contentSize: 50Gi}",
        MINIMAL,
        Refused("spec.storage.contentSize", "cannot be removed once it is set"),
    ),
    update(
        "a content volume can be added",
        MINIMAL,
        "storage: {metadataSize: 10Gi, contentSize: 1Gi}",
        Accepted,
    ),
    update(
        "a stored volume size with an expensive exponent can be corrected",
        "storage: {metadataSize: '1e2147483647'}",
        "storage: {metadataSize: 10Gi}",
        Accepted,
    ),
    update(
        "a stored size of zero does not prevent another edit",
        "storage: {metadataSize: 0Gi}",
        "{storage: {metadataSize: 0Gi}, replicas: 0}",
        Accepted,
    ),
    update(
        "a stored size of zero can be corrected",
        "storage: {metadataSize: 0Gi}",
        MINIMAL,
        Accepted,
    ),
];

/// Which database.
pub const DATABASE: &[Case] = &[
    create(
        "postgres without a database is refused",
        "{storage: {metadataSize: 10Gi}, database: {type: postgres}}",
        Refused(
            "spec.database.postgresSecretRef",
            "set spec.database.postgresSecretRef, or spec.percona.enabled: true",
        ),
    ),
    create(
        "postgres with Percona is accepted",
        "{storage: {metadataSize: 10Gi}, database: {type: postgres}, percona: {enabled: true}}",
        Accepted,
    ),
    create(
        "Percona and an own PostgreSQL cannot be used together",
        "{storage: {metadataSize: 10Gi}, database: {postgresSecretRef: {name: pg, key: host}}, percona: {enabled: true}}",
        Refused(
            "spec.database.postgresSecretRef",
            "cannot be used together, because a server has one database",
        ),
    ),
    create(
        "an own PostgreSQL with a disabled Percona block is accepted",
        "{storage: {metadataSize: 10Gi}, database: {postgresSecretRef: {name: pg, key: host}}, percona: {enabled: false}}",
        Accepted,
    ),
    create(
        "a PostgreSQL Secret without a name is refused",
        "{storage: {metadataSize: 10Gi}, database: {postgresSecretRef: {key: host}}}",
        Refused("spec.database.postgresSecretRef.name", "must name a Secret"),
    ),
    create(
        "an unknown database is refused",
        "{storage: {metadataSize: 10Gi}, database: {type: mysql}}",
        RefusedBySchema("spec.database.type", "supported values: \"sqlite\", \"postgres\""),
    ),
    update(
        "a stored server of type postgres without database can be edited",
        "{storage: {metadataSize: 10Gi}, database: {type: postgres}}",
        "{storage: {metadataSize: 10Gi}, database: {type: postgres}, image: 'x:2'}",
        Accepted,
    ),
    update(
        "a server cannot be changed to postgres without a database",
        MINIMAL,
        "{storage: {metadataSize: 10Gi}, database: {type: postgres}}",
        Refused(
            "spec.database.postgresSecretRef",
            "the spec has no database server",
        ),
    ),
    update(
        "the Secret of a server of type postgres cannot be removed",
        "{storage: {metadataSize: 10Gi}, database: {type: postgres, postgresSecretRef: {name: pg, key: host}}}",
        "{storage: {metadataSize: 10Gi}, database: {type: postgres}}",
        Refused(
            "spec.database.postgresSecretRef",
            "the spec has no database server",
        ),
    ),
    update(
        "a stored server with two databases can be edited",
        "{storage: {metadataSize: 10Gi}, database: {postgresSecretRef: {name: pg, key: host}}, percona: {enabled: true}}",
        "{storage: {metadataSize: 10Gi}, database: {postgresSecretRef: {name: pg, key: host}}, percona: {enabled: true, replicas: 2}}",
        Accepted,
    ),
    create(
        "a SQLite file outside the volumes is refused",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/etc/x.db'}}}",
        Refused("spec.database.sqlite.path", "must be on a volume"),
    ),
    create(
        "a SQLite file next to the volumes is refused",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/data/x.db'}}}",
        Refused("spec.database.sqlite.path", "must be on a volume"),
    ),
    create(
        "a SQLite file that is relative is refused",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: 'x.db'}}}",
        Refused("spec.database.sqlite.path", "must be the absolute path of a file"),
    ),
    create(
        "a SQLite file with '..' in its path is refused",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/data/controlplane/../../etc/x.db'}}}",
        Refused("spec.database.sqlite.path", "must be the absolute path of a file"),
    ),
    create(
        "a SQLite file with an empty element is refused",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/data/controlplane//x.db'}}}",
        Refused("spec.database.sqlite.path", "must be the absolute path of a file"),
    ),
    create(
        "a SQLite file that is a volume itself is refused",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/data/controlplane/'}}}",
        Refused("spec.database.sqlite.path", "must be the absolute path of a file"),
    ),
    create(
        "a SQLite file with parameters is refused",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/data/controlplane/x.db?mode=memory'}}}",
        Refused("spec.database.sqlite.path", "must be the absolute path of a file"),
    ),
    create(
        "a SQLite file on the content volume is refused if there is no such volume",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/data/store/block/x.db'}}}",
        Refused("spec.database.sqlite.path", "must be on a volume"),
    ),
    create(
        "a SQLite file in a folder of the volume controlplane is accepted",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/data/controlplane/a/..b/.x.db'}}}",
        Accepted,
    ),
    create(
        "a SQLite file on the volume metadata is accepted",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/data/store/metadata/x.db'}}}",
        Accepted,
    ),
    create(
        "a SQLite file on the content volume is accepted",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, database: {sqlite: {path: '/data/store/block/x.db'}}}",
        Accepted,
    ),
    create(
        "an empty SQLite path means an absent path",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: ''}}}",
        Accepted,
    ),
    create(
        "a SQLite path is not checked with PostgreSQL",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: /tmp/x.db}}, percona: {enabled: true}}",
        Accepted,
    ),
    update(
        "a stored SQLite file outside the volumes does not prevent another edit",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/etc/x.db'}}}",
        "{replicas: 0, storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/etc/x.db'}}}",
        Accepted,
    ),
    update(
        "a SQLite file on a volume cannot be moved away from it",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/data/controlplane/x.db'}}}",
        "{storage: {metadataSize: 10Gi}, database: {sqlite: {path: '/tmp/x.db'}}}",
        Refused(
            "spec.database.sqlite.path",
            "for example /data/controlplane/controlplane.db",
        ),
    ),
];
