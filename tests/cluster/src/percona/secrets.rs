//! The Secrets that the operator makes for a cluster. They have no owner: they outlive the cluster.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::core::ObjectMeta;

use super::cluster::{PerconaPGCluster, User};
use super::scram;
use crate::pki::Authority;

/// Marks the Secrets of users, with the value `pguser`.
pub(super) const ROLE_LABEL: &str = "postgres-operator.crunchydata.com/role";
/// Names the cluster that a Secret belongs to.
pub(super) const CLUSTER_LABEL: &str = "postgres-operator.crunchydata.com/cluster";
const USER_LABEL: &str = "postgres-operator.crunchydata.com/pguser";
/// PostgreSQL's port, also the default in the `CustomResourceDefinition`.
const PORT: i32 = 5432;

/// Why a Secret could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// `ring` reports no details, and its error does not implement `std::error::Error`.
    #[error("no random numbers")]
    Random,
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
}

impl From<ring::error::Unspecified> for Error {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Random
    }
}

/// The users of a cluster; without any, the operator makes one of the cluster's name with its database.
pub(super) fn users(cluster: &PerconaPGCluster) -> Vec<User> {
    if cluster.spec.users.is_empty() {
        let name = cluster.name_any();
        vec![User {
            databases: vec![name.clone()],
            name,
            secret_name: None,
        }]
    } else {
        cluster.spec.users.clone()
    }
}

/// The name of a user's Secret.
pub(super) fn user_secret_name(cluster: &PerconaPGCluster, user: &User) -> String {
    let default = || format!("{}-pguser-{}", cluster.name_any(), user.name);
    user.secret_name.clone().unwrap_or_else(default)
}

/// The Secret with a user's credentials, with a fresh password.
pub(super) fn user_secret(cluster: &PerconaPGCluster, user: &User) -> Result<Secret, Error> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let password = scram::password()?;
    let bouncer = cluster
        .spec
        .proxy
        .as_ref()
        .and_then(|proxy| proxy.pg_bouncer.as_ref());
    let direct = Endpoint {
        host: format!("{name}-primary.{namespace}.svc"),
        port: cluster.spec.port.unwrap_or(PORT),
    };
    let pooled = Endpoint {
        host: format!("{name}-pgbouncer.{namespace}.svc"),
        port: bouncer.and_then(|bouncer| bouncer.port).unwrap_or(PORT),
    };
    let mut data = BTreeMap::from([
        ("host", direct.host.clone()),
        ("port", direct.port.to_string()),
        ("user", user.name.clone()),
        ("password", password.clone()),
        ("verifier", scram::verifier(&password)?),
        ("pgbouncer-host", pooled.host.clone()),
        ("pgbouncer-port", pooled.port.to_string()),
    ]);
    if let Some(database) = user.databases.first() {
        data.insert("dbname", database.clone());
        data.insert("uri", direct.uri(&user.name, &password, database));
        data.insert("jdbc-uri", direct.jdbc_uri(&user.name, &password, database, ""));
        data.insert("pgbouncer-uri", pooled.uri(&user.name, &password, database));
        let threshold = "&prepareThreshold=0";
        data.insert(
            "pgbouncer-jdbc-uri",
            pooled.jdbc_uri(&user.name, &password, database, threshold),
        );
    }
    let labels = [
        (CLUSTER_LABEL, name),
        (USER_LABEL, user.name.clone()),
        (ROLE_LABEL, "pguser".to_owned()),
    ];
    Ok(secret(cluster, user_secret_name(cluster, user), &labels, data))
}

/// The name of the Secret with the certificate authority.
pub(super) fn certificate_secret_name(cluster: &PerconaPGCluster) -> String {
    format!("{}-cluster-cert", cluster.name_any())
}

/// The certificate authority and the server certificate, which names the primary's Service.
pub(super) fn certificate_secret(cluster: &PerconaPGCluster) -> Result<Secret, Error> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let authority = Authority::new("postgres-operator-ca")?;
    let host = format!("{name}-primary.{namespace}.svc");
    let names = [
        format!("{host}.cluster.local"),
        host.clone(),
        format!("{name}-primary.{namespace}"),
    ];
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let identity = authority.server(&host, &names)?;
    let data = BTreeMap::from([
        ("ca.crt", authority.pem()),
        ("tls.crt", identity.certificate),
        ("tls.key", identity.key),
    ]);
    let labels = [(CLUSTER_LABEL, name)];
    Ok(secret(cluster, certificate_secret_name(cluster), &labels, data))
}

fn secret(
    cluster: &PerconaPGCluster,
    name: String,
    labels: &[(&str, String)],
    data: BTreeMap<&str, String>,
) -> Secret {
    let labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    Secret {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: cluster.namespace(),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        string_data: Some(
            data.into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        ),
        ..Secret::default()
    }
}

/// Where a client connects.
struct Endpoint {
    host: String,
    port: i32,
}

impl Endpoint {
    fn uri(&self, user: &str, password: &str, database: &str) -> String {
        let Self { host, port } = self;
        format!(
            "postgresql://{}:{}@{host}:{port}/{}",
            escape(user),
            escape(password),
            escape(database)
        )
    }

    fn jdbc_uri(&self, user: &str, password: &str, database: &str, options: &str) -> String {
        let Self { host, port } = self;
        let (user, password) = (escape(user), escape(password));
        format!(
            "jdbc:postgresql://{host}:{port}/{}?password={password}{options}&user={user}",
            escape(database)
        )
    }
}

/// Percent-encodes everything that RFC 3986 does not name unreserved.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
        escaped
    })
}

fn hex(digit: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(digit)])
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, escape};

    #[test]
    fn symbols_of_a_password_are_escaped_in_uris() {
        assert_eq!(escape("a@b:c/d?e"), "a%40b%3Ac%2Fd%3Fe");
        let endpoint = Endpoint {
            host: "db-primary.ns.svc".to_owned(),
            port: 5432,
        };
        assert_eq!(
            endpoint.uri("dittofs", "p@ss", "dittofs"),
            "postgresql://dittofs:p%40ss@db-primary.ns.svc:5432/dittofs"
        );
    }
}
