//! Lets the first call of a client go alone, and the others follow once it is answered.
//!
//! Only with a connection does the client know whether the API server speaks HTTP/2. Without this, all calls of the start would open
//! a connection each, and close it again when the first one turns out to be enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tower::{Layer, Service};

/// Adds this to a client.
#[derive(Clone, Debug, Default)]
pub(super) struct FirstCallLayer(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_connected: AtomicBool,
    first: Mutex<()>,
}

impl<S> Layer<S> for FirstCallLayer {
    type Service = FirstCall<S>;

    fn layer(&self, inner: S) -> FirstCall<S> {
        FirstCall {
            inner,
            state: Arc::clone(&self.0),
        }
    }
}

/// A client whose calls go one by one until it is connected.
#[derive(Clone, Debug)]
pub(super) struct FirstCall<S> {
    inner: S,
    state: Arc<State>,
}

impl<S, Request> Service<Request> for FirstCall<S>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    Request: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let clone = self.inner.clone();
        // The clone has not been asked whether it is ready; this one has.
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let state = Arc::clone(&self.state);
        Box::pin(async move {
            let alone = if state.is_connected.load(Ordering::SeqCst) {
                None
            } else {
                Some(state.first.lock().await)
            };
            // Another call may have connected while this one waited.
            let alone = alone.filter(|_| !state.is_connected.load(Ordering::SeqCst));
            let answer = inner.call(request).await;
            state.is_connected.store(answer.is_ok(), Ordering::SeqCst);
            drop(alone);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn calls_go_one_by_one_until_the_first_is_answered() {
        let (calls, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(())));
        let first_answer = answers.clone().lock_owned().await;
        let counted = Arc::clone(&calls);
        let service = service_fn(move |()| {
            let answers = Arc::clone(&answers);
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                drop(answers.lock().await);
                Ok::<_, ()>(())
            }
        });
        let client = FirstCallLayer::default().layer(service);
        let all = futures::future::join_all((0..5).map(|_| client.clone().oneshot(())));
        tokio::pin!(all);
        assert!(futures::poll!(&mut all).is_pending());
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        drop(first_answer);
        all.await;
        assert_eq!(calls.load(Ordering::SeqCst), 5);
    }
}
