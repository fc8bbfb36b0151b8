//! Edits with and without poisoned servers.

use std::fmt::Write;

use super::{divided, matrix, thousands};
use crate::figures::{percentile, real, spread};
use crate::scenarios::edit_one::Edits;
use crate::scenarios::isolation::Isolation;

/// Selects the latencies of the operator or of the bare client.
type Times = fn(&Edits) -> &[f64];
const OURS: Times = |edits| &edits.ours;
const BARE: Times = |edits| &edits.bare;

/// Latencies, the ratios of the runs with and without poisoned servers, and calls.
pub fn table(all: &[Isolation]) -> String {
    let mut text = String::from(
        "| servers | poisoned | edits | operator p50, ms | p99, ms | worst, ms | bare client p50, ms | p99, ms |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut columns = Vec::new();
    for isolation in all {
        for (poisoned, runs) in runs(isolation) {
            let (ours, bare) = (pooled(runs, OURS), pooled(runs, BARE));
            let at = percentile;
            let _ = writeln!(
                text,
                "| {} | {poisoned} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
                thousands(isolation.servers),
                ours.len(),
                at(&ours, 0.5),
                at(&ours, 0.99),
                at(&ours, 1.0),
                at(&bare, 0.5),
                at(&bare, 0.99),
            );
            let name = format!("{} servers and {poisoned} poisoned", thousands(isolation.servers));
            columns.push((name, calls(runs)));
        }
    }
    text.push('\n');
    text.push_str(&ratios(all));
    text.push('\n');
    text.push_str(&matrix("calls an edit", &columns));
    text
}

fn runs(isolation: &Isolation) -> [(usize, &[Edits]); 2] {
    [
        (0, &isolation.clean),
        (isolation.poisoned, &isolation.with_poisoned),
    ]
}

fn pooled(runs: &[Edits], times: Times) -> Vec<f64> {
    runs.iter().flat_map(times).copied().collect()
}

/// The operator's calls in these runs, also those for poisoned servers, divided by the number of edits.
fn calls(runs: &[Edits]) -> Vec<(String, f64)> {
    let edits = real(pooled(runs, OURS).len());
    let mut sums = crate::calls::Counts::new();
    for (kind, count) in runs.iter().flat_map(|edits| &edits.calls) {
        *sums.entry(kind.clone()).or_default() += count;
    }
    divided(&sums, edits)
}

fn ratios(all: &[Isolation]) -> String {
    let mut text = String::from(
        "| servers | with poisoned ÷ clean: operator p50 | p99 | p99 of each repetition | bare client p50 | p99 |\n|---|---|---|---|---|---|\n",
    );
    for isolation in all {
        let ratio = |times, part| {
            let [clean, poisoned] = runs(isolation).map(|(_, runs)| percentile(&pooled(runs, times), part));
            poisoned / clean
        };
        let each = isolation.clean.iter().zip(&isolation.with_poisoned);
        let each =
            each.map(|(clean, poisoned)| percentile(&poisoned.ours, 0.99) / percentile(&clean.ours, 0.99));
        let each = spread(each);
        let _ = writeln!(
            text,
            "| {} | {:.2} | **{:.2}** | {:.2} ({:.2}–{:.2}) | {:.2} | {:.2} |",
            thousands(isolation.servers),
            ratio(OURS, 0.5),
            ratio(OURS, 0.99),
            each.median,
            each.least,
            each.most,
            ratio(BARE, 0.5),
            ratio(BARE, 0.99),
        );
    }
    text
}
