//! The bare client: the fewest calls with which the same children come to exist. It is the limit that the API server sets.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{
    Api, CONFIG_MAPS, Call, NETWORK_POLICIES, Resource, SECRETS, SERVERS, SERVICES, STATEFUL_SETS,
};
use crate::error::{Error, Result};
use crate::operator::Setup;
use crate::session::Session;
use crate::world::{Kind, World, name};

const NAMESPACE: &str = "sample";
/// The kinds of children that every server has.
const CHILDREN: [Resource; 5] = [SECRETS, CONFIG_MAPS, SERVICES, NETWORK_POLICIES, STATEFUL_SETS];
/// Parts of the metadata that a create sends.
const SENT: [&str; 5] = ["name", "labels", "annotations", "ownerReferences", "finalizers"];

/// What the operator made for one server.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The UID of that server. Its name is that of server 0.
    uid: String,
    children: Vec<(Resource, String)>,
    status: String,
}

impl Sample {
    /// Has the operator reconcile one server, and reads what it made.
    pub async fn take(world: &World, kind: Kind, flags: &[String]) -> Result<Self> {
        world.fill(NAMESPACE, 1, kind).await?;
        let setup = Setup {
            namespaces: &[NAMESPACE],
            server_url_template: "http://127.0.0.1:1",
            flags,
        };
        let mut session = Session::start(world, &setup)?;
        session
            .until("the sample", 1, |call| call.has_written("dittoservers/status"))
            .await?;
        session.settle().await?;
        session.operator.stop().await?;
        Self::read(&world.api).await
    }

    async fn read(api: &Api) -> Result<Self> {
        let server = api
            .list(SERVERS, NAMESPACE)
            .await?
            .into_iter()
            .next()
            .unwrap_or_default();
        let mut children = Vec::new();
        for resource in CHILDREN {
            let all = api.list(resource, NAMESPACE).await?;
            let own = all
                .into_iter()
                .filter(|object| object["metadata"]["labels"]["instance"] == json!(name(0)));
            children.extend(own.map(|object| (resource, as_sent(object).to_string())));
        }
        let uid = server["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        if uid.is_empty() || children.is_empty() {
            return Err(Error::Failed(
                "the operator made no children for the sample".into(),
            ));
        }
        Ok(Self {
            uid,
            children,
            status: json!({"status": server["status"]}).to_string(),
        })
    }

    /// How many children a server has.
    pub fn children(&self) -> usize {
        self.children.len()
    }

    /// How many objects of each kind a server has.
    pub fn by_kind(&self) -> Vec<(Resource, usize)> {
        let of = |kind| {
            self.children
                .iter()
                .filter(|(resource, _)| *resource == kind)
                .count()
        };
        CHILDREN.into_iter().map(|kind| (kind, of(kind))).collect()
    }

    /// The calls for each of these servers: a create for each child, then one status.
    pub fn jobs(&self, namespace: &str, uids: &BTreeMap<String, String>) -> Vec<Vec<Call>> {
        let job = |(server, uid): (&String, &String)| {
            let creates = self.children.iter().map(|(resource, body)| {
                let body = body.replace(&name(0), server).replace(&self.uid, uid);
                Call::create(*resource, namespace, &body)
            });
            let status = self.status.replace(&name(0), server);
            let status = Call::merge(SERVERS, namespace, &format!("{server}/status"), &status);
            creates.chain([status]).collect()
        };
        uids.iter().map(job).collect()
    }
}

/// The servers of a namespace with their UIDs.
pub async fn uids(api: &Api, namespace: &str) -> Result<BTreeMap<String, String>> {
    let servers = api.list(SERVERS, namespace).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pairs = servers.iter().map(|server| {
        let metadata = &server["metadata"];
        (text(&metadata["name"]), text(&metadata["uid"]))
    });
    Ok(pairs.collect())
}

/// An object without what the API server adds.
pub fn as_sent(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| SENT.contains(&field.as_str()));
    }
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    let has_address = object["spec"]["clusterIP"]
        .as_str()
        .is_some_and(|address| address != "None");
    if let Some(spec) = object["spec"].as_object_mut().filter(|_| has_address) {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    object
}
