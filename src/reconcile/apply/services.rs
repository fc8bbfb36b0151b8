//! The Services.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::child::{Child, Live, Written};
use super::error::Error;
use super::writer::{Write, Writer};
use super::{Applied, Outcome, record};
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::cluster::client::params::delete_exactly;
use crate::domain::observed::Read;
use crate::domain::ownership::{Owner, owner};
use crate::reconcile::context::Context;

impl Child for Service {
    const KIND: &'static str = "Service";

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.services.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.services.wrote(self);
    }
}

/// Writes the Services. The metrics Service is deleted where it is not wanted.
pub(super) async fn apply(
    writer: &Writer<'_>,
    applied: &mut Applied,
    always: [&Service; 2],
    metrics: Option<&Service>,
) {
    for service in always.into_iter().chain(metrics) {
        let name = service.name_any();
        let written = writer.child(&name, service).await;
        record(applied, name, written, Read::Missing);
    }
    if metrics.is_none() {
        let name = names::metrics_service(&writer.server.name_any());
        let deleted = delete(writer, &name)
            .await
            .unwrap_or_else(|error| Some(error.into()));
        if let Some(deleted) = deleted {
            record(applied, name, deleted, Read::Missing);
        }
    }
}

/// Deletes a Service that the spec no longer wants. `None` if there is none of ours.
pub(super) async fn delete(writer: &Writer<'_>, name: &str) -> Result<Option<Written<Service>>, Error> {
    let live = match Service::lookup(writer.context, writer.namespace(), name) {
        Lookup::Found(live) => Some(live),
        Lookup::Missing => None,
        Lookup::Unknown(_) => writer.read(name).await?.map(|live: Live<Service>| live.object),
    };
    let Some(live) = live else {
        return Ok(None);
    };
    // One without owner was made by this operator too, and restored from a backup, for example.
    let is_ours = matches!(owner(&live.metadata, writer.server), Owner::Us | Owner::Orphan);
    if !is_ours || live.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let params = delete_exactly(&live.metadata);
    match writer
        .send::<Service>(name, Write::Delete { params: &params })
        .await
    {
        Ok(_) => {}
        Err(error) if error.code() == Some(404) => {}
        Err(error) => return Err(error),
    }
    Ok(Some(Written::without(Outcome::Deleted)))
}
