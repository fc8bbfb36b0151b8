//! `mount`: what to type to reach the files of a server.
//!
//! | file | content |
//! |---|---|
//! | `mount/address.rs` | the address of an endpoint, as seen from where the client is |
//! | `mount/commands.rs` | commands for Linux, macOS and Windows |
//! | `mount/names.rs` | names of objects for a share |
//! | `mount/volumes.rs` | a PersistentVolume with its claim, or a StorageClass |

mod address;
mod commands;
mod names;
mod volumes;

#[cfg(test)]
mod tests;

use kube::ResourceExt;

use super::cluster::Cluster;
use super::{Error, paint};
use crate::api::names::NFS;
use crate::api::{DittoServer, Endpoint};
use crate::plugin::args::{ClusterArgs, MountArgs, MountOutput};

/// Prints what to type.
pub(super) async fn run(target: &ClusterArgs, args: &MountArgs) -> Result<u8, Error> {
    let cluster = Cluster::find(target).await?;
    let server = cluster.server(&args.name).await?.whole()?;
    paint::write(text(&server, args)?.as_bytes())?;
    Ok(0)
}

fn text(server: &DittoServer, args: &MountArgs) -> Result<String, Error> {
    let endpoints = server.status.as_ref().map(|status| status.endpoints.as_slice());
    let endpoints = endpoints.unwrap_or_default();
    match args.output {
        MountOutput::Commands => commands::all(endpoints, &server.namespace().unwrap_or_default(), args),
        MountOutput::Pv => volumes::persistent_volume(server, nfs(endpoints, args)?, args),
        MountOutput::Storageclass => volumes::storage_class(server, nfs(endpoints, args)?, args),
    }
}

/// Volumes of Kubernetes use NFS.
fn nfs<'a>(endpoints: &'a [Endpoint], args: &MountArgs) -> Result<&'a Endpoint, Error> {
    let mut endpoints = endpoints.iter();
    endpoints
        .find(|endpoint| endpoint.protocol == NFS)
        .ok_or_else(|| no_endpoint(args, "NFS"))
}

fn no_endpoint(args: &MountArgs, what: &str) -> Error {
    Error::NoEndpoint {
        name: args.name.clone(),
        what: what.to_owned(),
    }
}

/// The name of the share without the slash at its start.
fn share(args: &MountArgs) -> &str {
    args.share.trim_matches('/')
}
