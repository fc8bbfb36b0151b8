//! The gate blocks writes to the API server as soon as another operator may hold the lease.
//!
//! It is checked twice. [`GateLayer`] rejects a write request with a clear error. [`super::socket`] rejects the bytes
//! themselves, right before the system call: a process that is stopped between the two checks and continued a minute later
//! sends nothing.
//!
//! The time since our last renewal is measured with the monotonic and the wall clock, and the longer one counts. The monotonic
//! clock stops while a virtual machine is suspended; the wall clock may be set back. Clocks of other machines are not used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use futures::future::BoxFuture;
use http::{Method, Request, Uri};
use thiserror::Error;
use tower::{BoxError, Layer, Service};

/// The call was not sent: this process may no longer be the leader.
#[derive(Debug, Error)]
#[error("not sent: this operator does not hold the lease, or could not renew it in time")]
pub struct Closed;

/// The API server ended the connection instead of an answer, once the time limit of a write was over.
#[derive(Debug, Error)]
#[error(
    "no answer within {0:?}, the time limit of a write with leader election. If an admission webhook or the API server needs longer, raise \
     --leader-elect-lease-duration"
)]
struct TooSlow(Duration, #[source] BoxError);

/// A time on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    monotonic: Instant,
    wall: SystemTime,
}

impl ClockReading {
    /// The current time.
    #[must_use]
    pub fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// The time since then: the longer one of both clocks.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let wall = SystemTime::now().duration_since(self.wall).unwrap_or_default();
        self.monotonic.elapsed().max(wall)
    }
}

#[derive(Debug)]
enum State {
    /// Without leader election.
    Always,
    /// With leader election. `renewed`: when the last successful renewal was *sent*.
    Elected {
        renewed: Option<ClockReading>,
        open_for: Duration,
        margin: Duration,
    },
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// When the last write ended without an answer. The API server may still process it.
    unanswered: Option<Instant>,
    in_flight: usize,
}

/// Whether this process may write. Clones share one state.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Mutex<Inner>>);

impl Gate {
    /// Without an election: always open.
    #[must_use]
    pub fn always_open() -> Self {
        Self::with(State::Always)
    }

    /// With an election: closed until [`Self::renewed`], and then open for `open_for` after each renewal. `margin` is the time
    /// from then until another candidate can become the leader.
    #[must_use]
    pub fn elected(open_for: Duration, margin: Duration) -> Self {
        Self::with(State::Elected {
            renewed: None,
            open_for,
            margin,
        })
    }

    fn with(state: State) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            state,
            unanswered: None,
            in_flight: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the gate again for its time after `sent`, the time at which the renewal was sent.
    pub fn renewed(&self, sent: ClockReading) {
        if let State::Elected { renewed, .. } = &mut self.lock().state {
            *renewed = Some(sent);
        }
    }

    /// Closes the gate: this process no longer holds the Lease.
    pub fn close(&self) {
        if let State::Elected { renewed, .. } = &mut self.lock().state {
            *renewed = None;
        }
    }

    /// Whether this process may write now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.lock().state {
            State::Always => true,
            State::Elected {
                renewed, open_for, ..
            } => renewed.is_some_and(|sent| sent.elapsed() < *open_for),
        }
    }

    /// Time limit for the API server to process a write. It ends before a successor may start.
    fn server_timeout(&self) -> Option<Duration> {
        match &self.lock().state {
            State::Always => None,
            State::Elected { margin, .. } => Some(margin.mul_f64(0.8)),
        }
    }

    /// Time until every write that was sent has certainly ended. `None` while writes are in flight.
    #[must_use]
    pub fn writes_end_in(&self) -> Option<Duration> {
        let timeout = self.server_timeout().unwrap_or_default();
        let inner = self.lock();
        if inner.in_flight > 0 {
            return None;
        }
        let left = |sent: Instant| timeout.saturating_sub(sent.elapsed());
        Some(inner.unanswered.map_or(Duration::ZERO, left))
    }
}

/// Counts a write while it is in flight.
struct WriteInFlight {
    gate: Gate,
    answered: bool,
}

impl WriteInFlight {
    fn new(gate: &Gate) -> Self {
        gate.lock().in_flight += 1;
        Self {
            gate: gate.clone(),
            answered: false,
        }
    }
}

impl WriteInFlight {
    /// A method, so that the future that awaits the answer captures the whole value: an assignment would capture the field only.
    fn ended(&mut self, answered: bool) {
        self.answered = answered;
    }
}

impl Drop for WriteInFlight {
    fn drop(&mut self) {
        let mut inner = self.gate.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
        if !self.answered {
            inner.unanswered = Some(Instant::now());
        }
    }
}

/// Adds the gate to a client.
#[derive(Clone, Debug)]
pub struct GateLayer(pub Gate);

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated {
            inner,
            gate: self.0.clone(),
        }
    }
}

/// A client with the gate.
#[derive(Clone, Debug)]
pub struct Gated<S> {
    inner: S,
    gate: Gate,
}

