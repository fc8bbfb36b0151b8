//! `diff`: what an apply would change, child by child, and whether the pod restarts.
//!
//! The steps are those of a reconcile up to the apply: observe, validate, desired; then [`preview`] in its place.
//!
//! | file | what is in it |
//! |---|---|
//! | `diff/manifest.rs` | a manifest → the server that the API server would store |
//! | `diff/restart.rs` | whether the pod restarts, and why; pure |
//! | `diff/unread.rs` | what could not be read, so that it is not known; pure |
//! | `diff/text.rs` | the text; pure |

mod manifest;
mod restart;
mod text;
mod unread;

use std::sync::Arc;

use kube::ResourceExt;

use self::restart::Fate;
use super::cluster::Cluster;
use super::{CANNOT_TELL, Error, NOT_SO, paint};
use crate::api::DittoServer;
use crate::domain::desired::{Settings, desired};
use crate::domain::observed::Observed;
use crate::domain::validate::{Severity, validate};
use crate::domain::volumes::{self, Expansion};
use crate::plugin::args::{Access, DiffArgs};
use crate::reconcile::apply::preview::{Change, Preview, preview};
use crate::reconcile::context::Context;
use crate::reconcile::observe::observe;

/// What would become of one server.
struct Difference {
    server: Arc<DittoServer>,
    /// What is wrong with it, and what else a reader must know.
    notes: Vec<String>,
    previews: Vec<Preview>,
    fate: Fate,
}

/// Shows what would change.
pub(super) async fn run(access: &Access, args: &DiffArgs) -> Result<u8, Error> {
    let cluster = Cluster::find(access).await?;
    let servers = match &args.name {
        Some(name) => vec![cluster.server(name).await?.whole()?],
        None => manifest::servers(&cluster, &args.files).await?,
    };
    let mut namespaces: Vec<String> = servers.iter().filter_map(|server| server.namespace()).collect();
    namespaces.sort();
    namespaces.dedup();
    let settings = Settings {
        percona_registry: args.percona_registry.clone(),
    };
    let look = cluster.look(&namespaces, settings).await?;
    let mut status = 0;
    let mut texts = Vec::new();
    for server in servers {
        let difference = difference(&look.context, server).await?;
        status = status.max(exit_status(&difference));
        texts.push(text::render(&difference)?);
    }
    paint::print(&texts.join("\n"), args.color)?;
    Ok(status)
}

fn exit_status(difference: &Difference) -> u8 {
    let previews = &difference.previews;
    let failed = |preview: &Preview| matches!(preview.change, Change::Failed(_));
    if difference.fate.is_unknown() || previews.iter().any(failed) {
        CANNOT_TELL
    } else if previews.iter().any(|preview| preview.change.is_write()) {
        NOT_SO
    } else {
        0
    }
}

/// The volumes that do not become what the spec asks for.
fn stuck_volumes(observed: &Observed) -> Vec<String> {
    let told = volumes::differences(observed)
        .into_iter()
        .filter_map(|growth| match growth {
            Expansion::Blocked(trouble) => Some(format!("{}: {}", trouble.reason, trouble.message)),
            Expansion::Request { .. } | Expansion::InProgress(_) => None,
        });
    told.collect()
}

async fn difference(context: &Context, server: Arc<DittoServer>) -> Result<Difference, Error> {
    let observed = observe(context, server).await;
    let verdict = validate(&observed);
    let violations = verdict.all();
    let unread = unread::unread(&observed, &violations);
    // What could not be read is told with the fate, and for whom it could not: not for the operator.
    let known = violations
        .iter()
        .filter(|violation| violation.severity != Severity::Unknown);
    let mut notes: Vec<String> = known
        .map(|violation| format!("{}: {}", violation.reason, violation.message))
        .collect();
    notes.extend(stuck_volumes(&observed));
    let Some(valid) = verdict.valid.as_ref() else {
        return Err(Error::Unbuildable {
            name: observed.server.name_any(),
            detail: notes.join("; "),
        });
    };
    if observed.server.is_paused() {
        notes.push("the server is paused: nothing of this is written until its pause ends".into());
    }
    if observed.server.metadata.deletion_timestamp.is_some() {
        notes.push("the server is being deleted: nothing of this is written".into());
    }
    let desired = desired(valid, &context.settings)?;
    let mut previews = preview(context, &observed, desired).await;
    previews.iter_mut().for_each(text::forget_what_is_the_same);
    if !unread.is_empty() {
        // Held because it was not read here. The operator, which reads it, may write them.
        previews.retain(|preview| !matches!(preview.change, Change::Held(_)));
    }
    let fate = if unread.is_empty() {
        restart::fate(&observed, &previews)
    } else {
        Fate::Unknown(unread)
    };
    Ok(Difference {
        server: Arc::clone(&observed.server),
        notes,
        previews,
        fate,
    })
}
