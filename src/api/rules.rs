//! Validation rules in CEL, which the API server evaluates at every write.
//!
//! There are three kinds. They differ in how they treat objects that were stored before the rule existed:
//!
//! - Rules on one field. Kubernetes does not evaluate them while the field does not change ("ratcheting").
//! - Rules across fields belong to a parent object, which changes with every edit inside it. [`ratcheted`] accepts a
//!   violation that was there before, so that an unrelated edit of a stored object is never refused.
//! - Transition rules use `oldSelf`. Kubernetes evaluates them on updates only.
//!
//! A message completes the sentence "`<field>`: …", because the API server puts the field in front of it. It says
//! what is required and what to do. Rules across fields give the full path of every field.

mod formats;
pub mod identity;
pub mod percona;
pub mod pod_template;
pub mod shares;

use kube::core::{Message, Rule};

use super::defaults::{API_PORT, METRICS_PORT, SQLITE_PATH};
use formats::{ABOVE_ZERO, ABSOLUTE_FILE, COUNTABLE, GO_DURATION, IMAGE, SERVER_PORTS, SIZE, SUBDOMAIN};

use super::names::{CONTENT_MOUNT, CONTROL_PLANE_MOUNT, METADATA_MOUNT};

/// Longest name of a `DittoServer`. The longest Service is `<name>-adapter-nfs` (or `-smb`), and a Service name
/// has at most 63 characters. The StatefulSet's pods carry a label `<name>-<hash>` of at most 63 characters with
/// a hash of up to 10, which alone would allow 52.
pub const NAME_MAX: usize = 63 - "-adapter-nfs".len();

/// Longest name of a `DittoServer` with `spec.percona.enabled`. Percona's operator makes one StatefulSet for each
/// instance, `<name>-postgres-instance1-<4 characters>`, whose pods carry that name and a hash of up to 10
/// characters in a label of at most 63. Its schema says the same: cluster and instance set together have at most
/// 46 characters.
pub const NAME_MAX_WITH_PERCONA: usize = 46 - "instance1".len() - "-postgres".len();

/// A rule across fields. It refuses new objects that violate it, and edits after which it is violated for the first time.
///
/// `rule` reads fields as `self.<field>`. It must not fail on any object that the schema accepts, because the second half
/// evaluates it on the old object. `optionalOldSelf` needs Kubernetes 1.30.
fn ratcheted(rule: &str, field: &str, message: &str) -> Rule {
    let before = rule.replace("self.", "oldSelf.value().");
    Rule::new(format!("({rule}) || (oldSelf.hasValue() && !({before}))"))
        .optional_old_self(true)
        .field_path(field)
        .message(message)
}

/// A rule on one field.
fn field(rule: impl Into<String>, message: &str) -> Rule {
    Rule::new(rule).message(message)
}

/// A transition rule on one field.
fn transition(rule: &str, message_expression: &str) -> Rule {
    Rule::new(rule).message(Message::Expression(message_expression.to_owned()))
}

// The object

/// The name is valid for every child. Names cannot change, so the rule applies to creation only.
pub fn name() -> Rule {
    Rule::new(format!(
        "oldSelf.hasValue() || (size(self.metadata.name) <= {NAME_MAX} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$'))"
    ))
    .optional_old_self(true)
    .field_path(".metadata.name")
    .message(
        format!(
            "metadata.name must have at most {NAME_MAX} characters, only a-z, 0-9 and '-', start with a letter and end with a letter or digit, because Services and pod labels are named after it: choose another name"
        )
        .as_str(),
    )
}

/// The name is valid for the children of a PostgreSQL cluster.
pub fn name_with_percona() -> Rule {
    let rule = format!(
        "!has(self.spec) || !has(self.spec.percona) || !self.spec.percona.enabled || size(self.metadata.name) <= {NAME_MAX_WITH_PERCONA}"
    );
    let message = format!(
        "metadata.name must have at most {NAME_MAX_WITH_PERCONA} characters when spec.percona.enabled is true, because Percona's operator names pods after it: choose a shorter name, or use spec.database.postgresSecretRef"
    );
    ratcheted(&rule, ".metadata.name", &message)
}

