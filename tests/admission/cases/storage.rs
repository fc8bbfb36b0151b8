//! Volumes and databases.

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
            "must be a size above zero in Mi, Gi or Ti, for example 10Gi",
        ),
    ),
    create(
        "a negative size is refused",
        "storage: {metadataSize: -1Gi}",
        Refused("spec.storage.metadataSize", "must be a size above zero"),
    ),
    create(
        "a size that is no quantity is refused",
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
            "cannot shrink from 10Gi to 5Gi, because volumes only grow: set it to 10Gi or more",
        ),
    ),
    update(
        "the same size in another unit is no shrinking",
        "storage: {metadataSize: 1Gi}",
        "storage: {metadataSize: 1024Mi}",
        Accepted,
    ),
    update(
        "a smaller number in a larger unit is growth",
        "storage: {metadataSize: 512Gi}",
        "storage: {metadataSize: 1Ti}",
        Accepted,
    ),
    update(
        "a larger number in a smaller unit is shrinking",
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
        "a stored size of zero does not stand in the way of another edit",
        "storage: {metadataSize: 0Gi}",
        "{storage: {metadataSize: 0Gi}, replicas: 0}",
        Accepted,
    ),
    update(
        "a stored size of zero can be put right",
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
        "Percona and an own PostgreSQL exclude each other",
        "{storage: {metadataSize: 10Gi}, database: {postgresSecretRef: {name: pg, key: host}}, percona: {enabled: true}}",
        Refused(
            "spec.database.postgresSecretRef",
            "exclude each other, because a server has one database",
        ),
    ),
    create(
        "an own PostgreSQL beside a disabled Percona block is accepted",
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
        "a running server cannot be turned to postgres without database",
        MINIMAL,
        "{storage: {metadataSize: 10Gi}, database: {type: postgres}}",
        Refused("spec.database.postgresSecretRef", "no database is named"),
    ),
    update(
        "the Secret of a server of type postgres cannot be taken away",
        "{storage: {metadataSize: 10Gi}, database: {type: postgres, postgresSecretRef: {name: pg, key: host}}}",
        "{storage: {metadataSize: 10Gi}, database: {type: postgres}}",
        Refused("spec.database.postgresSecretRef", "no database is named"),
    ),
    update(
        "a stored server with two databases can be edited",
        "{storage: {metadataSize: 10Gi}, database: {postgresSecretRef: {name: pg, key: host}}, percona: {enabled: true}}",
        "{storage: {metadataSize: 10Gi}, database: {postgresSecretRef: {name: pg, key: host}}, percona: {enabled: true, replicas: 2}}",
        Accepted,
    ),
];

/// The PostgreSQL cluster.
pub const PERCONA: &[Case] = &[
    create(
        "a cluster of six instances is refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, replicas: 6}}",
        RefusedBySchema("spec.percona.replicas", "should be less than or equal to 5"),
    ),
    create(
        "a database size of zero is refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: '0'}}",
        Refused("spec.percona.storageSize", "must be a size above zero"),
    ),
    create(
        "a negative database size is refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: -5Gi}}",
        Refused("spec.percona.storageSize", "must be a size above zero"),
    ),
    create(
        "a database size in any unit is accepted",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: 1.5T}}",
        Accepted,
    ),
    update(
        "the database's volumes cannot shrink",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: 20Gi}}",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true}}",
        Refused("spec.percona.storageSize", "cannot shrink from 20Gi to 10Gi"),
    ),
    update(
        "the database's volumes can grow",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true}}",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: 10.5Gi}}",
        Accepted,
    ),
    update(
        "a cluster that is not there yet can be made smaller than the default",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: false}}",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: 5Gi}}",
        Accepted,
    ),
    create(
        "backups without a bucket are refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, backup: {enabled: true, endpoint: e, credentialsSecretRef: {name: s}}}}",
        Refused("spec.percona.backup.bucket", "the S3 bucket for backups"),
    ),
    create(
        "backups without an endpoint are refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, backup: {enabled: true, bucket: b, credentialsSecretRef: {name: s}}}}",
        Refused(
            "spec.percona.backup.endpoint",
            "for example s3.eu-west-1.amazonaws.com",
        ),
    ),
    create(
        "backups without credentials are refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, backup: {enabled: true, bucket: b, endpoint: e}}}",
        Refused(
            "spec.percona.backup.credentialsSecretRef",
            "a Secret with pgBackRest's S3 credentials",
        ),
    ),
    create(
        "backups that keep nothing are refused",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {retentionDays: 0}}}",
        RefusedBySchema(
            "spec.percona.backup.retentionDays",
            "should be greater than or equal to 1",
        ),
    ),
    create(
        "an incomplete backup block of a disabled cluster is accepted",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: false, backup: {enabled: true}}}",
        Accepted,
    ),
    create(
        "a schedule of four fields is refused",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '0 2 * *'}}}",
        Refused(
            "spec.percona.backup.fullSchedule",
            "must be a cron schedule of five fields",
        ),
    ),
    create(
        "schedules with names, steps and macros are accepted",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '*/15 2-4 1,15 JAN-MAR MON', incrSchedule: '@hourly'}}}",
        Accepted,
    ),
    create(
        "another PostgreSQL version without its image is refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, postgresVersion: 16}}",
        Refused(
            "spec.percona.postgresVersion",
            "needs spec.percona.images.postgres",
        ),
    ),
    create(
        "another PostgreSQL version with its image is accepted",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, postgresVersion: 16, images: {postgres: 'docker.io/percona/percona-distribution-postgresql:16.11-2'}}}",
        Accepted,
    ),
    create(
        "a PostgreSQL version that Percona does not know is refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, postgresVersion: 11, images: {postgres: x}}}",
        RefusedBySchema(
            "spec.percona.postgresVersion",
            "should be greater than or equal to 12",
        ),
    ),
    create(
        "a database class name with a space is refused",
        "{storage: {metadataSize: 10Gi}, percona: {storageClassName: 'fast ssd'}}",
        Refused(
            "spec.percona.storageClassName",
            "must be the name of a StorageClass",
        ),
    ),
];
