//! One server among many is edited: an annotation of the Service of its API. A watch shows when the Service has it.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::{Stream, TryStreamExt};
use k8s_openapi::api::core::v1::Service;
use kube::api::{PartialObjectMeta, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::place::{Place, child};
use crate::api::{Call, SERVERS, SERVICES};
use crate::calls::{Counts, count};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::world::{BARE, OURS, name};

/// The annotation that is edited.
pub const EDIT: &str = "example.com/edit";
/// Pause after an edit, so that the operator has written status and event before the next one.
const PAUSE: Duration = Duration::from_millis(150);
/// How long a child may take to follow.
const LATE: Duration = Duration::from_secs(60);
/// Edits on one watch: the API server ends watches after some minutes.
const BLOCK: usize = 50;

/// The latencies of some edits, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// The number of servers.
    pub servers: usize,
    /// Those of the operator.
    pub ours: Vec<f64>,
    /// Those of the bare client, which writes the Service itself.
    pub bare: Vec<f64>,
    /// The operator's calls for all of these edits.
    pub calls: Counts,
}

/// The edit of a user.
pub fn edit(namespace: &str, number: usize, value: &str) -> Call {
    let body = json!({"spec": {"service": {"annotations": {EDIT: value}}}});
    Call::merge(SERVERS, namespace, &name(number), &body)
}

/// Some servers, spread over all.
pub fn some_of(servers: usize, edits: usize) -> Vec<usize> {
    let edits = edits.min(servers);
    (0..edits).map(|edit| edit * servers / edits).collect()
}

/// Edits some servers; then the same ones again.
pub async fn run(place: &Place<'_>, session: &mut Session, edits: usize) -> Result<[Edits; 2]> {
    let numbers = some_of(place.servers, edits);
    let mut rounds = [Edits::default(), Edits::default()];
    for (round, result) in rounds.iter_mut().enumerate() {
        session.settle().await?;
        session.begin()?;
        result.servers = place.servers;
        edit_each(place, &numbers, &format!("one-{round}"), result).await?;
        session.settle().await?;
        result.calls = count(&session.calls);
        println!(
            "edit {} of one among {} servers: {} times",
            round + 1,
            place.servers,
            numbers.len()
        );
    }
    Ok(rounds)
}

/// Edits these servers one after the other, each in the namespace of the operator and in that of the bare client.
pub async fn edit_each(place: &Place<'_>, numbers: &[usize], value: &str, result: &mut Edits) -> Result<()> {
    for block in numbers.chunks(BLOCK) {
        edit_block(place, block, value, result).await?;
    }
    Ok(())
}

async fn edit_block(place: &Place<'_>, numbers: &[usize], value: &str, result: &mut Edits) -> Result<()> {
    let mut ours = pin!(watch(place, OURS).await?);
    let mut bare = pin!(watch(place, BARE).await?);
    let api = &place.world.api;
    for number in numbers {
        let began = Instant::now();
        api.send(edit(OURS, *number, value)).await?;
        followed(&mut ours, &child(*number), value).await?;
        result.ours.push(millis(began.elapsed()));
        tokio::time::sleep(PAUSE).await;
        let annotation = json!({"metadata": {"annotations": {EDIT: value}}});
        let began = Instant::now();
        api.send(edit(BARE, *number, value)).await?;
        api.send(Call::merge(SERVICES, BARE, &child(*number), &annotation))
            .await?;
        followed(&mut bare, &child(*number), value).await?;
        result.bare.push(millis(began.elapsed()));
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    1000.0 * time.as_secs_f64()
}

type Event = WatchEvent<PartialObjectMeta<Service>>;

/// The changes of Services from now on.
async fn watch(
    place: &Place<'_>,
    namespace: &str,
) -> Result<impl Stream<Item = kube::Result<Event>> + use<>> {
    let list = Call::get(format!("{}?limit=1", SERVICES.path(namespace)));
    let list = place.world.api.json(list).await?;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let services: Api<Service> = Api::namespaced(place.world.api.0.clone(), namespace);
    let watch = services.watch_metadata(&WatchParams::default(), version).await;
    watch.map_err(failed)
}

fn failed(source: kube::Error) -> Error {
    Error::Call {
        what: "the watch of Services".into(),
        source: Box::new(source),
    }
}

async fn followed(
    events: &mut (impl Stream<Item = kube::Result<Event>> + Unpin),
    name: &str,
    value: &str,
) -> Result<()> {
    let late = || Error::Failed(format!("{name} does not have the edit after {LATE:?}"));
    let arrive = async {
        while let Some(event) = events.try_next().await.map_err(failed)? {
            let WatchEvent::Modified(service) = event else {
                continue;
            };
            let has_edit = service
                .annotations()
                .get(EDIT)
                .is_some_and(|present| present == value);
            if service.name_any() == name && has_edit {
                return Ok(());
            }
        }
        Err(Error::Failed("the watch of Services ended".into()))
    };
    tokio::time::timeout(LATE, arrive).await.map_err(|_| late())?
}
