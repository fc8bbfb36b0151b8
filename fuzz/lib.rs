//! The fuzz targets, which run as tests too.

#[path = "../tests/fuzz/targets/mod.rs"]
pub mod targets;
