//! A place where control-plane data can be, and the two kinds of evidence for it.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use super::annotation_of;
use crate::api::{DittoServer, names};
use crate::domain::secrets::Purpose;
use crate::domain::workload::pod_template;

/// Where users and share definitions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In the SQLite file, or they may be.
    Sqlite,
    /// In a PostgreSQL that the user runs, with the name of its Secret where that is known.
    OwnPostgres(Option<&'a str>),
    /// In the server's PerconaPGCluster.
    Percona,
}

impl<'a> Place<'a> {
    /// The place that the pods of a StatefulSet use. It may have been created by an older version of this operator, or by the Go
    /// operator.
    #[must_use]
    pub fn of_pod(server: &DittoServer, live: &'a StatefulSet) -> Self {
        match pod_template::secret_of(live, Purpose::DatabaseHost) {
            None => Self::Sqlite,
            Some(secret) if secret == names::percona_user_secret(&server.name_any()) => Self::Percona,
            Some(secret) => Self::OwnPostgres(Some(secret)),
        }
    }

    /// The place that the annotation of the claim `controlplane` names.
    #[must_use]
    pub fn of_claim(claim: &PersistentVolumeClaim) -> Self {
        match annotation_of(claim) {
            Some(names::IN_PERCONA) => Self::Percona,
            Some(names::IN_OWN_POSTGRES | names::BACK_IN_OWN_POSTGRES) => Self::OwnPostgres(None),
            _ => Self::Sqlite,
        }
    }

    /// The place in words, for a message.
    #[must_use]
    pub fn describe(&self, server: &str) -> String {
        match self {
            Self::Sqlite => "the SQLite file on its volume".into(),
            Self::OwnPostgres(Some(secret)) => format!("the PostgreSQL that Secret {secret} names"),
            Self::OwnPostgres(None) => "a PostgreSQL that you run".into(),
            Self::Percona => format!("the PostgreSQL cluster {}", names::percona_cluster(server)),
        }
    }
}
