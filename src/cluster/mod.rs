//! Access to the Kubernetes API: how to call it, not what to write.
//!
//! | module | purpose |
//! |---|---|
//! | [`client`] | clients with deadlines, and the gate that blocks writes without the Lease |
//! | [`watch`] | one task for each kind and namespace, with its own backoff |
//! | [`watch_health`] | when the API server last answered each watch, and which watches fail |
//! | [`cache`] | read-your-writes caches of the watched kinds |
//! | [`secret_reader`] | reads the Secrets that servers refer to |
//! | [`leader`] | leader election |

pub mod cache;
pub mod client;
pub mod leader;
pub mod secret_reader;
pub mod watch;
pub mod watch_health;
