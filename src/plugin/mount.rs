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
use crate::api::{DittoServer, Endpoint, ShareStatus};
use crate::plugin::args::{ClusterArgs, MountArgs, MountOutput};

/// The share of the examples.
const EXPORT: &str = "export";

/// Prints what to type.
pub(super) async fn run(target: &ClusterArgs, args: &MountArgs) -> Result<u8, Error> {
    let cluster = Cluster::find(target).await?;
    let server = cluster.server(&args.name).await?.whole()?;
    paint::write(text(&server, args)?.as_bytes())?;
    Ok(0)
}

fn text(server: &DittoServer, args: &MountArgs) -> Result<String, Error> {
    let args = &MountArgs {
        share: Some(chosen(server, args)),
        ..args.clone()
    };
    let endpoints = server.status.as_ref().map(|status| status.endpoints.as_slice());
    let endpoints = endpoints.unwrap_or_default();
    match args.output {
        MountOutput::Commands => {
            let commands = commands::all(endpoints, &server.namespace().unwrap_or_default(), args)?;
            Ok(commands + &not_ready(server, args))
        }
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
    args.share.as_deref().unwrap_or(EXPORT).trim_matches('/')
}

/// The share that the user names, else the first one of the spec.
fn chosen(server: &DittoServer, args: &MountArgs) -> String {
    let declared = server.spec.shares.first().map(|share| &share.name);
    let share = args.share.as_ref().or(declared);
    share.map_or_else(|| EXPORT.to_owned(), Clone::clone)
}

/// A line about a share of the spec that clients cannot mount yet.
fn not_ready(server: &DittoServer, args: &MountArgs) -> String {
    let mut shares = server.status.iter().flat_map(|status| &status.shares);
    let state = shares.find(|state| state.name == share(args) && !state.ready);
    let line = |state: &ShareStatus| {
        let why = state
            .message
            .as_deref()
            .unwrap_or("the operator has not made it yet");
        format!("The share {} is not ready: {why}\n", state.name)
    };
    state.map(line).unwrap_or_default()
}
