//! The Services and NetworkPolicies of the adapters.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;

use super::writer::Writer;
use super::{Applied, record, unwanted};
use crate::domain::desired::Adapters;
use crate::domain::observed::Read;

/// Writes the objects of every adapter, and deletes those of adapters that the server does not run.
pub(super) async fn apply(writer: &Writer<'_>, applied: &mut Applied, adapters: &Adapters) {
    let Adapters {
        services,
        policies,
        unwanted_services,
        unwanted_policies,
    } = adapters;
    for policy in policies {
        let name = policy.name_any();
        let written = writer.child(&name, policy).await;
        record(applied, name, written, Read::Missing);
    }
    for service in services {
        let name = service.name_any();
        let written = writer.child(&name, service).await;
        record(applied, name, written, Read::Missing);
    }
    for name in unwanted_services {
        unwanted::apply::<Service>(writer, applied, name.clone()).await;
    }
    for name in unwanted_policies {
        unwanted::apply::<NetworkPolicy>(writer, applied, name.clone()).await;
    }
}
