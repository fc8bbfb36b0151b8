//! Rules of `spec.users`, `spec.groups`, `spec.remoteStores`, `spec.shares` and `spec.adapters`.

use kube::core::Rule;

use super::super::defaults::{NFS_PORT, PORTMAPPER_PORT, SMB_PORT};
use super::{API_PORT, COUNTABLE, METRICS_PORT, SIZE, field, ratcheted};

/// Names that the server accepts and that need no quotes on a command line.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";

/// A client that may mount a share: an IPv4 address or network, an IPv6 one, or a host name with a letter, perhaps with `*.` in front. A
/// pattern and not a rule, because rules on so many texts would cost the API server too much.
pub const CLIENT: &str = "^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])([.](25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}(/([12]?[0-9]|3[0-2]))?|(([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|([0-9A-Fa-f]{1,4}:){6}[0-9]{1,3}([.][0-9]{1,3}){3}|[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*)(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?|([*][.])?([A-Za-z0-9][-A-Za-z0-9.]*)?[A-Za-z]([-A-Za-z0-9.]*[A-Za-z0-9])?)$";

/// Name of a user.
pub fn user_name() -> Rule {
    field(
        format!("self.matches('{NAME}') && !(self in ['admin', 'k8s-operator'])"),
        "must have only letters, digits, '.', '_' and '-', and begin with a letter or digit; admin and k8s-operator are users of the server",
    )
}

/// Name of a group.
pub fn group_name() -> Rule {
    field(
        format!("self.matches('{NAME}') && !(self in ['admins', 'operators', 'users'])"),
        "must have only letters, digits, '.', '_' and '-', and begin with a letter or digit; each server has the groups admins, operators and users, which need no declaration",
    )
}

/// Name of a share.
pub fn share_name() -> Rule {
    field(
        format!("self.matches('{NAME}')"),
        "must have only letters, digits, '.', '_' and '-', and begin with a letter or digit, without '/': clients mount /<name> and \\\\\\\\host\\\\<name>",
    )
}

/// Name of a remote store.
pub fn store_name() -> Rule {
    field(
        format!("self.matches('{NAME}')"),
        "must have only letters, digits, '.', '_' and '-', and begin with a letter or digit",
    )
}

/// Maximum size of a share.
pub fn quota() -> Rule {
    field(
        format!("self == '0' || (self.matches('{SIZE}') && {COUNTABLE})"),
        "must be a size below 8Ei, for example 100Gi, or \"0\" for no limit",
    )
}

/// URL of an S3 service.
pub fn endpoint() -> Rule {
    field(
        "self.matches('^https?://[^ /?#@]+/?$')",
        "must be a URL with a host, without a path and without credentials, for example http://minio.storage.svc:9000",
    )
}

/// The owner of a share is set when it is made, and the server ignores another one later. It may leave the spec: then the share keeps it.
pub fn owner_stays() -> Rule {
    Rule::new("!has(self.owner) || (has(oldSelf.owner) && self.owner == oldSelf.owner)")
        .field_path(".owner")
        .message(
            "cannot be changed or added, because the server sets the owner only when it makes a share: set it back, or declare a share of another name",
        )
}

/// Blocks that are only in the former store would be lost.
pub fn remote_store_stays() -> Rule {
    Rule::new("!has(oldSelf.remoteStore) || (has(self.remoteStore) && self.remoteStore == oldSelf.remoteStore)")
        .field_path(".remoteStore")
        .message(
            "cannot change or be removed, because blocks that are only in that store would be lost: set it back, or declare a new share and copy the files",
        )
}

/// The blocks are in the bucket.
pub fn bucket_stays() -> Rule {
    Rule::new("self == oldSelf").message(
        "cannot change, because the blocks are in the former bucket: set it back, or declare another store",
    )
}

/// The blocks are below the prefix.
pub fn prefix_stays() -> Rule {
    Rule::new("(has(self.prefix) ? self.prefix : '') == (has(oldSelf.prefix) ? oldSelf.prefix : '')")
        .field_path(".prefix")
        .message("cannot change, because the blocks are below the former prefix: set it back, or declare another store")
}

/// A share has its blocks on the content volume, also with a remote store.
pub fn shares_have_content() -> Rule {
    ratcheted(
        "!has(self.shares) || size(self.shares) == 0 || (has(self.storage) && has(self.storage.contentSize) && self.storage.contentSize != '')",
        ".shares",
        "spec.shares needs spec.storage.contentSize: the blocks of files are on that volume, at least until they are in a remote store",
    )
}

