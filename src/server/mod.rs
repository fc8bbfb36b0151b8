//! Devices for the API of DittoFS servers.
//!
//! | module | purpose |
//! |---|---|
//! | [`token`] | signs the operator's tokens |
//! | [`client`] | calls the API of one server |
//! | [`adapters`] | the list of adapters |
//! | `administrator` | calls that need the role of an administrator |
//! | `content` | users, groups, stores and shares of the spec |
//! | `fingerprint` | whether a confidential value is the same as before |
//! | [`drains`] | asks servers to upload everything before they end |
//! | [`settings`] | the settings that the spec declares |
//! | `restart` | restarts an adapter at the request of a user |
//! | [`url`] | parts of URLs |
//! | [`poller`] | asks each running server for its adapters, apart from the queue of reconciles |

pub mod adapters;
mod administrator;
pub mod client;
mod content;
pub mod drains;
mod entry;
mod fingerprint;
pub mod poller;
mod restart;
pub mod settings;
pub mod token;
pub mod url;
