//! Kubernetes operator that runs DittoFS file servers.
//!
//! One reconcile is a pipeline of steps that hand each other plain data; ARCHITECTURE.md walks through it.
//!
//! | module | step | touches the API server |
//! |---|---|---|
//! | [`watch`], [`cache`] | watches fill caches, each on its own | watches |
//! | [`controller`] | a change asks for a reconcile; the steps in order | |
//! | [`observe`] | key → [`observe::Observed`] | reads, caches first |
//! | [`validate`] | [`observe::Observed`] → [`validate::Verdict`] | no |
//! | [`desired`] | [`validate::Valid`] → [`desired::Desired`] | no |
//! | [`apply`] | [`desired::Desired`] → [`apply::Applied`] | writes children |
//! | [`conditions`] | everything above → conditions | no |
//! | [`status`] | conditions → at most one write | one write |
//! | [`events`] | what changed → a story | writes events |
//! | [`finalize`] | deletion | writes |
//!
//! Around them: [`api`] (the resource), [`context`] (what all reconciles share), [`ownership`] (whose is an object), [`secrets`]
//! (which Secrets a server uses), [`growth`] (what becomes of its volumes), [`migration`] (a server that stays on SQLite),
//! [`pod_template`] and [`pods`] (what a server's pods say of it), [`cli`] and [`run`] (the command), [`leader`] (which of several operators acts),
//! [`metrics`], [`plugin`] (the commands of `kubectl dittofs`), `redact` (takes Secrets' values out of its reports), [`render`]
//! (the pure steps without a cluster), [`client`], [`backoff`], [`quantity`], [`telemetry`], [`admin`]; and `traces`, with the
//! feature `otel`.

pub mod admin;
pub mod api;
pub mod apply;
pub mod backoff;
pub mod cache;
pub mod cli;
pub mod client;
pub mod conditions;
pub mod context;
pub mod controller;
pub mod desired;
pub mod events;
pub mod finalize;
pub mod growth;
pub mod leader;
pub mod metrics;
pub mod migration;
pub mod observe;
pub mod ownership;
pub mod plugin;
pub mod pod_template;
pub mod pods;
pub mod quantity;
mod redact;
pub mod render;
pub mod rollout;
pub mod run;
pub mod secrets;
pub mod status;
pub mod telemetry;
#[cfg(feature = "otel")]
pub mod traces;
pub mod validate;
pub mod watch;

#[cfg(test)]
pub(crate) mod testing;