impl<S, Body> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            let answer = self.inner.call(request);
            return Box::pin(async move { answer.await.map_err(Into::into) });
        }
        if !self.gate.is_open() {
            return Box::pin(std::future::ready(Err(Closed.into())));
        }
        let timeout = self.gate.server_timeout();
        if let Some(timeout) = timeout {
            limit(request.uri_mut(), timeout);
        }
        let mut in_flight = WriteInFlight::new(&self.gate);
        let sent = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into);
            in_flight.ended(answer.is_ok());
            answer.map_err(|error| match timeout {
                Some(limit) if sent.elapsed() >= limit => TooSlow(limit, error).into(),
                _ => error,
            })
        })
    }
}

/// Sets the time limit of the request, with the parameter that `kubectl --request-timeout` sets.
fn limit(uri: &mut Uri, timeout: Duration) {
    let separator = if uri.query().is_some() { '&' } else { '?' };
    let text = format!("{uri}{separator}timeout={}ms", timeout.as_millis().max(1));
    if let Ok(limited) = text.parse() {
        *uri = limited;
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::base::causes::with_causes;

    fn elected() -> Gate {
        Gate::elected(Duration::from_secs(10), Duration::from_secs(5))
    }

    fn ago(monotonic: u64, wall: u64) -> ClockReading {
        ClockReading {
            monotonic: Instant::now()
                .checked_sub(Duration::from_secs(monotonic))
                .expect("the machine has been up for longer"),
            wall: SystemTime::now() - Duration::from_secs(wall),
        }
    }

    #[test]
    fn it_is_open_for_its_time_after_a_renewal_was_sent() {
        let gate = elected();
        assert!(!gate.is_open(), "before the first renewal");
        gate.renewed(ago(9, 9));
        assert!(gate.is_open());
        gate.renewed(ago(10, 10));
        assert!(!gate.is_open());
        gate.renewed(ClockReading::now());
        gate.close();
        assert!(!gate.is_open());
        assert!(Gate::always_open().is_open());
    }

    #[test]
    fn a_suspended_machine_closes_it_although_the_monotonic_clock_stopped() {
        let gate = elected();
        gate.renewed(ago(1, 60));
        assert!(!gate.is_open());
        gate.renewed(ago(60, 1));
        assert!(!gate.is_open(), "a wall clock that was set back does not open it");
    }

    async fn call(gate: &Gate, method: Method) -> Result<String, BoxError> {
        let service = service_fn(|request: Request<()>| async move {
            Ok::<_, BoxError>(request.uri().query().unwrap_or_default().to_owned())
        });
        let request = Request::builder()
            .method(method)
            .uri("/api/v1/x?fieldManager=f")
            .body(())?;
        GateLayer(gate.clone()).layer(service).oneshot(request).await
    }

    #[tokio::test]
    async fn reads_pass_a_closed_gate_and_writes_do_not() {
        let gate = elected();
        assert!(call(&gate, Method::GET).await.is_ok());
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let refused = call(&gate, method).await.unwrap_err();
            assert!(refused.is::<Closed>(), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_write_asks_the_api_server_to_end_before_a_successor_may_start() {
        let gate = elected();
        gate.renewed(ClockReading::now());
        assert_eq!(
            call(&gate, Method::PATCH).await.unwrap(),
            "fieldManager=f&timeout=4000ms"
        );
        assert_eq!(call(&gate, Method::GET).await.unwrap(), "fieldManager=f");
        assert_eq!(
            call(&Gate::always_open(), Method::PATCH).await.unwrap(),
            "fieldManager=f"
        );
    }

    #[tokio::test]
    async fn a_write_that_ends_without_an_answer_after_its_time_limit_says_what_the_limit_is() {
        for (margin, is_named) in [(10, true), (5000, false)] {
            let gate = Gate::elected(Duration::from_secs(10), Duration::from_millis(margin));
            gate.renewed(ClockReading::now());
            let closed = service_fn(|_: Request<()>| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err::<(), BoxError>("connection closed".into())
            });
            let call = GateLayer(gate)
                .layer(closed)
                .oneshot(Request::post("/x").body(()).unwrap());
            let text = with_causes(call.await.unwrap_err().as_ref());
            assert!(text.ends_with("connection closed"), "{text}");
            assert_eq!(text.contains("within 8ms"), is_named, "{text}");
        }
    }

    #[tokio::test]
    async fn a_write_without_an_answer_delays_the_release_of_the_lease() {
        let gate = elected();
        gate.renewed(ClockReading::now());
        assert_eq!(gate.writes_end_in(), Some(Duration::ZERO));
        let never = service_fn(|_: Request<()>| std::future::pending::<Result<(), BoxError>>());
        let mut service = GateLayer(gate.clone()).layer(never);
        let write = service.call(Request::post("/x").body(()).unwrap());
        assert_eq!(gate.writes_end_in(), None);
        drop(write);
        assert!(gate.writes_end_in().unwrap() > Duration::from_secs(3));
    }
}
