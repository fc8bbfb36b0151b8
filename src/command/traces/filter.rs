//! What belongs to a trace: reconciles and what happens in them, and of that only what this operator itself says.
//!
//! The spans of kube hold URLs and the texts of errors, those of hyper hold bytes. What our own code says has been written
//! with the log in mind, where it stands as well: no value of a Secret is in it.

use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{DynFilterFn, LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Context, Filter};

/// The span that every trace begins with (`controller.rs`).
const ROOT: &str = "reconcile";
/// Lets through what belongs to a trace.
pub fn filter() -> impl Filter<Registry> {
    let filter: DynFilterFn<Registry> = dynamic_filter_fn(belongs);
    filter
        .with_callsite_filter(interest)
        .with_max_level_hint(LevelFilter::DEBUG)
}

/// Whether it belongs is asked each time: that depends on where it happens.
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

/// Steps and calls are spans of level debug; of events only those that the log has at its usual level.
fn may_belong(metadata: &Metadata<'_>) -> bool {
    let finest = if metadata.is_span() {
        Level::DEBUG
    } else {
        Level::INFO
    };
    is_own(metadata.target()) && *metadata.level() <= finest
}

fn is_own(target: &str) -> bool {
    target.split("::").next() == Some(env!("CARGO_CRATE_NAME"))
}

fn is_root(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.name() == ROOT
}
