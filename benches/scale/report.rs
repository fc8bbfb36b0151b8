//! Figures as Markdown.

mod isolation;
mod shares;

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::calls::Counts;
use crate::cli::Scenario;
use crate::error::Result;
use crate::figures::{Figures, Repetition, Row, percentile, real, spread};
use crate::page::Page;
use crate::scenarios::edit_one::Edits;
use crate::scenarios::isolation::Isolation;
use crate::scenarios::rest::Rest;
use crate::scenarios::shares::Shares;

/// The results of all scenarios that need a world in which everything is in place.
pub struct InPlace {
    /// KiB of an operator without servers.
    without_servers: u64,
    /// Restarts.
    pub restart: Vec<Row>,
    /// Edits of one server: the first ones, and later ones.
    pub edit_one: Vec<[Edits; 2]>,
    /// Edits of one server, with and without poisoned servers.
    pub isolation: Vec<Isolation>,
    /// First edits of all servers.
    pub first_edit_all: Vec<Row>,
    /// Later edits of all servers.
    pub edit_all: Vec<Row>,
    /// Deleted children.
    pub deleted_children: Vec<Row>,
    /// Rests.
    pub rest: Vec<Rest>,
    /// Shares of all servers.
    pub shares: Vec<Shares>,
}

impl InPlace {
    /// No results yet.
    pub fn new(without_servers: u64) -> Self {
        Self {
            without_servers,
            restart: Vec::new(),
            edit_one: Vec::new(),
            isolation: Vec::new(),
            first_edit_all: Vec::new(),
            edit_all: Vec::new(),
            deleted_children: Vec::new(),
            rest: Vec::new(),
            shares: Vec::new(),
        }
    }

    /// Writes what there is.
    pub fn put(&self, page: &Page<'_>) -> Result<()> {
        if !self.restart.is_empty() {
            let text = format!("{}\n{}", rows(&self.restart), self.memory());
            page.put(Scenario::Restart, &text)?;
        }
        if !self.edit_one.is_empty() {
            page.put(Scenario::EditOne, &edits(&self.edit_one))?;
        }
        if !self.isolation.is_empty() {
            page.put(Scenario::Isolation, &isolation::table(&self.isolation))?;
        }
        if !self.edit_all.is_empty() {
            let text = format!(
                "The first edit of each child:\n\n{}\nLater edits:\n\n{}",
                rows(&self.first_edit_all),
                rows(&self.edit_all)
            );
            page.put(Scenario::EditAll, &text)?;
        }
        if !self.deleted_children.is_empty() {
            page.put(Scenario::DeletedChildren, &rows(&self.deleted_children))?;
        }
        if !self.rest.is_empty() {
            page.put(Scenario::AtRest, &rests(&self.rest))?;
        }
        if !self.shares.is_empty() {
            page.put(Scenario::Shares, &shares::table(&self.shares))?;
        }
        Ok(())
    }

    /// Memory by server.
    fn memory(&self) -> String {
        let without = self.without_servers;
        let mut text = format!(
            "Memory of an operator without servers: {} MiB. Memory a server at rest:\n\n",
            mib(real(without))
        );
        text.push_str("| servers | KiB a server |\n|---|---|\n");
        for row in &self.restart {
            let settled = spread(row.repetitions.iter().map(|result| real(result.ours.settled_kib)));
            let each = (settled.median - real(without)) / real(row.servers);
            let _ = writeln!(text, "| {} | {each:.1} |", thousands(row.servers));
        }
        text
    }
}

fn mib(kib: f64) -> String {
    format!("{:.1}", kib / 1024.0)
}

/// `10,000`.
fn thousands(number: usize) -> String {
    if number < 1000 {
        return number.to_string();
    }
    format!("{},{:03}", number / 1000, number % 1000)
}

/// Times and costs, then calls by verb and kind.
pub fn rows(rows: &[Row]) -> String {
    let mut text = String::from(
        "| servers | repetitions | operator, s | bare client, s | bare ÷ operator | CPU, ms a server | peak, MiB | at rest, MiB | writes a server | reads a server |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let ours =
            |value: fn(&Figures) -> f64| spread(row.repetitions.iter().map(|result| value(&result.ours)));
        let seconds = ours(|figures| figures.seconds);
        let bare = spread(row.repetitions.iter().map(|result| result.bare));
        let servers = real(row.servers);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.2} | {:.2} | {} | {} | {:.2} | {:.2} |",
            thousands(row.servers),
            row.repetitions.len(),
            range(&row.repetitions, |result| result.ours.seconds),
            range(&row.repetitions, |result| result.bare),
            bare.median / seconds.median,
            1000.0 * ours(|figures| figures.cpu).median / servers,
            mib(ours(|figures| real(figures.peak_kib)).median),
            mib(ours(|figures| real(figures.settled_kib)).median),
            ours(|figures| real(figures.writes)).median / servers,
            ours(|figures| real(figures.reads)).median / servers,
        );
    }
    text.push('\n');
    text.push_str(&calls(rows));
    text
}

