//! Facts in, decisions out. Nothing here does I/O, reads a clock or the environment, or draws random values: `now` and
//! random values are arguments.
//!
//! | module | decides |
//! |---|---|
//! | [`observed`] | data: what the cluster holds for one server |
//! | [`applied`] | data: what the operator did to each child |
//! | [`validate`] | whether the children can be built and the pod may start |
//! | [`desired`] | every child as it should be, and the config hash |
//! | [`compare`] | whether an object holds what is desired |
//! | [`conditions`] | the conditions of the status |
//! | [`status`] | the rest of the status, and whether it must be written |
//! | [`events`] | which events to publish |
//! | [`cleanup`] | what a deleted server's policy deletes and keeps |
//! | [`data_home`] | which database holds the control-plane data |
//! | [`volumes`] | which volumes expand, and which pod must restart for an added volume |
//! | [`adapters`] | which adapters (NFS, SMB) have a Service, and where clients reach them |
//! | [`monitoring`] | what a user should know about the ServiceMonitor |
//! | [`server_api`] | how the operator reaches the API of a server |
//! | [`certificates`] | which certificates of the API expire soon |
//! | [`server_settings`] | which settings a server must get through its API |
//! | [`uploads`] | whether the server must upload before it ends |
//! | [`paths`] | data: the paths in the server's container |
//! | [`settings`] | data: what the flags of the operator decide about every server |
//! | [`secrets`] | which Secret keys a server uses |
//! | [`workload`] | what a StatefulSet and its pods report about a rollout |
//! | [`ownership`] | who owns an object |
//! | [`edits`] | whether others have edited a server |
//! | [`shard`] | which of several operators reconciles a server |
//! | [`redact`] | removes values of Secrets from text |

pub mod adapters;
pub mod applied;
pub mod certificates;
pub mod cleanup;
pub mod compare;
pub mod conditions;
pub mod content;
pub mod data_home;
pub mod desired;
mod digest;
pub mod edits;
pub mod events;
pub(crate) mod fields;
pub mod load_balancers;
pub mod monitoring;
pub mod observed;
pub mod ownership;
pub mod paths;
pub(crate) mod redact;
pub mod secrets;
pub mod server_api;
pub mod server_settings;
pub mod settings;
pub mod shard;
pub mod status;
#[cfg(test)]
pub(crate) mod testing;
pub mod uploads;
pub mod validate;
pub mod volumes;
pub mod workload;
