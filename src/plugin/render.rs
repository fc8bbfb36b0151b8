//! The `render` command: the pure steps, without a cluster.
//!
//! Prints what a first reconcile would create, so that a change of a manifest can be reviewed as a change of its
//! children. The state of the cluster is assumed to be good: the Secrets exist, the database is ready.

pub(crate) mod input;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt};
use serde_json::Value;
use thiserror::Error;

use crate::api::admission::{Admission, SchemaViolation, without_nulls};
use crate::api::{DittoServer, names};
use crate::domain::adapters::ServerReport;
use crate::domain::desired::{self, Manifest, desired};
use crate::domain::observed::{FreshSecrets, Observed, Read};
use crate::domain::secrets::{self, Origin, SecretData, SecretUse};
use crate::domain::settings::Settings;
use crate::domain::validate::{PodGate, Valid};

use self::input::Document;

/// Placeholder for a value that is only in the cluster. It is never printed.
const PLACEHOLDER: &[u8] = b"(in the cluster)";
/// Printed instead of a hash over values that are not in the input.
const UNKNOWN_HASH: &str = "(depends on Secrets that are not in the input)";
/// The namespace of a manifest without a namespace.
const DEFAULT_NAMESPACE: &str = "default";

/// Why a manifest could not be rendered.
#[derive(Debug, Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(String, std::io::Error),
    /// The text is not YAML, or does not match its kind.
    #[error("{input}: {detail}")]
    Parse {
        /// The file, or `standard input`.
        input: String,
        /// What is wrong, and where.
        detail: String,
    },
    /// The input has no DittoServer.
    #[error("no DittoServer in the input (apiVersion: dittofs.dittofs.com/v1alpha1, kind: DittoServer)")]
    NoServer,
    /// The API server would refuse the manifest.
    #[error("{input}: {title} would be refused:\n{violations}")]
    Refused {
        /// The file, or `standard input`.
        input: String,
        /// Kind and name.
        title: String,
        /// One line for each field.
        violations: String,
    },
    /// The children could not be built.
    #[error(transparent)]
    Desired(#[from] desired::Error),
    /// A child could not be encoded.
    #[error("a child could not be encoded: {0}")]
    Encode(String),
}

/// Renders the children of all DittoServers in `files` (`-` is standard input) as a YAML stream.
///
/// # Errors
/// When a file cannot be read or parsed, or the API server would refuse a manifest.
pub fn files(files: &[PathBuf], percona_registry: Option<String>) -> Result<String, Error> {
    let settings = Settings {
        percona_registry,
        ..Settings::default()
    };
    all(&input::read(files)?, &settings)
}

/// Renders the children of all DittoServers in a YAML stream. Secrets in it are used for the config hash. Other kinds are
/// ignored. A `List` is replaced by its items.
///
/// # Errors
/// When the text does not parse, or the API server would refuse a manifest.
pub fn manifests(text: &str, settings: &Settings) -> Result<String, Error> {
    all(&input::documents("manifest", text)?, settings)
}

fn all(documents: &[Document], settings: &Settings) -> Result<String, Error> {
    let mut given = BTreeMap::new();
    for document in documents.iter().filter(|document| document.is("Secret")) {
        let secret = secret(document)?;
        given.insert((namespace_of(&secret), secret.name_any()), data_of(&secret));
    }
    let mut output = String::new();
    let admission = Admission::new();
    let kind = DittoServer::kind(&());
    for document in documents.iter().filter(|document| document.is(&kind)) {
        let server = admitted(&admission, document)?;
        render(&server, &given, settings, &mut output)?;
    }
    if output.is_empty() {
        Err(Error::NoServer)
    } else {
        Ok(output)
    }
}

/// The error of the parser is not shown, because it would quote a value.
fn secret(document: &Document) -> Result<Secret, Error> {
    serde_json::from_value(without_nulls(&document.value)).map_err(|_| Error::Parse {
        input: document.file.clone(),
        detail: format!(
            "{} is not a valid Secret: it needs apiVersion v1, base64 in each value of data, and text in each value of stringData",
            document.title()
        ),
    })
}

/// The server, if the API server would accept it.
fn admitted(admission: &Admission, document: &Document) -> Result<DittoServer, Error> {
    let violations: Vec<String> = wrong_api_version(&document.value)
        .into_iter()
        .chain(admission.violations(&document.value, None))
        .map(|violation| format!("  {violation}"))
        .collect();
    if !violations.is_empty() {
        return Err(Error::Refused {
            input: document.file.clone(),
            title: document.title(),
            violations: violations.join("\n"),
        });
    }
    let mut server: DittoServer =
        serde_json::from_value(without_nulls(&document.value)).map_err(|error| Error::Parse {
            input: document.file.clone(),
            detail: format!("{} does not parse: {error}", document.title()),
        })?;
    server
        .metadata
        .namespace
        .get_or_insert_with(|| DEFAULT_NAMESPACE.into());
    Ok(server)
}

