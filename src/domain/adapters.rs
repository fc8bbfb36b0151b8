//! The adapters of a server (NFS, SMB): what its API says of them, and what the cluster holds for them.
//!
//! | file | what is in it |
//! |---|---|
//! | `adapters/names.rs` | names that are made from the type of an adapter |
//! | `adapters/report.rs` | what the answers of the API say, one after the other |
//! | `adapters/outage.rs` | when an API that does not answer is reported |
//! | `adapters/exposed.rs` | which adapters have a Service and a NetworkPolicy |
//! | `adapters/endpoints.rs` | where clients reach them, for the status |

mod endpoints;
mod exposed;
mod names;
mod outage;
mod report;

#[cfg(test)]
mod tests;

pub use self::endpoints::{NOT_RUNNING, api_status, endpoints, is_pod_ready, recheck_in, unavailable};
pub use self::exposed::{AdapterSet, Exposed, exposed, exposed_types};
pub use self::names::{TYPE_MAX, port_name, sanitized};
pub use self::outage::{Calls, UNREACHABLE_AFTER};
pub use self::report::{
    Adapter, Failure, FailureKind, Listed, Reachability, Row, ServerReport, Unread, learn,
};
