//! Stores: where a share has its metadata and its blocks.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{STORE, Versioned, secret_data, value, version};
use crate::api::{Compression, RemoteStoreSpec, RemoteStoreStatus, S3Spec, names};
use crate::domain::fields::present;
use crate::domain::observed::Observed;
use crate::domain::secrets::Confidential;

/// Keys of a Secret with the credentials of S3. Those of a backup of PostgreSQL have the same names.
pub const ACCESS_KEY: &str = "accessKeyID";
/// As [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "secretAccessKey";

/// Fields that say where the blocks are. They never change on the server.
const LOCATION: [&str; 2] = ["bucket", "prefix"];

/// The credentials of S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Name of the key.
    pub id: Confidential,
    /// The key.
    pub secret: Confidential,
}

/// A remote store of the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteStore {
    /// Name.
    pub name: String,
    /// Its configuration in the words of the server, without credentials.
    pub config: Map<String, Value>,
    /// The credentials, or why they cannot be used.
    pub keys: Result<Versioned<Keys>, String>,
    /// Digest of the part of the spec.
    pub digest: String,
}

impl RemoteStore {
    pub(super) fn of(spec: &RemoteStoreSpec, observed: &Observed) -> Self {
        Self {
            name: spec.name.clone(),
            config: config(&spec.s3),
            keys: keys(observed, &spec.s3.credentials_secret_ref.name),
            digest: super::digest(spec),
        }
    }

    pub(super) fn confidential(&self) -> impl Iterator<Item = &Confidential> {
        let keys = self.keys.as_ref().ok();
        keys.into_iter()
            .flat_map(|keys| [&keys.value.id, &keys.value.secret])
    }

    /// The field of the location that the server has otherwise.
    #[must_use]
    pub fn moved(&self, live: &LiveStore) -> Option<String> {
        let field = LOCATION.iter().find(|field| {
            let text = |config: &Map<String, Value>| {
                let value = config.get(**field).and_then(Value::as_str);
                value.unwrap_or_default().to_owned()
            };
            text(&self.config) != text(&live.config)
        })?;
        Some(format!(
            "the server has a store of this name with another {field}, where the blocks are: set spec.remoteStores[].s3.{field} to that of the server, or choose another name"
        ))
    }

    /// The configuration to write; `None` if the server has it. What the spec does not declare stays.
    #[must_use]
    pub fn update(&self, live: &LiveStore, sent: Sent) -> Option<Value> {
        if sent == Sent::Current && !self.differs(live) {
            return None;
        }
        let mut config = live.config.clone();
        config.extend(self.with_keys());
        Some(request(None, &config))
    }

    fn differs(&self, live: &LiveStore) -> bool {
        let mut fields = self.config.iter();
        fields.any(|(field, value)| live.config.get(field) != Some(value))
    }

    /// Whether [`Self::update`] changes something. If nothing is known of what was sent, the credentials are written once more, and only their
    /// identity can be compared.
    #[must_use]
    pub fn is_changed(&self, live: &LiveStore, sent: Sent) -> bool {
        let has_other_keys = self.keys.as_ref().is_ok_and(|keys| {
            let id = live.config.get("access_key_id").and_then(Value::as_str);
            sent == Sent::Former || id.map(str::as_bytes) != Some(&*keys.value.id.0)
        });
        has_other_keys || self.differs(live)
    }

    /// The body that makes the store.
    #[must_use]
    pub fn creation(&self) -> Value {
        request(Some((&self.name, "s3")), &self.with_keys())
    }

    fn with_keys(&self) -> Map<String, Value> {
        let mut config = self.config.clone();
        if let Ok(keys) = &self.keys {
            let text = |value: &Confidential| json!(String::from_utf8_lossy(&value.0));
            config.insert("access_key_id".into(), text(&keys.value.id));
            config.insert("secret_access_key".into(), text(&keys.value.secret));
        }
        config
    }
}

/// What is known of the credentials that the operator sent to the server last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// They are those of the Secret.
    Current,
    /// They are others.
    Former,
    /// Nothing: the store is new, or a new DittoServer has found it.
    Unknown,
}

impl Sent {
    /// What the status says of credentials with this fingerprint, in this version of the Secret. Programs edit Secrets without a change of
    /// their data, and the fingerprint depends on the signing key, so one of the two is enough.
    #[must_use]
    pub fn of(state: &RemoteStoreStatus, version: &str, fingerprint: &str) -> Self {
        let is_current = state.credentials_version.as_deref() == Some(version)
            || state.credentials_fingerprint.as_deref() == Some(fingerprint);
        match &state.credentials_version {
            _ if is_current => Self::Current,
            Some(_) => Self::Former,
            None => Self::Unknown,
        }
    }
}

/// The API takes a configuration as a text of JSON.
fn request(new: Option<(&str, &str)>, config: &Map<String, Value>) -> Value {
    let config = Value::Object(config.clone()).to_string();
    match new {
        Some((name, kind)) => json!({"name": name, "type": kind, "config": config}),
        None => json!({"config": config}),
    }
}

fn keys(observed: &Observed, secret: &str) -> Result<Versioned<Keys>, String> {
    let id = value(observed, secret, ACCESS_KEY)?.value;
    let key = value(observed, secret, SECRET_KEY)?.value;
    Ok(Versioned {
        value: Keys { id, secret: key },
        version: version(secret_data(observed, secret)?),
    })
}

