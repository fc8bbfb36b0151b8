//! The PerconaPGCluster (contract, sections 2.6 and 11).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{SecretProjection, VolumeProjection};
use kube::ResourceExt;

use super::percona_images::Images;
use super::{DatabaseChange, hibernation, meta, volumes};
use crate::api::percona::{
    BackupRepo, BackupSchedules, Backups, InstanceSet, PerconaPGCluster, PerconaPGClusterSpec, PgBackRest,
    PgBouncer, Proxy, S3Repo, User,
};
use crate::api::{DittoServer, PerconaBackupSpec, PerconaSpec, defaults, names, quantity};
use crate::domain::observed::{KindState, Observed, Read};
use crate::domain::ownership::is_bound;
use crate::domain::settings::Settings;
use crate::domain::workload::percona::{instance_set, storage_class};

/// The only backup repository.
const REPO: &str = "repo1";
/// PgBouncer pods of a new cluster. The server connects to the primary, so one is enough; Percona's operator 2.8.2 panics
/// on a cluster that has no PgBouncer.
const PG_BOUNCER_REPLICAS: i32 = 1;

/// Builds the cluster if Percona is enabled. Nothing is done if its CRD is not installed or if it could not be read: a cluster that
/// could not be read may have another version than a new one, or be larger, and must not be overwritten.
pub(super) fn build(observed: &Observed, settings: &Settings) -> DatabaseChange {
    if let Some(bound) = bound_to_server(observed) {
        return DatabaseChange::Release(bound);
    }
    let Some(percona) = observed.server.spec.percona() else {
        return DatabaseChange::Leave;
    };
    let live = match &observed.database.cluster {
        Read::Found(cluster) => Some(&cluster.spec),
        Read::Missing if observed.database.kind == KindState::NotServed => return DatabaseChange::Leave,
        Read::Missing if may_hide_data(observed) => return DatabaseChange::Leave,
        Read::Missing => None,
        Read::Unreadable(_) => return DatabaseChange::Leave,
    };
    let mut cluster = cluster(&observed.server, percona, settings, live);
    cluster.spec.pause = hibernation::pause(observed, live);
    DatabaseChange::Apply(Box::new(cluster))
}

/// Whether something was not read that shows whether data of an earlier server exists. Then no cluster is created: in the next
/// reconcile it would count as data, and the first admin password would never be generated.
fn may_hide_data(observed: &Observed) -> bool {
    let is_secret_unread = |secret: &Read<_>| matches!(secret, Read::Unreadable(_));
    matches!(observed.stateful_set, Read::Unreadable(_))
        || matches!(observed.claims, Read::Unreadable(_))
        || observed.secrets.values().any(is_secret_unread)
}

/// A cluster that garbage collection would delete with the server. An earlier version of this operator set the owner reference of
/// `deleteWithServer` at the creation.
fn bound_to_server(observed: &Observed) -> Option<Arc<PerconaPGCluster>> {
    let uid = observed.server.uid();
    let cluster = observed.database.cluster.found()?;
    is_bound(&cluster.metadata, uid.as_deref()).then(|| Arc::clone(cluster))
}

fn cluster(
    server: &DittoServer,
    percona: &PerconaSpec,
    settings: &Settings,
    live: Option<&PerconaPGClusterSpec>,
) -> PerconaPGCluster {
    let name = names::percona_cluster(&server.name_any());
    let of_live = live.and_then(|live| live.postgres_version);
    let version = percona
        .postgres_version
        .or(of_live)
        .unwrap_or(defaults::PERCONA_POSTGRES_VERSION);
    let images = Images::choose(percona, settings, version, live);
    PerconaPGCluster {
        // Even with `deleteWithServer` it has no owner reference and no finalizer that deletes data: those are set when the
        // server is deleted (`reconcile/finalize`). Until then, garbage collection cannot take the data.
        metadata: meta::kept(server, name),
        spec: PerconaPGClusterSpec {
            cr_version: percona.cr_version.clone().filter(|version| !version.is_empty()),
            image: images.postgres,
            postgres_version: Some(version),
            instances: vec![instances(percona, live)],
            users: vec![User {
                name: Some(names::PERCONA_USER.to_owned()),
                databases: vec![percona.database_name().to_owned()],
            }],
            proxy: Some(Proxy {
                pg_bouncer: Some(PgBouncer {
                    image: images.pg_bouncer,
                    replicas: Some(pg_bouncer_replicas(live)),
                }),
            }),
            backups: Some(backups(server, percona, live, images.pg_back_rest)),
            ..PerconaPGClusterSpec::default()
        },
        status: None,
    }
}

