//! What `status` shows, as data. Its JSON is what `-o json` prints.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::Serialize;

use crate::domain::conditions::READY;
use crate::plugin::events::Told;
use crate::plugin::stored::Stored;

/// How a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::plugin) enum Mood {
    /// As it should be.
    Good,
    /// On its way, or not wanted now.
    Waiting,
    /// Something is wrong.
    Bad,
    /// It could not be read.
    Unknown,
}

/// One child, and what hangs on it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::plugin) struct Node {
    pub(in crate::plugin) kind: &'static str,
    pub(in crate::plugin) name: String,
    pub(in crate::plugin) mood: Mood,
    /// What matters of it, in one line.
    pub(in crate::plugin) summary: String,
    /// The same for programs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::plugin) facts: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::plugin) children: Vec<Node>,
}

impl Node {
    pub(super) fn new(
        kind: &'static str,
        name: impl Into<String>,
        mood: Mood,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            name: name.into(),
            mood,
            summary: summary.into(),
            facts: BTreeMap::new(),
            children: Vec::new(),
        }
    }

    /// Adds what programs may want to know, if it is known.
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
pub(in crate::plugin) struct View {
    pub(in crate::plugin) namespace: String,
    pub(in crate::plugin) name: String,
    /// Whether it is Ready as its spec now stands.
    pub(in crate::plugin) ready: bool,
    /// Why the stored object does not parse. What is shown is then what parses of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::plugin) problem: Option<String>,
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
    pub(in crate::plugin) children: Vec<Node>,
    pub(in crate::plugin) conditions: Vec<Condition>,
    pub(in crate::plugin) events: Vec<Told>,
    /// Why the events could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::plugin) events_problem: Option<String>,
}

impl View {
    /// What the server itself says, with its children. Events are added later.
    pub(super) fn of(stored: &Stored, children: Vec<Node>) -> Self {
        let server = &stored.server;
        let status = server.status.clone().unwrap_or_default();
        let generation = server.metadata.generation;
        let is_ready = |condition: &&Condition| condition.type_ == READY && condition.status == "True";
        let ready = status.conditions.iter().find(is_ready);
        Self {
            namespace: server.namespace().unwrap_or_default(),
            name: server.name_any(),
            // A condition about an older spec says nothing of this one.
            ready: stored.problem.is_none()
                && ready.is_some_and(|condition| condition.observed_generation == generation),
            problem: stored.problem.clone(),
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

    /// Whether the operator has seen the spec as it stands.
    pub(super) fn is_seen(&self) -> bool {
        self.observed_generation == self.generation
    }

    /// Every child as `Kind/name`.
    pub(in crate::plugin) fn names(&self, into: &mut BTreeSet<String>) {
        fn walk(nodes: &[Node], into: &mut BTreeSet<String>) {
            for node in nodes {
                into.insert(format!("{}/{}", node.kind, node.name));
                walk(&node.children, into);
            }
        }
        walk(&self.children, into);
    }
}