/// A spec is required. The Go operator's schema accepted an object without one. With `required` in the schema, such a stored
/// object could not be edited any more, not even to remove a finalizer.
pub fn spec_present() -> Rule {
    Rule::new("has(self.spec) || (oldSelf.hasValue() && !has(oldSelf.value().spec))")
        .optional_old_self(true)
        .message("spec is missing: set at least spec.storage.metadataSize, for example 10Gi")
}

// Fields that occur in several places

/// Size of a volume of the server, in the units that the Go operator accepts.
pub fn volume_size() -> Rule {
    field(
        format!("self.matches('^[0-9]{{1,15}}(Gi|Mi|Ti)$') && {COUNTABLE}"),
        "must be a size above zero and below 8Ei, in Mi, Gi or Ti, for example 10Gi",
    )
}

/// Any size above zero.
pub fn positive_quantity() -> Rule {
    field(
        format!("self == '' || (self.matches('{SIZE}') && {COUNTABLE})"),
        "must be a size above zero and below 8Ei, for example 10Gi",
    )
}

/// `new` is not a smaller size than `old`. Text that does not match [`SIZE`] is not compared.
fn not_smaller(new: &str, old: &str) -> String {
    format!(
        "!{new}.matches('{SIZE}') || !{old}.matches('{SIZE}') || quantity({new}).compareTo(quantity({old})) >= 0"
    )
}

/// A volume cannot shrink. Sizes are compared as quantities: 1024Mi equals 1Gi.
pub fn never_shrinks() -> Rule {
    transition(
        &not_smaller("self", "oldSelf"),
        "'cannot shrink from ' + oldSelf + ' to ' + self + ', because volumes can only grow: set it to ' + oldSelf + ' or more'",
    )
}

/// Name of a StorageClass. The empty string is allowed: in Kubernetes it means a volume without class.
pub fn storage_class_name() -> Rule {
    field(
        format!("self == '' || self.matches('{SUBDOMAIN}')"),
        "must be the name of a StorageClass: lower-case letters, digits, '-' and '.' (kubectl get storageclass lists them)",
    )
}

/// Name of a Secret, or empty for none.
pub fn secret_name() -> Rule {
    field(
        format!("self == '' || self.matches('{SUBDOMAIN}')"),
        "must be the name of a Secret: lower-case letters, digits, '-' and '.'",
    )
}

/// A reference with the name of a Secret has a valid key.
pub fn secret_key() -> Rule {
    Rule::new("!has(self.name) || self.name == '' || self.key.matches('^[-._a-zA-Z0-9]+$')")
        .field_path(".key")
        .message("must be a key of the Secret: letters, digits, '-', '_' and '.'")
}

/// If there is a reference, it has the name of a Secret.
pub fn secret_named() -> Rule {
    Rule::new("has(self.name) && self.name != ''")
        .field_path(".name")
        .message("must name a Secret: set it, or remove the whole reference")
}

/// A Go duration above zero.
pub fn positive_go_duration() -> Rule {
    field(
        format!("self == '' || (self.matches('{GO_DURATION}') && {ABOVE_ZERO})"),
        "must be a duration above zero such as 30s, 15m or 1h30m; units are ns, us, ms, s, m and h",
    )
}

/// A Go duration, zero included.
pub fn go_duration() -> Rule {
    field(
        format!("self == '' || self.matches('{GO_DURATION}')"),
        "must be a duration such as 30s, 15m or 720h; units are ns, us, ms, s, m and h",
    )
}

/// A cron schedule as a `CronJob` accepts it. Each number must be in its range. Percona's operator refuses a range that runs
/// backwards.
pub fn cron_schedule() -> Rule {
    field(
        format!(
            r"self == '' || self.matches('{}') || self.matches('^@(yearly|annually|monthly|weekly|daily|midnight|hourly|every [0-9a-z.]+)$')",
            formats::cron()
        ),
        "must be a cron schedule of five fields such as '0 2 * * *' (minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-6), or @hourly, @daily, @weekly, @monthly, @yearly",
    )
}

