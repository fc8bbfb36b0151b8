//! Draws the table: in place on a terminal, a line for each change elsewhere.

use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;

use super::row::Row;

const HEADER: [&str; 10] = [
    "NAMESPACE",
    "NAME",
    "REPLICAS",
    "READY",
    "STATUS",
    "READY-CONDITION",
    "DATABASE",
    "ENDPOINT",
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
    last_notes: Vec<String>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
            drawn: 0,
            last: Vec::new(),
            last_notes: Vec::new(),
        }
    }

    /// Shows the rows, and the notes below them. A closed output does not end the demo.
    pub(super) fn draw(&mut self, rows: &[Row], notes: &[String]) {
        let text = if self.terminal {
            self.redraw(rows, notes)
        } else {
            self.changes(rows, notes)
        };
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
        rows.clone_into(&mut self.last);
        notes.clone_into(&mut self.last_notes);
    }

    fn redraw(&mut self, rows: &[Row], notes: &[String]) -> String {
        let lines = table(rows, Timestamp::now());
        let up = if self.drawn > 0 {
            format!("\x1b[{}F", self.drawn)
        } else {
            String::new()
        };
        let width = width();
        // A note is not clipped, because it may be a command to paste. It takes as many lines as it needs.
        let height = |note: &String| note.chars().count().div_ceil(width).max(1);
        self.drawn = lines.len() + notes.iter().map(height).sum::<usize>();
        let clipped = lines.iter().map(|line| clip(line, width));
        clipped
            .chain(notes.iter().cloned())
            .fold(up, |text, line| text + "\x1b[K" + &line + "\n")
            + "\x1b[J"
    }

    fn changes(&self, rows: &[Row], notes: &[String]) -> String {
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
        let notes = notes.iter().filter(|note| !self.last_notes.contains(note));
        lines
            .iter()
            .skip(skip)
            .chain(notes)
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
            row.endpoint.clone(),
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
    let line = |line: &[String; 10]| {
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
