//! Draws the table: in place on a terminal, a line for each change elsewhere.

use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;

use super::row::Row;

const HEADER: [&str; 9] = [
    "NAMESPACE",
    "NAME",
    "REPLICAS",
    "READY",
    "STATUS",
    "READY-CONDITION",
    "DATABASE",
    "AGE",
    "MESSAGE",
];
/// Used if the terminal does not report its width.
const WIDTH: usize = 160;

/// Where the table is shown.
pub(super) struct Screen {
    terminal: bool,
    /// Lines on the terminal that the next drawing replaces.
    drawn: usize,
    last: Vec<Row>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
            drawn: 0,
            last: Vec::new(),
        }
    }

    /// Shows the rows. A closed output does not end the demo.
    pub(super) fn draw(&mut self, rows: &[Row]) {
        let text = if self.terminal {
            self.redraw(rows)
        } else {
            self.changes(rows)
        };
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
        rows.clone_into(&mut self.last);
    }

    fn redraw(&mut self, rows: &[Row]) -> String {
        let lines = table(rows, Timestamp::now());
        let up = if self.drawn > 0 {
            format!("\x1b[{}F", self.drawn)
        } else {
            String::new()
        };
        self.drawn = lines.len();
        let width = width();
        lines
            .iter()
            .fold(up, |text, line| text + "\x1b[K" + &clip(line, width) + "\n")
            + "\x1b[J"
    }

    fn changes(&self, rows: &[Row]) -> String {
        let changed: Vec<_> = rows
            .iter()
            .filter(|row| !self.last.contains(row))
            .cloned()
            .collect();
        let gone = self
            .last
            .iter()
            .filter(|old| rows.iter().all(|row| row.key() != old.key()))
            .fold(String::new(), |text, row| {
                text + &row.namespace + "/" + &row.name + " is gone\n"
            });
        // The header comes once.
        let skip = usize::from(!self.last.is_empty());
        let lines = if changed.is_empty() {
            Vec::new()
        } else {
            table(&changed, Timestamp::now())
        };
        lines
            .iter()
            .skip(skip)
            .fold(gone, |text, line| text + line + "\n")
    }
}

/// A header and a line for each row, in columns.
fn table(rows: &[Row], now: Timestamp) -> Vec<String> {
    let mut cells = vec![HEADER.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        [
            row.namespace.clone(),
            row.name.clone(),
            row.replicas.to_string(),
            row.ready_replicas.to_string(),
            row.phase.clone(),
            row.ready.clone(),
            row.database.clone(),
            row.age(now),
            row.message.clone(),
        ]
    }));
    let widths: Vec<_> = (0..HEADER.len())
        .map(|column| {
            cells
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |line: &[String; 9]| {
        let padded: Vec<_> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    cells.iter().map(line).collect()
}

/// The columns of the terminal; some terminals say zero.
fn width() -> usize {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => WIDTH,
    }
}

/// A line that wraps would break the drawing in place.
fn clip(line: &str, width: usize) -> String {
    line.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn a_long_line_is_cut_at_the_width_of_the_terminal() {
        assert_eq!(clip("größer", 3), "grö");
    }
}
