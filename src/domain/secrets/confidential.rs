//! A value of a Secret outside its Secret.

use std::fmt;
use std::sync::Arc;

/// Bytes that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Confidential(pub Arc<[u8]>);

impl fmt::Debug for Confidential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Confidential(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // invariant: 5
    #[test]
    fn the_key_of_the_tokens_is_not_in_debug_output() {
        let key = Confidential(Arc::from(&b"hidden"[..]));
        assert!(!format!("{key:?}").contains("hidden"));
    }
}
