//! SHA-256 over several parts.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Every part is preceded by its length, so that bytes that move from one part to the next change the result.
#[derive(Default)]
pub(crate) struct Digest(Sha256);

impl Digest {
    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// The result in 64 hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        let mut digits = String::new();
        for byte in self.0.finalize() {
            // Writing to a String cannot fail.
            let _ = write!(digits, "{byte:02x}");
        }
        digits
    }
}
