//! Rules across fields of `spec.percona`.

use kube::core::{Message, Rule};

use super::{not_smaller, ratcheted};
use crate::api::defaults::{PERCONA_DATABASE_NAME, PERCONA_POSTGRES_VERSION};

/// Backups need a bucket.
pub fn backup_bucket() -> Rule {
    backup_field(
        "bucket",
        "spec.percona.backup.enabled needs spec.percona.backup.bucket, the S3 bucket for backups",
    )
}

/// Backups need an endpoint.
pub fn backup_endpoint() -> Rule {
    backup_field(
        "endpoint",
        "spec.percona.backup.enabled needs spec.percona.backup.endpoint, for example s3.eu-west-1.amazonaws.com",
    )
}

fn backup_field(name: &str, message: &str) -> Rule {
    let rule = format!(
        "!self.enabled || !has(self.backup) || !self.backup.enabled || (has(self.backup.{name}) && self.backup.{name} != '')"
    );
    ratcheted(&rule, &format!(".backup.{name}"), message)
}

/// Backups need credentials.
pub fn backup_credentials() -> Rule {
    ratcheted(
        "!self.enabled || !has(self.backup) || !self.backup.enabled || (has(self.backup.credentialsSecretRef) && has(self.backup.credentialsSecretRef.name) && self.backup.credentialsSecretRef.name != '')",
        ".backup.credentialsSecretRef",
        "spec.percona.backup.enabled needs spec.percona.backup.credentialsSecretRef.name, a Secret with pgBackRest's S3 credentials",
    )
}

/// Another major version than that of the default image needs an image.
pub fn postgres_version_has_image() -> Rule {
    ratcheted(
        &format!(
            "!has(self.postgresVersion) || self.postgresVersion == {PERCONA_POSTGRES_VERSION} || (has(self.images) && has(self.images.postgres) && self.images.postgres != '')"
        ),
        ".postgresVersion",
        &format!(
            "spec.percona.postgresVersion other than {PERCONA_POSTGRES_VERSION} needs spec.percona.images.postgres, because the default image contains PostgreSQL {PERCONA_POSTGRES_VERSION}: set an image of that version"
        ),
    )
}

/// The database keeps its name. With another name the server would start on an empty database.
pub fn database_stays() -> Rule {
    let name = |percona: &str| {
        format!(
            "(has({percona}.databaseName) && {percona}.databaseName != '' ? {percona}.databaseName : '{PERCONA_DATABASE_NAME}')"
        )
    };
    let (before, after) = (name("oldSelf"), name("self"));
    Rule::new(format!("!oldSelf.enabled || !self.enabled || {before} == {after}"))
        .field_path(".databaseName")
        .message(Message::Expression(format!(
            "'cannot change while Percona is enabled, because the server would start on an empty database: set it to ' + {before}"
        )))
}

/// The data volumes of a cluster cannot shrink.
pub fn storage_never_shrinks() -> Rule {
    Rule::new(format!(
        "!oldSelf.enabled || !self.enabled || !has(self.storageSize) || !has(oldSelf.storageSize) || {}",
        not_smaller("self.storageSize", "oldSelf.storageSize")
    ))
    .field_path(".storageSize")
    .message(Message::Expression(
        "'cannot shrink from ' + oldSelf.storageSize + ' to ' + self.storageSize + ', because volumes can only grow: set it to ' + oldSelf.storageSize + ' or more'".to_owned(),
    ))
}
