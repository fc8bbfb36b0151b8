//! Colours and output. The stream removes colours if the output is not a terminal.

use std::io::{self, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

use super::plain;
use crate::plugin::args::ColorChoice;

pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const WAITING: Style = AnsiColor::Yellow.on_default();
pub(super) const REMOVED: Style = AnsiColor::Red.on_default();
pub(super) const PLACE: Style = AnsiColor::Cyan.on_default();
pub(super) const TITLE: Style = Style::new().bold();
pub(super) const FAINT: Style = Style::new().dimmed();

/// `text` in a style.
pub(super) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes text to standard output. A closed pipe (`| head`) is not an error and does not change the exit status.
pub(super) fn print(text: &str, choice: ColorChoice) -> io::Result<()> {
    let choice = match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    all_into(AutoStream::new(io::stdout(), choice), text.as_bytes())
}

/// As [`print`], without colours.
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    all_into(io::stdout(), bytes)
}

/// Writes a message to standard error. An error is ignored, because there is no other place for it.
pub(super) fn warn(message: &str) {
    let _ = all_into(io::stderr(), format!("{}\n", plain::lines(message)).as_bytes());
}

fn all_into(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    let written = stream.write_all(bytes).and_then(|()| stream.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
