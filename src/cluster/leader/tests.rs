//! Moments that a real API server cannot be made to meet: an answer that is on its way, or lost.

use std::sync::Mutex;

use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// Keeps one Lease, as the API server does.
#[derive(Default)]
struct Keeper {
    lease: Option<Value>,
    writes: u64,
    /// The answer to the next write does not arrive.
    loses_answer: bool,
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    let status =
        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason});
    (code, status)
}

impl Keeper {
    fn read(&self) -> (u16, Value) {
        self.lease
            .clone()
            .map_or_else(|| refusal(404, "NotFound"), |lease| (200, lease))
    }

    fn write(&mut self, mut lease: Value) -> (u16, Value) {
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        if version(&lease) != self.lease.as_ref().map_or(Value::Null, version) {
            return refusal(409, "Conflict");
        }
        self.writes += 1;
        lease["metadata"]["resourceVersion"] = json!(self.writes.to_string());
        self.lease = Some(lease.clone());
        (200, lease)
    }
}

type Shared = Arc<Mutex<Keeper>>;

/// A client whose writes are carried out at once, and answered after `delay`.
fn client_of(keeper: &Shared, delay: Duration) -> Client {
    let keeper = Arc::clone(keeper);
    let service = tower::service_fn(move |request: Request<Body>| {
        let keeper = Arc::clone(&keeper);
        async move {
            let reads = request.method() == Method::GET;
            let sent = request.into_body().collect_bytes().await.unwrap();
            let ((code, answer), is_lost) = {
                let mut keeper = keeper.lock().unwrap();
                if reads {
                    (keeper.read(), false)
                } else {
                    let answer = keeper.write(serde_json::from_slice(&sent).unwrap());
                    (answer, std::mem::take(&mut keeper.loses_answer))
                }
            };
            if !reads {
                tokio::time::sleep(delay).await;
            }
            if is_lost {
                return Err(std::io::Error::other("connection reset"));
            }
            let body = Body::from(answer.to_string().into_bytes());
            Ok(Response::builder().status(code).body(body).unwrap())
        }
    });
    Client::new(service, "default")
}

fn options() -> Options {
    let timing = Timing::new(
        Duration::from_secs(3),
        Duration::from_secs(2),
        Duration::from_millis(200),
    );
    Options {
        namespace: "default".into(),
        lease: "l".into(),
        identity: "me".into(),
        timing: timing.unwrap(),
    }
}

/// The Lease after an operator was told to end while the answer to its n-th write was on its way.
async fn ended_in_the_middle_of_write(n: u64) -> Value {
    let keeper = Shared::default();
    let (elector, _leadership) = Elector::new(client_of(&keeper, Duration::from_millis(100)), options());
    let finished = CancellationToken::new();
    let running = tokio::spawn(elector.run(finished.clone()));
    while keeper.lock().unwrap().writes < n {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    finished.cancel();
    running.await.unwrap().unwrap();
    let lease = keeper.lock().unwrap().lease.clone();
    lease.unwrap()
}

#[tokio::test]
async fn a_stop_in_the_middle_of_an_acquisition_or_a_renewal_gives_the_lease_back() {
    for write in [1, 3] {
        let lease = ended_in_the_middle_of_write(write).await;
        assert_eq!(lease["spec"]["holderIdentity"], "", "write {write}: {lease}");
    }
}

#[tokio::test]
async fn an_acquisition_whose_answer_is_lost_is_noticed_at_the_next_look() {
    let keeper = Shared::default();
    keeper.lock().unwrap().loses_answer = true;
    let client = client_of(&keeper, Duration::ZERO);
    let mut candidate = Candidate::new(client, "default", "l", "me", options().timing);
    assert!(candidate.try_acquire().await.is_err());
    let next = candidate.try_acquire().await.unwrap();
    assert!(matches!(next, Outcome::Won(_)), "{next:?}");
}

#[tokio::test]
async fn a_lease_that_was_renewed_without_an_answer_is_given_back_all_the_same() {
    let keeper = Shared::default();
    let client = client_of(&keeper, Duration::ZERO);
    let mut candidate = Candidate::new(client, "default", "l", "me", options().timing);
    let Ok(Outcome::Won(held)) = candidate.try_acquire().await else {
        panic!("it is free");
    };
    keeper.lock().unwrap().loses_answer = true;
    assert!(candidate.renew(&held).await.is_err());
    candidate.release(&held).await.unwrap();
    let lease = keeper.lock().unwrap().lease.clone().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "", "{lease}");
}
