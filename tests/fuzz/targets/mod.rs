//! What is fuzzed. Each target is a function of bytes, which panics if something does not hold. So it runs as a test
//! (`tests/fuzz.rs`) and with libFuzzer (`fuzz/`). It uses only what the crate makes public.
//!
//! | target | input |
//! |---|---|
//! | [`spec`] | specs made from the schema of the CRD and from the table of admission, with hostile texts |
//! | [`manifest_text`] | the text that `render` reads |
//! | [`history`] | several states of the cluster one after the other, with any bytes in the Secrets |
//! | [`answers`] | the answers of a server's API, byte by byte |

pub mod answers;
pub mod checks;
pub mod history;
pub mod input;
pub mod manifest_text;
pub mod mutate;
pub mod spec;
pub mod world;

#[path = "../../support/merge.rs"]
mod merge;

#[path = "../../admission/cases/mod.rs"]
#[allow(dead_code, reason = "the targets use the specs only")]
mod cases;
