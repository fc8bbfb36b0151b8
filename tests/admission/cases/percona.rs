//! The PostgreSQL cluster.

use super::Expect::{Accepted, Refused, RefusedBySchema};
use super::{Case, create, update};

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
        "the database of a running server cannot get another name",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true}}",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, databaseName: other}}",
        Refused(
            "spec.percona.databaseName",
            "cannot change while Percona is enabled, because the server would start on an empty database: set it to dittofs",
        ),
    ),
    update(
        "the default name of the database may be written out",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true}}",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, databaseName: dittofs}}",
        Accepted,
    ),
    update(
        "a name of the database may be chosen with Percona",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: false}}",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, databaseName: other}}",
        Accepted,
    ),
    update(
        "the database's volumes can grow",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true}}",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: 10.5Gi}}",
        Accepted,
    ),
    update(
        "a cluster that does not exist yet can be smaller than the default",
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
    create(
        "a database size above the maximum of Kubernetes is refused",
        "{storage: {metadataSize: 10Gi}, percona: {storageSize: 8Ei}}",
        Refused("spec.percona.storageSize", "and below 8Ei"),
    ),
    create(
        "a database size with an exponent that is expensive to compute is refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: '1e2147483647'}}",
        Refused("spec.percona.storageSize", "must be a size above zero"),
    ),
    create(
        "a database size with a large negative exponent is refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: '1e-20000000'}}",
        Refused("spec.percona.storageSize", "must be a size above zero"),
    ),
    create(
        "an expensive size is refused in a disabled block as well",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: false, storageSize: '9E999999999'}}",
        Refused("spec.percona.storageSize", "must be a size above zero"),
    ),
    update(
        "a stored expensive size does not prevent another edit",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: '1e2147483647'}}",
        "{storage: {metadataSize: 10Gi}, replicas: 0, percona: {enabled: true, storageSize: '1e2147483647'}}",
        Accepted,
    ),
    update(
        "a stored expensive size can be corrected",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: '1e2147483647'}}",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: 10Gi}}",
        Accepted,
    ),
    update(
        "a size cannot be changed to an expensive one",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: 10Gi}}",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, storageSize: '1e2147483647'}}",
        Refused("spec.percona.storageSize", "must be a size above zero"),
    ),
    create(
        "backups that are kept for more than a hundred years are refused",
        "{storage: {metadataSize: 10Gi}, percona: {enabled: true, backup: {retentionDays: 2147483647}}}",
        RefusedBySchema(
            "spec.percona.backup.retentionDays",
            "should be less than or equal to 36500",
        ),
    ),
    create(
        "a database of the name a;drop is refused",
        "{storage: {metadataSize: 10Gi}, percona: {databaseName: \"a;drop\"}}",
        Refused("spec.percona.databaseName", "must be the name of a database"),
    ),
    create(
        "a database of the name my db is refused",
        "{storage: {metadataSize: 10Gi}, percona: {databaseName: \"my db\"}}",
        Refused("spec.percona.databaseName", "must be the name of a database"),
    ),
    create(
        "a database of the name -x is refused",
        "{storage: {metadataSize: 10Gi}, percona: {databaseName: \"-x\"}}",
        Refused("spec.percona.databaseName", "must be the name of a database"),
    ),
    create(
        "a database of the name a'b is refused",
        "{storage: {metadataSize: 10Gi}, percona: {databaseName: \"a'b\"}}",
        Refused("spec.percona.databaseName", "must be the name of a database"),
    ),
    create(
        "a database of the name 'my-db' is accepted",
        "{storage: {metadataSize: 10Gi}, percona: {databaseName: 'my-db'}}",
        Accepted,
    ),
    create(
        "a database of the name 'Files_2' is accepted",
        "{storage: {metadataSize: 10Gi}, percona: {databaseName: 'Files_2'}}",
        Accepted,
    ),
    create(
        "a database of the name '' is accepted",
        "{storage: {metadataSize: 10Gi}, percona: {databaseName: ''}}",
        Accepted,
    ),
    create(
        "a schedule with minute 60 is refused",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '60 2 * * *'}}}",
        Refused("spec.percona.backup.fullSchedule", "(minute 0-59, hour 0-23"),
    ),
    create(
        "a schedule with hour 24 is refused",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '0 24 * * *'}}}",
        Refused("spec.percona.backup.fullSchedule", "(minute 0-59, hour 0-23"),
    ),
    create(
        "a schedule with day 0 is refused",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '0 2 0 * *'}}}",
        Refused("spec.percona.backup.fullSchedule", "(minute 0-59, hour 0-23"),
    ),
    create(
        "a schedule with day 32 is refused",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '0 2 32 * *'}}}",
        Refused("spec.percona.backup.fullSchedule", "(minute 0-59, hour 0-23"),
    ),
    create(
        "a schedule with month 13 is refused",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '0 2 * 13 *'}}}",
        Refused("spec.percona.backup.fullSchedule", "(minute 0-59, hour 0-23"),
    ),
    create(
        "a schedule with weekday 7 is refused",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '0 2 * * 7'}}}",
        Refused("spec.percona.backup.fullSchedule", "(minute 0-59, hour 0-23"),
    ),
    create(
        "a schedule with a step of zero is refused",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '*/0 2 * * *'}}}",
        Refused("spec.percona.backup.fullSchedule", "(minute 0-59, hour 0-23"),
    ),
    create(
        "a schedule with an unknown weekday is refused",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '0 2 * * noday'}}}",
        Refused("spec.percona.backup.fullSchedule", "(minute 0-59, hour 0-23"),
    ),
    create(
        "the ends of all ranges of a schedule are accepted",
        "{storage: {metadataSize: 10Gi}, percona: {backup: {fullSchedule: '0,59 00-23 1,31 1-12,dec 0-6/2', incrSchedule: '5/10 ? * * Sun-SAT'}}}",
        Accepted,
    ),
];