/// A user number belongs to one user.
pub fn uids_distinct() -> Rule {
    ratcheted(
        "!has(self.users) || self.users.all(user, !has(user.uid) || self.users.exists_one(other, has(other.uid) && other.uid == user.uid))",
        ".users",
        "spec.users has two users with the same uid: give each its own",
    )
}

/// A group number belongs to one group.
pub fn gids_distinct() -> Rule {
    ratcheted(
        "!has(self.groups) || self.groups.all(group, !has(group.gid) || self.groups.exists_one(other, has(other.gid) && other.gid == group.gid))",
        ".groups",
        "spec.groups has two groups with the same gid: give each its own",
    )
}

/// A user is in groups that exist.
pub fn groups_known() -> Rule {
    ratcheted(
        "!has(self.users) || self.users.all(user, !has(user.groups) || user.groups.all(name, name in ['admins', 'operators', 'users'] || (has(self.groups) && self.groups.exists(group, group.name == name))))",
        ".users",
        "spec.users[].groups has a group that is not in spec.groups: declare it, or correct the name",
    )
}

/// The owner of a share exists, and has a number.
pub fn owners_known() -> Rule {
    ratcheted(
        "!has(self.shares) || self.shares.all(share, !has(share.owner) || (has(self.users) && self.users.exists(user, user.name == share.owner && has(user.uid))))",
        ".shares",
        "spec.shares[].owner must be the name of a user in spec.users that has a uid: declare the user, or give it a uid",
    )
}

/// The remote store of a share is declared.
pub fn remote_stores_known() -> Rule {
    ratcheted(
        "!has(self.shares) || self.shares.all(share, !has(share.remoteStore) || (has(self.remoteStores) && self.remoteStores.exists(store, store.name == share.remoteStore)))",
        ".shares",
        "spec.shares[].remoteStore must be the name of a store in spec.remoteStores: declare it, or correct the name",
    )
}

/// No two listeners of the server have one port. An adapter that is not declared, or has no port, has that of the server. The server answers
/// that it has changed a port also if it cannot listen there.
pub fn adapter_ports_distinct() -> Rule {
    let declared =
        |adapter: &str| format!("has(self.adapters.{adapter}) && has(self.adapters.{adapter}.port)");
    let port = |adapter: &str, default: i32| {
        format!(
            "({} ? self.adapters.{adapter}.port : {default})",
            declared(adapter)
        )
    };
    let is_off = |adapter: &str| {
        format!(
            "(has(self.adapters.{adapter}) && has(self.adapters.{adapter}.enabled) && !self.adapters.{adapter}.enabled)"
        )
    };
    let api = format!(
        "(has(self.controlPlane) && has(self.controlPlane.port) ? self.controlPlane.port : {API_PORT})"
    );
    let metrics = format!(
        "(has(self.metrics) && self.metrics.enabled ? (has(self.metrics.port) ? self.metrics.port : {METRICS_PORT}) : 0)"
    );
    let is_free = |adapter: &str| {
        format!(
            "(!({}) || !(self.adapters.{adapter}.port in [{api}, {metrics}, {PORTMAPPER_PORT}]))",
            declared(adapter)
        )
    };
    let (nfs, smb) = (port("nfs", NFS_PORT), port("smb", SMB_PORT));
    ratcheted(
        &format!(
            "!has(self.adapters) || (({} || {} || {nfs} != {smb}) && {} && {})",
            is_off("nfs"),
            is_off("smb"),
            is_free("nfs"),
            is_free("smb"),
        ),
        ".adapters",
        &format!(
            "spec.adapters.nfs.port (default {NFS_PORT}) and spec.adapters.smb.port (default {SMB_PORT}) must differ from each other, from spec.controlPlane.port, spec.metrics.port and the portmapper ({PORTMAPPER_PORT}): choose another port"
        ),
    )
}

/// The versions of SMB are a range. Their names sort as the versions do.
///
/// The API server limits the cost of a rule by the names that the schema allows, but not those of an old object.
pub fn smb_versions_ordered() -> Rule {
    field(
        "!has(self.minVersion) || !has(self.maxVersion) || self.minVersion <= self.maxVersion",
        "minVersion must not be above maxVersion, or no client could connect: lower the one or raise the other",
    )
}
