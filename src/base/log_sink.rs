//! Captures log output in tests.

use std::io;
use std::sync::{Arc, Mutex};

/// A writer that keeps the log.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    /// The log so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("a sink").clone()).expect("text")
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a sink").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
