//! Random sequences, each from a seed that a failure names.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::{FutureExt, StreamExt, future, stream};

/// How many sequences run in parallel: the control plane is shared, and the machine is small.
const AT_ONCE: usize = 4;

/// Lives through `count` sequences, or as many as the variable `<NAME>_SEQUENCES` says. The first seed is 1, or that of `<NAME>_SEED`.
/// A failed sequence does not end the others. They would look as if they had failed as well.
pub async fn live_all<F: Future<Output = ()>>(name: &str, count: u64, live: impl Fn(u64) -> F) {
    let (first, count) = (
        setting(&format!("{name}_SEED"), 1),
        setting(&format!("{name}_SEQUENCES"), count),
    );
    println!("{name}: seeds {first} to {}", first + count - 1);
    let failures: Vec<String> = stream::iter(first..first + count)
        .map(|seed| {
            AssertUnwindSafe(live(seed))
                .catch_unwind()
                .map(move |lived| failure(seed, lived))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(future::ready)
        .collect()
        .await;
    assert!(
        failures.is_empty(),
        "{} of {count} failed\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn failure(seed: u64, lived: Result<(), Box<dyn Any + Send>>) -> Option<String> {
    let panic = lived.err()?;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    Some(format!("seed {seed}: {}", text.unwrap_or("a panic without text")))
}

/// Marsaglia's xorshift64*: enough to draw steps and faults, and the same on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    /// One of these.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.below(of.len() as u64);
        of[usize::try_from(at).unwrap_or_default()]
    }
}
