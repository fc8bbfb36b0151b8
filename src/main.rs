//! The `dittofs-operator` command.
fn main() {}