fn config(s3: &S3Spec) -> Map<String, Value> {
    let compression = s3.compression.map(|compression| match compression {
        Compression::Zstd => "zstd",
        Compression::Lz4 => "lz4",
    });
    present([
        ("bucket", Some(json!(s3.bucket))),
        ("region", s3.region.clone().map(Value::from)),
        ("endpoint", s3.endpoint.clone().map(Value::from)),
        ("prefix", s3.prefix.clone().map(Value::from)),
        ("force_path_style", s3.force_path_style.map(Value::from)),
        (
            "allow_private_endpoint",
            s3.allow_private_endpoint.map(Value::from),
        ),
        ("compression", compression.map(|algo| json!({"algo": algo}))),
    ])
}

/// A store as the server shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LiveStore {
    /// Its identity, to which shares refer.
    pub id: String,
    /// Name.
    pub name: String,
    /// `badger`, `fs`, `s3`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The configuration, with `********` in place of credentials.
    #[serde(deserialize_with = "nullable")]
    pub config: Map<String, Value>,
    /// Whether the server reaches it.
    pub status: Health,
}

impl LiveStore {
    /// Whether it keeps its data when the pod is replaced: not in memory, and not in a directory outside the volumes, such as `/tmp`. A store
    /// without a path is in a database.
    fn is_on_a_volume(&self) -> bool {
        let mounts = [
            names::METADATA_MOUNT,
            names::CONTENT_MOUNT,
            names::CONTROL_PLANE_MOUNT,
        ];
        let path = ["path", "db_path"]
            .iter()
            .find_map(|key| self.config.get(*key)?.as_str());
        let is_below = |path: &str| mounts.iter().any(|mount| Path::new(path).starts_with(mount));
        self.kind != "memory" && path.is_none_or(is_below)
    }
}

/// A report of the server on one of its parts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `healthy`, `degraded`, `unhealthy`, `unknown` or `disabled`.
    pub status: String,
    /// Why.
    pub message: String,
}

impl Health {
    /// Whether it serves.
    #[must_use]
    pub fn is_good(&self) -> bool {
        ["healthy", "degraded"].contains(&self.status.as_str())
    }

    /// Whether the server does not say: it has not loaded it, or a look took too long.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.status == "unknown"
    }

    /// Whether a look took too long, which says nothing (`CachedChecker` of DittoFS 0.29.0).
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        let causes = ["context deadline exceeded", "context canceled"];
        self.is_unknown() && causes.iter().any(|cause| self.message.contains(cause))
    }

    /// The state and its cause.
    #[must_use]
    pub fn text(&self) -> String {
        if self.message.is_empty() {
            self.status.clone()
        } else {
            format!("{}: {}", self.status, self.message)
        }
    }
}

fn nullable<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A store for which every server has a place on its volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnStore {
    /// The metadata of files.
    Metadata,
    /// The blocks of files.
    Blocks,
}

impl OwnStore {
    /// Its path in the API.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Metadata => "store/metadata",
            Self::Blocks => "store/block/local",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Metadata => "metadata store",
            Self::Blocks => "local block store",
        }
    }

    /// The body that makes it.
    #[must_use]
    pub fn creation(self) -> Value {
        let (kind, mount) = match self {
            Self::Metadata => ("badger", names::METADATA_MOUNT),
            Self::Blocks => ("fs", names::CONTENT_MOUNT),
        };
        let config = Map::from_iter([("path".to_owned(), json!(format!("{mount}/{STORE}")))]);
        request(Some((STORE, kind)), &config)
    }

    /// The store for new shares: that of the operator, else the first one that a person made and that keeps its data when the pod is
    /// replaced.
    #[must_use]
    pub fn choose(stores: &[LiveStore]) -> Option<&LiveStore> {
        let is_own = |store: &&LiveStore| store.name == STORE && store.kind != "memory";
        let own = stores.iter().find(is_own);
        own.or_else(|| stores.iter().find(|store| store.is_on_a_volume()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(region: &str, id: &str) -> LiveStore {
        LiveStore {
            config: present([
                ("region", Some(json!(region))),
                ("access_key_id", Some(json!(id))),
            ]),
            ..LiveStore::default()
        }
    }

    #[test]
    fn what_the_server_has_already_is_no_change_of_a_store() {
        let keys = Keys {
            id: Confidential(b"id"[..].into()),
            secret: Confidential(b"key"[..].into()),
        };
        let store = RemoteStore {
            name: "cold".into(),
            config: present([("region", Some(json!("eu-1")))]),
            keys: Ok(Versioned {
                value: keys,
                version: "2".into(),
            }),
            digest: String::new(),
        };
        for (region, id, sent, expected) in [
            ("eu-1", "id", Sent::Current, false),
            ("eu-1", "id", Sent::Unknown, false),
            ("eu-1", "id", Sent::Former, true),
            ("eu-1", "other", Sent::Unknown, true),
            ("eu-2", "id", Sent::Current, true),
        ] {
            let is_changed = store.is_changed(&live(region, id), sent);
            assert_eq!(is_changed, expected, "{region} {id} {sent:?}");
        }
    }

    #[test]
    fn credentials_are_current_if_the_secret_or_their_fingerprint_is_the_same() {
        for (version, fingerprint, expected) in [
            (None, None, Sent::Unknown),
            (Some("2"), Some("print"), Sent::Current),
            // Somebody has labelled the Secret.
            (Some("1"), Some("print"), Sent::Current),
            // The signing key has changed, or an earlier operator has written the status.
            (Some("2"), Some("other"), Sent::Current),
            (Some("2"), None, Sent::Current),
            (Some("1"), Some("other"), Sent::Former),
            (Some("1"), None, Sent::Former),
        ] {
            let state = RemoteStoreStatus {
                credentials_version: version.map(str::to_owned),
                credentials_fingerprint: fingerprint.map(str::to_owned),
                ..RemoteStoreStatus::default()
            };
            let sent = Sent::of(&state, "2", "print");
            assert_eq!(sent, expected, "{version:?} {fingerprint:?}");
        }
    }
}
