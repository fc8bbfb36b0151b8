//! The shares of all servers, and the rest after they were made.

use std::fmt::Write;

use super::{divided, matrix, mib, rests, thousands};
use crate::figures::real;
use crate::scenarios::shares::Shares;

/// Time and cost of all shares, calls for each server, and what the operator does at rest.
pub fn table(all: &[Shares]) -> String {
    let mut text = String::from(
        "| servers | operator, s | CPU, ms a server | peak, MiB | at rest, MiB | writes a server | reads a server |\n|---|---|---|---|---|---|---|\n",
    );
    let (mut calls, mut server_calls) = (Vec::new(), Vec::new());
    for shares in all {
        let (figures, servers) = (&shares.figures, real(shares.servers));
        let number = thousands(shares.servers);
        let _ = writeln!(
            text,
            "| {number} | {:.2} | {:.2} | {} | {} | {:.2} | {:.2} |",
            figures.seconds,
            1000.0 * figures.cpu / servers,
            mib(real(figures.peak_kib)),
            mib(real(figures.settled_kib)),
            real(figures.writes) / servers,
            real(figures.reads) / servers,
        );
        let column = format!("{number} servers");
        calls.push((column.clone(), divided(&figures.calls, servers)));
        server_calls.push((column, divided(&shares.server_calls, servers)));
    }
    text.push('\n');
    text.push_str(&matrix("calls a server", &calls));
    text.push('\n');
    text.push_str(&matrix("calls to its API a server", &server_calls));
    text.push_str("\nAt rest after that:\n\n");
    text.push_str(&rests(all.iter().map(|shares| &shares.rest)));
    text
}