// Single fields

/// An image reference that a container runtime can parse. Empty means absent.
pub fn image() -> Rule {
    field(
        format!("self == '' || self.matches('{IMAGE}')"),
        "must be a container image without spaces and with its repository in lower case, for example marmos91c/dittofs:v0.29.0",
    )
}

/// Path of the metrics.
pub fn metrics_path() -> Rule {
    field(
        "self == '' || self.startsWith('/')",
        "must start with '/', for example /metrics",
    )
}

/// A Prometheus duration.
pub fn prometheus_duration() -> Rule {
    field(
        "self.matches('^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$')",
        "must be a Prometheus duration such as 30s, 1m or 1m30s",
    )
}

/// Time between two snapshots.
pub fn snapshot_interval() -> Rule {
    field(
        format!(
            "self in ['@hourly', '@daily', '@weekly'] || (self.matches('{GO_DURATION}') && {ABOVE_ZERO})"
        ),
        "must be a duration above zero such as 6h, or @hourly, @daily or @weekly",
    )
}

/// A snapshot policy names a share.
pub fn share() -> Rule {
    field("self != ''", "must name a share, for example /archive")
}

/// Prefix of a snapshot's name, as the server accepts it.
pub fn name_prefix() -> Rule {
    field(
        "self.matches('^[A-Za-z0-9_-]{0,64}$')",
        "must have at most 64 characters: letters, digits, '-' and '_'",
    )
}

/// Name of a database that needs no quotes in a connection string. Percona's operator quotes it in SQL, so capitals and
/// `-` work. Empty means absent.
pub fn database_name() -> Rule {
    field(
        "self == '' || self.matches('^[A-Za-z0-9_][-A-Za-z0-9_]*$')",
        "must be the name of a database: letters, digits, '_' and '-', for example dittofs",
    )
}

/// Path of a file. Empty means absent.
pub fn sqlite_path() -> Rule {
    field(
        format!("self == '' || self.matches('{ABSOLUTE_FILE}')"),
        &format!(
            "must be the absolute path of a file, without '//', '..' and '?', for example {SQLITE_PATH}"
        ),
    )
}

/// The API cannot use a port of the server's own protocols.
pub fn api_port() -> Rule {
    field(
        format!("!(self in {SERVER_PORTS})"),
        "must not be 12049, 1445, 12445 or 10111, where the server itself listens (NFS, SMB, portmapper): choose another, for example 8080",
    )
}

// Across fields of spec

/// The SQLite file is on a volume. Otherwise each restart would lose it. A path that is not used is not checked.
///
/// The rule has no regular expression. The API server estimates the cost of a rule from the length of the text, cannot bound
/// that length this deep in the old object, and would refuse the rule.
pub fn sqlite_on_volume() -> Rule {
    let not_used = "!has(self.database) || !has(self.database.sqlite) || !has(self.database.sqlite.path) || !self.database.sqlite.path.startsWith('/') || has(self.database.postgresSecretRef) || (has(self.percona) && self.percona.enabled)";
    let below = |mount: &str| format!("self.database.sqlite.path.startsWith('{mount}/')");
    ratcheted(
        &format!(
            "{not_used} || {} || {} || (has(self.storage.contentSize) && {})",
            below(CONTROL_PLANE_MOUNT),
            below(METADATA_MOUNT),
            below(CONTENT_MOUNT)
        ),
        ".database.sqlite.path",
        &format!(
            "spec.database.sqlite.path must be on a volume, or the database is lost when the pod restarts: choose a file below {CONTROL_PLANE_MOUNT}/ or {METADATA_MOUNT}/, or below {CONTENT_MOUNT}/ if spec.storage.contentSize is set, for example {SQLITE_PATH}"
        ),
    )
}

