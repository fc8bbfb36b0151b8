//! Operator-wide settings: what the flags of the operator decide about every server.

/// Operator-wide settings that shape the children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Replaces `docker.io/percona` in the default database images, for clusters with a private registry.
    pub percona_registry: Option<String>,
    /// Address of the servers' APIs: see [`crate::domain::server_api::url`].
    pub server_url_template: Option<String>,
    /// DNS domain of the cluster, if it is known.
    pub cluster_domain: Option<String>,
}

impl Settings {
    /// DNS domain of the cluster. Most clusters have the default of Kubernetes, `cluster.local`.
    #[must_use]
    pub fn cluster_domain(&self) -> &str {
        self.cluster_domain.as_deref().unwrap_or("cluster.local")
    }
}
