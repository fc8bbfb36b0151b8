//! Kubernetes operator that runs DittoFS file servers.
//!
//! The code lies in rooms. Imports point in one direction only, and `tests/rooms.rs` checks that:
//!
//! | room | what is in it | imports |
//! |---|---|---|
//! | [`base`] | leaves that know nothing of Kubernetes' objects: the registry of metrics, backoff | nothing |
//! | [`api`] | the DittoServer resource: types, defaults, CEL rules, names of children, reasons of conditions | nothing |
//! | [`domain`] | facts in, decisions out: no I/O, no clock, no randomness | `api` |
//! | [`cluster`] | devices for the Kubernetes API: clients, caches, watches, leader election | `api`, `base`, `domain`'s data |
//! | [`server`] | devices for the API of DittoFS servers: client, tokens, poller | `api`, `base`, `domain`'s data |
//! | [`reconcile`] | one reconcile, step by step | `api`, `base`, `domain`, `cluster`, `server` |
//! | [`plugin`] | the commands of `kubectl dittofs` | all of the above |
//! | [`command`] | the command line, the admin servers, logs and traces | all of the above |
//!
//! ARCHITECTURE.md walks through one reconcile.

#![cfg_attr(
    test,
    allow(
        clippy::too_many_lines,
        reason = "a test that is a table or a sequence of steps reads best in one piece"
    )
)]

pub mod api;
pub mod base;
pub mod cluster;
pub mod command;
pub mod domain;
pub mod plugin;
pub mod reconcile;
pub mod server;
