//! What one repetition cost.

use crate::calls::Counts;

/// The operator's cost of one repetition.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Time until the work was done.
    pub seconds: f64,
    /// CPU seconds until the operator rested.
    pub cpu: f64,
    /// The largest resident memory, in KiB.
    pub peak_kib: u64,
    /// The resident memory at rest, in KiB.
    pub settled_kib: u64,
    /// Writes, without those of the Lease.
    pub writes: usize,
    /// Reads, without watches and those of the Lease.
    pub reads: usize,
    /// All calls by verb and kind.
    pub calls: Counts,
}

/// One repetition.
#[derive(Clone, Debug)]
pub struct Repetition {
    /// The operator.
    pub ours: Figures,
    /// The seconds of the bare client for the same work.
    pub bare: f64,
}

/// The repetitions of one scenario with one number of servers.
#[derive(Clone, Debug)]
pub struct Row {
    /// The number of servers.
    pub servers: usize,
    /// What was measured.
    pub repetitions: Vec<Repetition>,
}

/// The median of some values, and their range.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The smallest.
    pub least: f64,
    /// The middle one; of an even number, the mean of the middle two.
    pub median: f64,
    /// The largest.
    pub most: f64,
}

/// The spread of some values. Zeros if there are none.
pub fn spread(values: impl IntoIterator<Item = f64>) -> Spread {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    let middle = values.len() / 2;
    let median = if values.len().is_multiple_of(2) {
        f64::midpoint(at(middle.saturating_sub(1)), at(middle))
    } else {
        at(middle)
    };
    Spread {
        least: at(0),
        median,
        most: at(values.len().saturating_sub(1)),
    }
}

/// The value below which this part of the values is.
pub fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of a short list"
    )]
    let index = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or_default()
}

/// A number for arithmetic with other figures: all counts of the bench are far below 2^52.
pub fn real(count: impl TryInto<u32>) -> f64 {
    count.try_into().map_or(f64::INFINITY, f64::from)
}