fn wrong_api_version(document: &Value) -> Option<SchemaViolation> {
    let wanted = DittoServer::api_version(&());
    let found = &document["apiVersion"];
    let is = found
        .as_str()
        .map_or_else(|| "is missing".to_owned(), |found| format!("is {found}"));
    (*found != *wanted).then(|| SchemaViolation {
        field: "apiVersion".to_owned(),
        message: format!("{is}, but the only served version is {wanted}: correct it"),
    })
}

fn namespace_of(secret: &Secret) -> String {
    secret.namespace().unwrap_or_else(|| DEFAULT_NAMESPACE.into())
}

fn data_of(secret: &Secret) -> SecretData {
    let decoded = secret
        .data
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.0.clone()));
    let plain = secret
        .string_data
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    SecretData::new(decoded.chain(plain).collect())
}

type Given = BTreeMap<(String, String), SecretData>;

fn render(
    server: &DittoServer,
    given: &Given,
    settings: &Settings,
    output: &mut String,
) -> Result<(), Error> {
    let uses = secrets::uses(server);
    let observed = assumed(server, &uses, given);
    let valid = Valid {
        observed: &observed,
        uses: uses.clone(),
        pod: PodGate::Open,
    };
    let known = |used: &SecretUse| !used.purpose.is_read_at_start() || is_given(server, used, given);
    let is_hash_known = uses.iter().all(known);
    for mut manifest in desired(&valid, settings)?.into_manifests() {
        let comment = match &mut manifest {
            Manifest::Secret(secret) => {
                secret.data = None;
                secret.string_data = None;
                Some("generated once, in the cluster; the values are in no manifest")
            }
            Manifest::StatefulSet(stateful_set) if !is_hash_known => {
                hide_hash(stateful_set);
                None
            }
            _ => None,
        };
        append(output, comment, &manifest)?;
    }
    Ok(())
}

/// The state of a cluster without problems.
fn assumed(server: &DittoServer, uses: &[SecretUse], given: &Given) -> Observed {
    let namespace = server.namespace().unwrap_or_default();
    let mut secrets = BTreeMap::new();
    for used in uses.iter().filter(|used| used.origin != Origin::Managed) {
        let read = given
            .get(&(namespace.clone(), used.secret.clone()))
            .map_or_else(|| placeholder_secret(&used.secret, uses), Clone::clone);
        secrets.insert(used.secret.clone(), Read::Found(read));
    }
    for used in uses.iter().filter(|used| used.origin == Origin::Managed) {
        secrets.insert(used.secret.clone(), Read::Missing);
    }
    let fresh = FreshSecrets {
        jwt_key: String::from_utf8_lossy(PLACEHOLDER).into(),
        admin_password: String::from_utf8_lossy(PLACEHOLDER).into(),
    };
    Observed {
        report: Arc::new(ServerReport::of_a_new_server()),
        secrets,
        ..Observed::of_new(server.clone(), fresh)
    }
}

/// A Secret that is not in the input: it has its required keys, and the CA of the database, which Percona always writes.
fn placeholder_secret(secret: &str, uses: &[SecretUse]) -> SecretData {
    let same = uses.iter().filter(|other| other.secret == secret);
    let present = same.filter(|other| !other.optional || other.origin == Origin::Percona);
    SecretData::new(
        present
            .map(|other| (other.key.clone(), PLACEHOLDER.to_vec()))
            .collect(),
    )
}

fn is_given(server: &DittoServer, used: &SecretUse, given: &Given) -> bool {
    let key = (server.namespace().unwrap_or_default(), used.secret.clone());
    given
        .get(&key)
        .is_some_and(|data| used.optional || data.value(&used.key).is_some())
}

fn hide_hash(stateful_set: &mut k8s_openapi::api::apps::v1::StatefulSet) {
    let template = stateful_set.spec.as_mut().map(|spec| &mut spec.template);
    let annotations = template
        .and_then(|template| template.metadata.as_mut())
        .and_then(|metadata| metadata.annotations.as_mut());
    if let Some(hash) = annotations.and_then(|annotations| annotations.get_mut(names::CONFIG_HASH_ANNOTATION))
    {
        UNKNOWN_HASH.clone_into(hash);
    }
}

fn append<K: serde::Serialize>(output: &mut String, comment: Option<&str>, child: &K) -> Result<(), Error> {
    let mut value = serde_json::to_value(child).map_err(|error| Error::Encode(error.to_string()))?;
    // An owner reference has the UID that the API server sets. It is not known yet.
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("ownerReferences");
    }
    let yaml = serde_yaml::to_string(&value).map_err(|error| Error::Encode(error.to_string()))?;
    let comment = comment
        .map(|comment| format!("# {comment}\n"))
        .unwrap_or_default();
    write!(output, "---\n{comment}{yaml}").map_err(|error| Error::Encode(error.to_string()))
}
