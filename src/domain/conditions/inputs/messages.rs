//! What the conditions say of an observation that is no violation: what a rollout or a migration waits for, and notes.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;

use crate::api::names;
use crate::api::percona::PerconaPGCluster;
use crate::domain::data_home;
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::generation;
use crate::domain::server_settings::kerberos;
use crate::domain::validate::cluster_problem;
use crate::domain::volumes;
use crate::domain::workload::rollout::{self, UpdateMode};

/// A user who updates pods manually, or a claim of an added volume that cannot be created.
pub(super) fn rollout_waits(observed: &Observed, stateful_set: &StatefulSet) -> Option<String> {
    let name = observed.server.name_any();
    match rollout::update_mode(stateful_set) {
        UpdateMode::Automatic => {}
        UpdateMode::OnDelete => {
            return Some(format!(
                "the update strategy is OnDelete: kubectl delete pod {} at a convenient time to roll out",
                names::pod(&name)
            ));
        }
        UpdateMode::Partition(partition) => {
            return Some(format!(
                "partition {partition} of the update strategy blocks the rollout, and a deleted pod would start with the old revision again. Set spec.updateStrategy.rollingUpdate.partition of StatefulSet {} to 0 to roll out",
                names::stateful_set(&name)
            ));
        }
    }
    let missing = volumes::missing_claims(observed, stateful_set)?;
    (!missing.is_empty()).then(|| {
        format!(
            "PersistentVolumeClaim {} does not exist yet, and the pod is not replaced before. If this lasts, kubectl describe statefulset {} shows why the claim is refused",
            missing.join(", "),
            names::stateful_set(&name)
        )
    })
}

/// A generated first password that was deleted, a connection that is not encrypted, and Kerberos that left the spec.
pub(super) fn config_notes(observed: &Observed) -> Vec<String> {
    let secret = names::admin_bootstrap_secret(&observed.server.name_any());
    let is_used = observed.server.spec.admin_password_ref().is_none();
    let is_lost = is_used
        && generation::exists(observed)
        && matches!(observed.secrets.get(&secret), Some(Read::Missing));
    let lost = is_lost.then(|| {
        format!(
            "Secret {secret} with the first admin password does not exist. A server that was started once does not need it"
        )
    });
    let unencrypted = data_home::unencrypted_postgres(observed).map(|secret| {
        format!("The connection to PostgreSQL is not encrypted, because Secret {secret} has no key sslmode")
    });
    let leaving = kerberos::is_switched_off_first(observed).then(|| {
        "The pod is not changed before Kerberos is switched off through the API of the server".to_owned()
    });
    [lost, unencrypted, leaving].into_iter().flatten().collect()
}

/// What to do about data that is still in SQLite, and the present state of the cluster.
pub(super) fn pending_message(observed: &Observed, database: &Read<Arc<PerconaPGCluster>>) -> String {
    let name = observed.server.name_any();
    let cluster = names::percona_cluster(&name);
    let problem = cluster_problem(observed, database);
    let state = problem.map_or_else(
        || format!("PostgreSQL cluster {cluster} is ready"),
        |problem| problem.message,
    );
    let remedy = data_home::remedy(&observed.server);
    format!(
        "The control-plane data (users, share definitions) is in the SQLite file on volume {}, and the server stays on it, although spec.percona is enabled. {remedy} (docs/migrate.md). State of the cluster: {state}",
        names::claim(names::CONTROL_PLANE_VOLUME, &name),
    )
}
