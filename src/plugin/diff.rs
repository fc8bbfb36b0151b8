//! `diff`: what an apply would change, child by child, and whether the pod restarts.
//!
//! The steps are those of a reconcile: observe, validate, desired, and the apply, which sends dry runs here.
//!
//! | file | what is in it |
//! |---|---|
//! | `diff/manifest.rs` | a manifest → the server that the API server would store |
//! | `diff/previews.rs` | the outcomes of the dry runs → what would become of each child; pure |
//! | `diff/restart.rs` | whether the pod restarts, and why; pure |
//! | `diff/unread.rs` | what could not be read, so that it is not known; pure |
//! | `diff/text.rs` | the text; pure |

mod manifest;
mod previews;
mod restart;
mod text;
mod unread;

use std::sync::Arc;

use kube::ResourceExt;

use self::previews::{Change, Preview, previews};
use self::restart::Effect;
use super::cluster::Cluster;
use super::{EXIT_NO, EXIT_UNKNOWN, Error, paint};
use crate::api::DittoServer;
use crate::domain::desired::desired;
use crate::domain::observed::Observed;
use crate::domain::settings::Settings;
use crate::domain::validate::{Severity, validate};
use crate::domain::volumes::{self, Expansion};
use crate::plugin::args::{ClusterArgs, DiffArgs};
use crate::reconcile::apply::dry_run;
use crate::reconcile::context::Context;
use crate::reconcile::observe::observe;

/// What an apply would change for one server.
struct Difference {
    server: Arc<DittoServer>,
    /// What is wrong with it, and what else a user must know.
    notes: Vec<String>,
    previews: Vec<Preview>,
    /// What becomes of the pod.
    effect: Effect,
}

/// Shows what would change.
pub(super) async fn run(target: &ClusterArgs, args: &DiffArgs) -> Result<u8, Error> {
    let cluster = Cluster::find(target).await?;
    let servers = match &args.name {
        Some(name) => vec![cluster.server(name).await?.whole()?],
        None => manifest::servers(&cluster, &args.files).await?,
    };
    let mut namespaces: Vec<String> = servers.iter().filter_map(|server| server.namespace()).collect();
    namespaces.sort();
    namespaces.dedup();
    let settings = Settings {
        percona_registry: args.percona_registry.clone(),
        ..Settings::default()
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
    if difference.effect.is_unknown() || previews.iter().any(failed) {
        EXIT_UNKNOWN
    } else if previews.iter().any(|preview| preview.change.is_write()) {
        EXIT_NO
    } else {
        0
    }
}

/// The volumes that do not become what the spec asks for.
fn stuck_volumes(observed: &Observed) -> Vec<String> {
    let messages = volumes::differences(observed)
        .into_iter()
        .filter_map(|growth| match growth {
            Expansion::Blocked(trouble) => Some(format!("{}: {}", trouble.reason, trouble.message)),
            Expansion::Request { .. } | Expansion::InProgress(_) => None,
        });
    messages.collect()
}

async fn difference(context: &Context, server: Arc<DittoServer>) -> Result<Difference, Error> {
    let observed = observe(context, server).await;
    let verdict = validate(&observed);
    let violations = verdict.all();
    let unread = unread::unread(&observed, &violations);
    // What could not be read is shown with the effect on the pod: it could not be read by this user, who is not the operator.
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
        notes.push(
            "the server is paused: the operator writes none of this until you remove the annotation".into(),
        );
    }
    if observed.server.metadata.deletion_timestamp.is_some() {
        notes.push("the server is being deleted: the operator writes none of this".into());
    }
    let desired = desired(valid, &context.settings)?;
    let (applied, planned) = dry_run(context, &observed, &desired).await;
    let mut previews = previews(&observed, &desired, &applied, planned);
    previews.iter_mut().for_each(text::forget_what_is_the_same);
    if !unread.is_empty() {
        // Held because something was not read here. The operator can read it, and may write them.
        previews.retain(|preview| !matches!(preview.change, Change::Held(_)));
    }
    let effect = if unread.is_empty() {
        restart::effect(&observed, &previews)
    } else {
        Effect::Unknown(unread)
    };
    Ok(Difference {
        server: Arc::clone(&observed.server),
        notes,
        previews,
        effect,
    })
}
