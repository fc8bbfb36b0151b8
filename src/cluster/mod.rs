//! Devices for the Kubernetes API. They know how to call it, not what to write.
//!
//! | module | purpose |
//! |---|---|
//! | [`client`] | clients with deadlines, and the gate that blocks writes without the Lease |
//! | [`watch`] | one task for each watch, with its own backoff |
//! | [`watch_age`] | when each watch was last answered |
//! | [`cache`] | caches that show this process its own writes |
//! | [`secret_reader`] | reads the Secrets that servers refer to |
//! | [`leader`] | leader election |

pub mod cache;
pub mod client;
pub mod leader;
pub mod secret_reader;
pub mod watch;
pub mod watch_age;
