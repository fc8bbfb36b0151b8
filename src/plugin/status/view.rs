//! The output of `status` as data, which `-o json` prints.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::Serialize;

use crate::domain::conditions::READY;
use crate::plugin::events::EventView;
use crate::plugin::stored::Stored;

/// State of a child, as the sign in front of it shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::plugin) enum ChildHealth {
    /// As expected.
    Good,
    /// In progress, or not needed now.
    Waiting,
    /// Wrong, or missing.
    Bad,
    /// It could not be read.
    Unknown,
}

/// One child, with its own children.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::plugin) struct ChildView {
    pub(in crate::plugin) kind: &'static str,
    pub(in crate::plugin) name: String,
    /// In JSON still under its first name.
    #[serde(rename = "mood")]
    pub(in crate::plugin) health: ChildHealth,
    /// The most important facts, in one line.
    pub(in crate::plugin) summary: String,
    /// The facts for programs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::plugin) facts: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::plugin) children: Vec<ChildView>,
    /// Whether it was not found where the operator looks. An object of another owner may have its name.
    #[serde(skip)]
    pub(super) is_missing: bool,
}

impl ChildView {
    pub(super) fn new(
        kind: &'static str,
        name: impl Into<String>,
        health: ChildHealth,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            name: name.into(),
            health,
            summary: summary.into(),
            facts: BTreeMap::new(),
            children: Vec::new(),
            is_missing: false,
        }
    }

    /// Adds a fact for programs, if it is known.
    pub(super) fn fact(mut self, key: &'static str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.facts.insert(key, value.to_string());
        }
        self
    }
}

/// One server.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::plugin) struct ServerView {
    pub(in crate::plugin) namespace: String,
    pub(in crate::plugin) name: String,
    /// Whether it is Ready for its current spec.
    pub(in crate::plugin) ready: bool,
    /// Why the stored object does not parse. The other fields then contain the part that does parse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::plugin) problem: Option<String>,
    /// Settings without the effect that a user may expect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::plugin) notes: Vec<String>,
    /// `status.phase`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::plugin) phase: Option<&'static str>,
    pub(in crate::plugin) generation: Option<i64>,
    pub(in crate::plugin) observed_generation: Option<i64>,
    pub(in crate::plugin) created: Option<Timestamp>,
    pub(in crate::plugin) image: String,
    pub(in crate::plugin) replicas: i32,
    pub(in crate::plugin) paused: bool,
    pub(in crate::plugin) deleting: bool,
    pub(in crate::plugin) children: Vec<ChildView>,
    pub(in crate::plugin) conditions: Vec<Condition>,
    pub(in crate::plugin) events: Vec<EventView>,
    /// Why the events could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::plugin) events_problem: Option<String>,
}

impl ServerView {
    /// From the stored server and its children. Events are added later.
    pub(super) fn of(stored: &Stored, children: Vec<ChildView>) -> Self {
        let server = &stored.server;
        let status = server.status.clone().unwrap_or_default();
        let generation = server.metadata.generation;
        let is_ready = |condition: &&Condition| condition.type_ == READY && condition.status == "True";
        let ready = status.conditions.iter().find(is_ready);
        Self {
            namespace: server.namespace().unwrap_or_default(),
            name: server.name_any(),
            // A condition of an older generation does not count.
            ready: stored.problem.is_none()
                && ready.is_some_and(|condition| condition.observed_generation == generation),
            problem: stored.problem.clone(),
            notes: Vec::new(),
            phase: status.phase.map(crate::api::Phase::as_str),
            generation,
            observed_generation: status.observed_generation,
            created: server.metadata.creation_timestamp.as_ref().map(|time| time.0),
            image: server.spec.image().to_owned(),
            replicas: server.spec.desired_replicas(),
            paused: server.is_paused(),
            deleting: server.metadata.deletion_timestamp.is_some(),
            children,
            conditions: status.conditions,
            events: Vec::new(),
            events_problem: None,
        }
    }

    /// Whether the operator has reconciled the current spec.
    pub(super) fn is_seen(&self) -> bool {
        self.observed_generation == self.generation
    }

    /// Every child as `Kind/name`.
    pub(in crate::plugin) fn names(&self, into: &mut BTreeSet<String>) {
        fn walk(nodes: &[ChildView], into: &mut BTreeSet<String>) {
            for node in nodes {
                into.insert(format!("{}/{}", node.kind, node.name));
                walk(&node.children, into);
            }
        }
        walk(&self.children, into);
    }
}