/// `1.23 (1.20–1.31)`.
fn range(repetitions: &[Repetition], value: impl Fn(&Repetition) -> f64) -> String {
    let spread = spread(repetitions.iter().map(value));
    format!("{:.2} ({:.2}–{:.2})", spread.median, spread.least, spread.most)
}

fn calls(rows: &[Row]) -> String {
    let columns = rows.iter().map(|row| {
        let all: Vec<&Counts> = row.repetitions.iter().map(|result| &result.ours.calls).collect();
        let kinds: BTreeSet<&String> = all.iter().flat_map(|counts| counts.keys()).collect();
        let median = |kind: &&String| {
            let counts = all
                .iter()
                .map(|counts| real(counts.get(*kind).copied().unwrap_or_default()));
            spread(counts).median
        };
        let medians = kinds.iter().map(|kind| ((*kind).clone(), median(kind)));
        (format!("{} servers", thousands(row.servers)), medians.collect())
    });
    matrix("calls (median)", &columns.collect::<Vec<_>>())
}

/// A table of calls: a line for each verb and kind, a column for each measurement.
fn matrix(title: &str, columns: &[(String, Vec<(String, f64)>)]) -> String {
    let kinds: BTreeSet<&String> = columns
        .iter()
        .flat_map(|(_, cells)| cells.iter().map(|(kind, _)| kind))
        .collect();
    let mut text = format!("| {title} |");
    for (name, _) in columns {
        let _ = write!(text, " {name} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(columns.len()));
    text.push('\n');
    for kind in kinds {
        let _ = write!(text, "| {kind} |");
        for (_, cells) in columns {
            let count = cells
                .iter()
                .find(|(of, _)| of == kind)
                .map_or(0.0, |(_, count)| *count);
            let _ = write!(text, " {} |", shortest(count));
        }
        text.push('\n');
    }
    text
}

/// Up to two decimals.
fn shortest(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn edits(all: &[[Edits; 2]]) -> String {
    let mut text = String::from(
        "| servers | edits | operator p50, ms | p99, ms | worst, ms | bare client p50, ms | p99, ms | bare ÷ operator (p50) |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut columns = Vec::new();
    for [first, later] in all {
        for (which, edits) in [("first", first), ("later", later)] {
            let [ours, bare] = [&edits.ours, &edits.bare].map(|times| percentile(times, 0.5));
            let _ = writeln!(
                text,
                "| {} | {which} {} | {ours:.1} | {:.1} | {:.1} | {bare:.1} | {:.1} | {:.2} |",
                thousands(edits.servers),
                edits.ours.len(),
                percentile(&edits.ours, 0.99),
                percentile(&edits.ours, 1.0),
                percentile(&edits.bare, 0.99),
                bare / ours,
            );
            columns.push((
                format!("{which}, {} servers", thousands(edits.servers)),
                divided(&edits.calls, real(edits.ours.len())),
            ));
        }
    }
    text.push('\n');
    text.push_str(&matrix("calls an edit", &columns));
    text
}

fn rests<'a>(all: impl IntoIterator<Item = &'a Rest>) -> String {
    let mut text = String::from(
        "| servers | minutes | CPU, ms a minute | at rest, MiB | writes a minute | reads a minute |\n|---|---|---|---|---|---|\n",
    );
    let (mut calls, mut server_calls) = (Vec::new(), Vec::new());
    for rest in all {
        let minutes = rest.time.as_secs_f64() / 60.0;
        let servers = thousands(rest.servers);
        let _ = writeln!(
            text,
            "| {servers} | {minutes:.0} | {:.0} | {} | {:.2} | {:.2} |",
            1000.0 * rest.figures.cpu / minutes,
            mib(real(rest.figures.settled_kib)),
            real(rest.figures.writes) / minutes,
            real(rest.figures.reads) / minutes,
        );
        let column = format!("{servers} servers");
        calls.push((column.clone(), divided(&rest.figures.calls, minutes)));
        server_calls.push((column, divided(&rest.server_calls, minutes)));
    }
    text.push('\n');
    text.push_str(&matrix("calls a minute", &calls));
    text.push('\n');
    text.push_str(&matrix("calls to APIs of servers a minute", &server_calls));
    text
}

/// The calls of each kind, divided.
fn divided(calls: &Counts, by: f64) -> Vec<(String, f64)> {
    calls
        .iter()
        .map(|(kind, count)| (kind.clone(), real(*count) / by))
        .collect()
}
