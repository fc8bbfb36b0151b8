//! The cleanup of a deleted server: which objects its policy deletes and keeps, and the events about it.

pub mod events;
pub mod plan;