/// The API and the metrics cannot listen on the same port.
pub fn ports_distinct() -> Rule {
    let metrics = format!("(has(self.metrics.port) ? self.metrics.port : {METRICS_PORT})");
    let api = format!(
        "(has(self.controlPlane) && has(self.controlPlane.port) ? self.controlPlane.port : {API_PORT})"
    );
    ratcheted(
        &format!("!has(self.metrics) || !self.metrics.enabled || {metrics} != {api}"),
        ".metrics.port",
        &format!(
            "spec.metrics.port and spec.controlPlane.port must differ, because one server listens on both: change one of them (defaults: {METRICS_PORT} and {API_PORT})"
        ),
    )
}

/// `type: postgres` needs a PostgreSQL.
pub fn postgres_has_a_source() -> Rule {
    ratcheted(
        "!has(self.database) || !has(self.database.type) || self.database.type != 'postgres' || has(self.database.postgresSecretRef) || (has(self.percona) && self.percona.enabled)",
        ".database.postgresSecretRef",
        "spec.database.type is postgres, but the spec has no database server: set spec.database.postgresSecretRef, or spec.percona.enabled: true",
    )
}

/// A server has one database.
pub fn one_database() -> Rule {
    ratcheted(
        "!has(self.percona) || !self.percona.enabled || !has(self.database) || !has(self.database.postgresSecretRef)",
        ".database.postgresSecretRef",
        "spec.percona.enabled and spec.database.postgresSecretRef cannot be used together, because a server has one database: remove one of them",
    )
}

// Across fields of spec.storage

/// `contentSize` cannot be removed. The server could not reach the data on the volume any more.
pub fn content_volume_stays() -> Rule {
    Rule::new("!has(oldSelf.contentSize) || has(self.contentSize)")
        .field_path(".contentSize")
        .message(
            "cannot be removed once it is set, because the volume contains file data: keep the previous size",
        )
}

// Across fields of spec.controlPlane

/// Client certificates need TLS.
pub fn client_ca_needs_certificate() -> Rule {
    ratcheted(
        "!has(self.clientCASecretName) || self.clientCASecretName == '' || (has(self.certSecretName) && self.certSecretName != '')",
        ".clientCASecretName",
        "spec.controlPlane.clientCASecretName needs spec.controlPlane.certSecretName, because client certificates are part of TLS: set it too, or remove clientCASecretName",
    )
}

// Across fields of spec.adapterServices

/// Each fixed node port is used once. The cluster has it only once.
pub fn node_ports_differ() -> Rule {
    let port = |path: &str| {
        let (adapter, _) = path.split_once('.').unwrap_or((path, ""));
        format!("(has(self.{adapter}) && has(self.{path}) ? [self.{path}] : [])")
    };
    let ports = [
        "nfs.nodePort",
        "nfs.adapterNodePort",
        "smb.nodePort",
        "smb.adapterNodePort",
    ]
    .map(port);
    let ports = ports.join(" + ");
    ratcheted(
        &format!("({ports}).all(port, ({ports}).exists_one(other, other == port))"),
        ".nfs",
        "the node ports nodePort and adapterNodePort of spec.adapterServices.nfs and spec.adapterServices.smb must differ, because a cluster has each once: change one of them",
    )
}

// Across fields of spec.metrics

/// The metrics cannot use a port of the server's own protocols.
pub fn metrics_port() -> Rule {
    ratcheted(
        &format!("!self.enabled || !has(self.port) || !(self.port in {SERVER_PORTS})"),
        ".port",
        &format!(
            "spec.metrics.port must not be 12049, 1445, 12445 or 10111, where the server itself listens (NFS, SMB, portmapper): choose another, for example {METRICS_PORT}"
        ),
    )
}

/// A token reference names its Secret.
pub fn metrics_token_named() -> Rule {
    ratcheted(
        "!self.enabled || !has(self.bearerTokenSecret) || (has(self.bearerTokenSecret.name) && self.bearerTokenSecret.name != '')",
        ".bearerTokenSecret.name",
        "spec.metrics.bearerTokenSecret.name must name a Secret: set it, or remove spec.metrics.bearerTokenSecret",
    )
}
