//! Children that the spec does not ask for any more.

use super::error::Error;
use super::live::{Child, Live, Written};
use super::writer::{Write, Writer};
use super::{Applied, Outcome, record};
use crate::cluster::cache::Lookup;
use crate::cluster::client::params::delete_exactly;
use crate::domain::observed::Read;
use crate::domain::ownership::{Owner, owner};

/// Deletes a child, and records it if there was one of ours.
pub(super) async fn apply<K: Child>(writer: &Writer<'_>, applied: &mut Applied, name: String) {
    let deleted = delete::<K>(writer, &name).await;
    if let Some(deleted) = deleted.unwrap_or_else(|error| Some(error.into())) {
        record(applied, name, deleted, Read::Missing);
    }
}

/// `None` if there is none of ours.
pub(super) async fn delete<K: Child>(writer: &Writer<'_>, name: &str) -> Result<Option<Written<K>>, Error> {
    let live = match K::lookup(writer.context, writer.namespace(), name) {
        Lookup::Found(live) => Some(live),
        Lookup::Missing => None,
        Lookup::Unknown(_) => writer.read(name).await?.map(|live: Live<K>| live.object),
    };
    let Some(live) = live else {
        return Ok(None);
    };
    let metadata = live.meta();
    // One without an owner was created by this operator too, and restored from a backup, for example.
    let is_ours = matches!(owner(metadata, writer.server), Owner::Us | Owner::Orphan);
    if !is_ours || metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let params = delete_exactly(metadata);
    match writer.send::<K>(name, Write::Delete { params: &params }).await {
        Ok(_) => {}
        Err(error) if error.code() == Some(404) => {}
        Err(error) => return Err(error),
    }
    Ok(Some(Written::without(Outcome::Deleted)))
}
