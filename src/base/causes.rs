//! The causes of an error. An HTTP client, for example, only says "client error", and its innermost cause what happened.

use std::error::Error;
use std::fmt::Write;
use std::iter;

/// The error and its causes, from the outermost to the innermost.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error| (*error).source())
}

/// The text of the innermost cause, which says what happened.
#[must_use]
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let last = causes(error).last();
    last.unwrap_or(error).to_string()
}

/// The text of an error and of its causes. A cause that the text before it ends with is not repeated.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for part in causes(error).map(ToString::to_string) {
        if text.is_empty() {
            text = part;
        } else if !text.ends_with(&part) {
            let _ = write!(text, ": {part}");
        }
    }
    text
}