/// The spec has no field for the number of PgBouncer pods, so the user may change it in the cluster.
fn pg_bouncer_replicas(live: Option<&PerconaPGClusterSpec>) -> i32 {
    live.and_then(|live| live.proxy.as_ref()?.pg_bouncer.as_ref()?.replicas)
        .unwrap_or(PG_BOUNCER_REPLICAS)
}

/// The instance set. In a cluster that we did not create it may have another name. A second set would be a second copy of the data.
fn instances(percona: &PerconaSpec, live: Option<&PerconaPGClusterSpec>) -> InstanceSet {
    let set = live.and_then(instance_set);
    let name = set
        .and_then(|set| set.name.as_deref())
        .unwrap_or(names::PERCONA_INSTANCE_SET);
    let live_size = set
        .and_then(|set| set.data_volume_claim_spec.as_ref())
        .and_then(volumes::size);
    let size = larger(percona.storage_size(), live_size);
    // The volumes exist, and an edit would only be refused by them (`domain::volumes` reports it).
    let class = match live.filter(|_| set.is_some()) {
        Some(live) => storage_class(live),
        None => percona.storage_class_name(),
    };
    InstanceSet {
        name: Some(name.to_owned()),
        replicas: Some(replicas(percona, set)),
        data_volume_claim_spec: Some(volumes::claim_spec(size, class)),
    }
}

/// The number of instances. The API server's default is 1, so an adopted cluster keeps a larger number than the spec: the adoption
/// must not remove its standbys.
fn replicas(percona: &PerconaSpec, live: Option<&InstanceSet>) -> i32 {
    let kept = live
        .filter(|_| percona.adopt_existing)
        .and_then(|set| set.replicas);
    percona.replicas().max(kept.unwrap_or(0))
}

/// Volumes never shrink, so a cluster that is larger than the spec says keeps its size.
fn larger<'q>(wanted: &'q str, live: Option<&'q str>) -> &'q str {
    live.filter(|live| quantity::nanos(live) > quantity::nanos(wanted))
        .unwrap_or(wanted)
}

fn backups(
    server: &DittoServer,
    percona: &PerconaSpec,
    live: Option<&PerconaPGClusterSpec>,
    image: Option<String>,
) -> Backups {
    let backup = percona.backup();
    // The backups of an adopted cluster continue, unless the spec configures backups.
    let has_no_field = percona.adopt_existing && percona.backup.is_none();
    let as_live = live
        .filter(|_| has_no_field)
        .and_then(|live| live.backups.as_ref()?.enabled);
    let pgbackrest = match backup {
        Some(backup) => PgBackRest {
            image,
            ..repository(server, backup)
        },
        None => PgBackRest {
            image,
            ..PgBackRest::default()
        },
    };
    Backups {
        enabled: Some(as_live.unwrap_or(backup.is_some())),
        pgbackrest: Some(pgbackrest),
    }
}

fn repository(server: &DittoServer, backup: &PerconaBackupSpec) -> PgBackRest {
    let global = [
        ("path", format!("/pgbackrest/{}/{REPO}", server.name_any())),
        ("s3-uri-style", "path".to_owned()),
        ("storage-verify-tls", "y".to_owned()),
        ("retention-full", backup.retention_days().to_string()),
        // `time` makes the number days; without it pgBackRest counts backups.
        ("retention-full-type", "time".to_owned()),
    ];
    PgBackRest {
        image: None,
        global: global
            .into_iter()
            .map(|(key, value)| (format!("{REPO}-{key}"), value))
            .collect(),
        configuration: backup
            .credentials_secret_name()
            .map(credentials)
            .into_iter()
            .collect(),
        repos: vec![BackupRepo {
            name: Some(REPO.to_owned()),
            s3: Some(S3Repo {
                bucket: backup.bucket.clone(),
                endpoint: backup.endpoint.clone(),
                region: Some(backup.region().to_owned()),
            }),
            schedules: Some(BackupSchedules {
                full: Some(backup.full_schedule().to_owned()),
                incremental: Some(backup.incr_schedule().to_owned()),
            }),
        }],
    }
}

fn credentials(secret: &str) -> VolumeProjection {
    let secret = SecretProjection {
        name: secret.to_owned(),
        ..SecretProjection::default()
    };
    VolumeProjection {
        secret: Some(secret),
        ..VolumeProjection::default()
    }
}
