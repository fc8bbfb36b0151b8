use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::client::Body;
use kube::runtime::events::EventType;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::*;

/// The notes of the events that the API server got.
type Notes = Arc<Mutex<Vec<String>>>;

/// A client whose API server answers one request for each permit.
fn client(permits: usize) -> (Client, Arc<Semaphore>, Notes) {
    let (answers, notes) = (Arc::new(Semaphore::new(permits)), Notes::default());
    let (permits, got) = (Arc::clone(&answers), Arc::clone(&notes));
    let answer = tower::service_fn(move |request: Request<Body>| {
        let (permits, got) = (Arc::clone(&permits), Arc::clone(&got));
        async move {
            let body = request.into_body().collect_bytes().await.unwrap();
            let event: Value = serde_json::from_slice(&body).unwrap();
            permits.acquire().await.unwrap().forget();
            got.lock()
                .unwrap()
                .push(event["note"].as_str().unwrap().to_owned());
            Ok::<_, Infallible>(Response::new(Body::from(body)))
        }
    });
    (Client::new(answer, "default"), answers, notes)
}

fn server(name: &str) -> ObjectReference {
    ObjectReference {
        namespace: Some("storage".into()),
        name: Some(name.into()),
        ..ObjectReference::default()
    }
}

fn batch(server_name: &str, notes: &[&str]) -> Batch {
    let event = |note: &&str| Event {
        type_: EventType::Normal,
        reason: "Created".into(),
        action: (*note).to_owned(),
        note: Some((*note).to_owned()),
        secondary: None,
    };
    Batch {
        server: server(server_name),
        events: notes.iter().map(event).collect(),
        span: Span::none(),
    }
}

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_events_that_wait_at_a_stop_are_written_in_their_order() {
    let (client, _, notes) = client(100);
    let (publisher, lanes) = Publisher::start(&client);
    publisher.send(batch("files", &["a", "b"]));
    publisher.send(batch("files", &["c"]));
    lanes.flush(SOON).await;
    assert_eq!(*notes.lock().unwrap(), ["a", "b", "c"]);
    publisher.send(batch("files", &["too late"]));
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_delays_neither_a_reconcile_nor_the_stop() {
    let (client, _, notes) = client(0);
    let (publisher, lanes) = Publisher::start(&client);
    publisher.send(batch("files", &["a"]));
    lanes.flush(Duration::from_millis(20)).await;
    assert!(notes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_full_lane_drops_later_events_and_keeps_the_order_of_the_others() {
    let (client, answers, notes) = client(0);
    let (publisher, lanes) = Publisher::start(&client);
    let all: Vec<String> = (0..LONGEST_QUEUE + 10).map(|number| number.to_string()).collect();
    for note in &all {
        publisher.send(batch("files", &[note]));
    }
    answers.add_permits(all.len());
    lanes.flush(SOON).await;
    assert_eq!(*notes.lock().unwrap(), all[..LONGEST_QUEUE]);
}

#[tokio::test]
async fn servers_use_all_lanes_and_each_server_one() {
    let (publisher, _lanes) = Publisher::start(&client(0).0);
    let place = |name: &str| {
        let lane = publisher.lane(&server(name)).unwrap();
        publisher.0.iter().position(|of| of.same_channel(lane)).unwrap()
    };
    let used: HashSet<usize> = (0..100).map(|number| place(&format!("s{number}"))).collect();
    assert_eq!(used.len(), LANES);
    assert_eq!(place("files"), place("files"));
}
