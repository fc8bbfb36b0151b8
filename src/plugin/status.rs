//! `status`: the tree of a server's children, its conditions and its last events.
//!
//! | file | content |
//! |---|---|
//! | `status/view.rs` | the output as data, which is also the JSON |
//! | `status/children.rs` | the tree, computed from what was observed; pure |
//! | `status/foreign.rs` | objects of other owners with the name of a child |
//! | `status/notes.rs` | settings without the effect that a user may expect |
//! | `status/lease.rs` | whether an operator is running |
//! | `status/text.rs` | the text, computed from the data; pure |

mod children;
mod foreign;
mod lease;
mod notes;
mod text;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

pub(super) use self::text::render;
pub(super) use self::view::ServerView;
use super::cluster::Cluster;
use super::stored::Stored;
use super::{EXIT_NO, Error, events, paint};
use crate::cluster::client::errors::explain;
use crate::domain::observed::Observed;
use crate::domain::settings::Settings;
use crate::plugin::args::{ClusterArgs, OutputFormat, StatusArgs};
use crate::reconcile::context::Context;
use crate::reconcile::observe::observe;

/// Shows one server, or all of a namespace.
pub(super) async fn run(target: &ClusterArgs, args: &StatusArgs) -> Result<u8, Error> {
    let cluster = Cluster::find(target).await?;
    let servers = match &args.name {
        Some(name) => vec![cluster.server(name).await?],
        None => cluster.servers(args.all_namespaces).await?,
    };
    let namespaces = if args.all_namespaces {
        Vec::new()
    } else {
        vec![cluster.namespace.clone()]
    };
    let asked: Vec<_> = servers.iter().map(|stored| Arc::clone(&stored.server)).collect();
    let mut views = Vec::new();
    if !servers.is_empty() {
        let look = cluster.look(&namespaces, Settings::default()).await?;
        for stored in servers {
            let observed = observe(&look.context, Arc::clone(&stored.server)).await;
            views.push(view(&look.context, &stored, &observed, args.events).await);
        }
    }
    print(&views, &cluster, args)?;
    if let Some(warning) = lease::warning(&cluster.client, &asked, Timestamp::now()).await {
        paint::warn(&warning);
    }
    let all_are_ready = views.iter().all(|view| view.ready);
    Ok(if all_are_ready { 0 } else { EXIT_NO })
}

/// The output for one server. What cannot be read is marked, and the rest is shown.
pub(super) async fn view(
    context: &Context,
    stored: &Stored,
    observed: &Observed,
    count: usize,
) -> ServerView {
    let mut children = children::children(observed, &context.caches);
    foreign::explain(&context.client, &stored.server, &mut children).await;
    let mut view = ServerView::of(stored, children);
    view.notes = notes::notes(&context.client, &stored.server).await;
    let mut objects = BTreeSet::from([format!("DittoServer/{}", view.name)]);
    view.names(&mut objects);
    match events::about(&context.client, &view.namespace, &objects).await {
        Ok(events) => view.events = events::last(&events, count),
        Err(error) => view.events_problem = Some(explain(&error)),
    }
    view
}

fn print(views: &[ServerView], cluster: &Cluster, args: &StatusArgs) -> Result<(), Error> {
    let encode = |error: &dyn std::fmt::Display| Error::Encode(error.to_string());
    let value = match (&args.name, views) {
        (Some(_), [view]) => serde_json::to_value(view),
        _ => serde_json::to_value(views),
    };
    let value = value.map_err(|error| encode(&error))?;
    let text = match args.output {
        OutputFormat::Json => serde_json::to_string_pretty(&value).map_err(|error| encode(&error))? + "\n",
        OutputFormat::Yaml => serde_yaml::to_string(&value).map_err(|error| encode(&error))?,
        OutputFormat::Text if views.is_empty() => {
            let place = if args.all_namespaces {
                "the cluster".to_owned()
            } else {
                format!("the namespace {}", cluster.namespace)
            };
            paint::warn(&format!("No DittoServer in {place}."));
            String::new()
        }
        OutputFormat::Text => {
            let now = Timestamp::now();
            let texts: Vec<String> = views.iter().map(|view| render(view, now)).collect();
            texts.join("\n")
        }
    };
    Ok(paint::print(&text, args.color)?)
}
