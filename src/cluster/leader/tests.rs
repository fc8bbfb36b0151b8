//! Cases that a real API server cannot reproduce: an answer that is delayed or lost.

use std::sync::Mutex;

use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// A fake API server with one Lease.
#[derive(Default)]
struct FakeServer {
    lease: Option<Value>,
    writes: u64,
    /// The answer to the next write is lost.
    loses_answer: bool,
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    let status =
        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason});
    (code, status)
}

impl FakeServer {
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

type Shared = Arc<Mutex<FakeServer>>;

/// A client whose writes take effect immediately and are answered after `delay`.
fn client_of(server: &Shared, delay: Duration) -> Client {
    let server = Arc::clone(server);
    let service = tower::service_fn(move |request: Request<Body>| {
        let server = Arc::clone(&server);
        async move {
            let reads = request.method() == Method::GET;
            let sent = request.into_body().collect_bytes().await.unwrap();
            let ((code, answer), is_lost) = {
                let mut server = server.lock().unwrap();
                if reads {
                    (server.read(), false)
                } else {
                    let answer = server.write(serde_json::from_slice(&sent).unwrap());
                    (answer, std::mem::take(&mut server.loses_answer))
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

/// The Lease after an operator was stopped while it waited for the answer to its n-th write.
async fn stopped_during_write(n: u64) -> Value {
    let server = Shared::default();
    let (elector, _leadership) = Elector::new(client_of(&server, Duration::from_millis(100)), options());
    let finished = CancellationToken::new();
    let running = tokio::spawn(elector.run(finished.clone()));
    while server.lock().unwrap().writes < n {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    finished.cancel();
    running.await.unwrap().unwrap();
    let lease = server.lock().unwrap().lease.clone();
    lease.unwrap()
}

#[tokio::test]
async fn a_stop_during_an_acquisition_or_a_renewal_releases_the_lease() {
    for write in [1, 3] {
        let lease = stopped_during_write(write).await;
        assert_eq!(lease["spec"]["holderIdentity"], "", "write {write}: {lease}");
    }
}

#[tokio::test]
async fn an_acquisition_whose_answer_is_lost_is_noticed_at_the_next_attempt() {
    let server = Shared::default();
    server.lock().unwrap().loses_answer = true;
    let client = client_of(&server, Duration::ZERO);
    let mut candidate = Candidate::new(client, "default", "l", "me", options().timing);
    assert!(candidate.try_acquire().await.is_err());
    let next = candidate.try_acquire().await.unwrap();
    assert!(matches!(next, Attempt::Acquired(_)), "{next:?}");
}

#[tokio::test]
async fn a_lease_whose_renewal_was_not_answered_is_released() {
    let server = Shared::default();
    let client = client_of(&server, Duration::ZERO);
    let mut candidate = Candidate::new(client, "default", "l", "me", options().timing);
    let Ok(Attempt::Acquired(held)) = candidate.try_acquire().await else {
        panic!("it is free");
    };
    server.lock().unwrap().loses_answer = true;
    assert!(candidate.renew(&held).await.is_err());
    candidate.release(&held).await.unwrap();
    let lease = server.lock().unwrap().lease.clone().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "", "{lease}");
}
