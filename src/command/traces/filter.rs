//! Which spans and events are in a trace: those of the operator's own code in a reconcile.
//!
//! Spans of kube contain URLs and error texts, those of hyper contain bytes. The operator's own spans and events are also in the log.
//! They contain no value of a Secret.

use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{DynFilterFn, LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Context, Filter};

/// The root span of every trace (`controller.rs`).
const ROOT: &str = "reconcile";
/// The filter of traces.
pub fn filter() -> impl Filter<Registry> {
    let filter: DynFilterFn<Registry> = dynamic_filter_fn(belongs);
    filter
        .with_callsite_filter(interest)
        .with_max_level_hint(LevelFilter::DEBUG)
}

/// The answer depends on the enclosing span, so the filter is asked each time.
fn interest(metadata: &'static Metadata<'static>) -> Interest {
    if may_belong(metadata) {
        Interest::sometimes()
    } else {
        Interest::never()
    }
}

fn belongs(metadata: &Metadata<'_>, context: &Context<'_, Registry>) -> bool {
    may_belong(metadata) && (is_root(metadata) || context.lookup_current().is_some())
}

/// Steps and API calls are spans of level debug. Of events, only those of the default log level are in a trace.
fn may_belong(metadata: &Metadata<'_>) -> bool {
    let max_level = if metadata.is_span() {
        Level::DEBUG
    } else {
        Level::INFO
    };
    is_own(metadata.target()) && *metadata.level() <= max_level
}

fn is_own(target: &str) -> bool {
    target.split("::").next() == Some(env!("CARGO_CRATE_NAME"))
}

fn is_root(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.name() == ROOT
}
