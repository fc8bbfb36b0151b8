//! Helpers that every room may import. They import no other room.

pub mod backoff;
pub mod causes;
#[cfg(test)]
pub(crate) mod log_sink;
pub mod metrics;
pub mod slots;
