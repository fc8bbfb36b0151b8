//! Counts the calls of a client by verb, kind and code, and traces each as a span.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::BoxFuture;
use http::{Method, Request, Response, Uri};
use tower::{Layer, Service};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::base::metrics::Metrics;
use crate::cluster::watch_health::WatchHealth;

/// The resources that this operator calls, with their kinds: the other metrics use the same label. All others are counted as
/// `other`, so that the number of labels is bounded.
const KINDS: [(&str, &str); 17] = [
    ("configmaps", "ConfigMap"),
    ("customresourcedefinitions", "CustomResourceDefinition"),
    ("dittoservers", "DittoServer"),
    ("events", "Event"),
    ("leases", "Lease"),
    ("networkpolicies", "NetworkPolicy"),
    ("perconapgclusters", "PerconaPGCluster"),
    ("persistentvolumeclaims", "PersistentVolumeClaim"),
    ("poddisruptionbudgets", "PodDisruptionBudget"),
    ("pods", "Pod"),
    ("secrets", "Secret"),
    ("servicemonitors", "ServiceMonitor"),
    ("services", "Service"),
    ("statefulsets", "StatefulSet"),
    ("storageclasses", "StorageClass"),
    ("subjectaccessreviews", "SubjectAccessReview"),
    ("tokenreviews", "TokenReview"),
];

/// Counts the calls of a client.
#[derive(Clone, Debug)]
pub struct CountLayer {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Records the times of answers to lists and watches, for the client of the watches.
    pub health: Option<WatchHealth>,
}

impl<S> Layer<S> for CountLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            layer: self.clone(),
        }
    }
}

/// A client whose calls are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    layer: CountLayer,
}

impl<S, Body, Answer> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Answer>>,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
    Answer: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let target = Target::of(request.uri());
        let verb = target.verb(request.method());
        let span = span(verb, target.kind);
        let answer = span
            .in_scope(|| self.inner.call(request))
            .instrument(span.clone());
        let mut call = Call {
            layer: self.layer.clone(),
            span,
            verb,
            target,
            began: Instant::now(),
            code: 0,
        };
        Box::pin(async move {
            let answer = answer.await;
            call.answered(answer.as_ref().map_or(0, |answer| answer.status().as_u16()));
            answer
        })
    }
}

/// A call in flight. It is counted when it ends, also when it is cancelled.
struct Call {
    layer: CountLayer,
    span: Span,
    verb: &'static str,
    target: Target,
    began: Instant,
    code: u16,
}

impl Call {
    /// A method, so that the future that awaits the answer captures the whole value: an assignment would capture the field only.
    fn answered(&mut self, code: u16) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Self {
            layer,
            span,
            verb,
            target,
            began,
            code,
        } = self;
        layer.metrics.called(verb, target.kind, *code, began.elapsed());
        if let Some(health) = layer.health.as_ref().filter(|_| is_answer_of_watch(verb, *code)) {
            health.record_answer(target.kind, &target.namespace);
        }
        record_result(span, *code);
    }
}

/// Fields whose names begin with `otel.` are the ones that traces show.
fn span(verb: &str, kind: &str) -> Span {
    tracing::debug_span!(
        "call",
        otel.name = format!("{verb} {kind}"),
        otel.kind = "client",
        verb,
        kind,
        code = Empty,
        otel.status_code = Empty,
    )
}

fn record_result(span: &Span, code: u16) {
    span.record("code", code);
    if is_failure(code) {
        span.record("otel.status_code", "ERROR");
    }
}

/// An error from the API server is an answer, too: without the right or the CRD, a watch never gets further than its list.
fn is_answer_of_watch(verb: &str, code: u16) -> bool {
    code != 0 && matches!(verb, "list" | "watch")
}

/// "Not found" and "conflict" are not failures.
fn is_failure(code: u16) -> bool {
    code == 0 || (code >= 400 && !matches!(code, 404 | 409))
}

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: &'static str,
    /// Empty for a call to all namespaces, or to a cluster-scoped resource.
    pub(super) namespace: String,
    has_name: bool,
    is_watch: bool,
    is_dry_run: bool,
}

impl Target {
    /// `/api/v1/namespaces/NAMESPACE/KIND/NAME/…` or `/apis/GROUP/VERSION/…`, without the namespace for all of them.
    pub(super) fn of(uri: &Uri) -> Self {
        let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
        let prefix = if parts.next() == Some("api") { 1 } else { 2 };
        let rest: Vec<&str> = parts.skip(prefix).collect();
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces", namespace, resource @ ..] if !resource.is_empty() => (*namespace, resource),
            all => ("", all),
        };
        let kind = rest
            .first()
            .and_then(|resource| KINDS.iter().find(|(known, _)| known == resource));
        let asks = |wanted: &[&str]| {
            let mut pairs = uri.query().unwrap_or_default().split('&');
            pairs.any(|pair| wanted.contains(&pair))
        };
        Self {
            kind: kind.map_or("other", |(_, kind)| *kind),
            namespace: namespace.to_owned(),
            has_name: rest.len() > 1,
            is_watch: asks(&["watch=true", "watch=1"]),
            is_dry_run: asks(&["dryRun=All"]),
        }
    }

    /// A dry run is counted as a verb of its own, because it changes nothing.
    fn verb(&self, method: &Method) -> &'static str {
        match *method {
            _ if self.is_dry_run => "dry_run",
            Method::GET if self.is_watch => "watch",
            Method::GET if self.has_name => "get",
            Method::GET => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_watch_is_an_answer_and_no_response_is_not() {
        assert!(is_answer_of_watch("list", 404) && is_answer_of_watch("watch", 200));
        assert!(!is_answer_of_watch("watch", 0) && !is_answer_of_watch("get", 200));
    }

    #[test]
    fn not_found_and_conflict_are_not_failed_calls() {
        assert!([200, 201, 404, 409].iter().all(|code| !is_failure(*code)));
        assert!([0, 401, 403, 422, 429, 500].iter().all(|code| is_failure(*code)));
    }

    #[test]
    fn a_path_of_the_api_gives_a_verb_and_a_kind() {
        for (method, path, expected) in [
            (Method::GET, "/api/v1/namespaces/a/pods/b", ("get", "Pod")),
            (Method::GET, "/api/v1/pods?labelSelector=x", ("list", "Pod")),
            (
                Method::GET,
                "/apis/apps/v1/namespaces/a/statefulsets?&watch=true&x=y",
                ("watch", "StatefulSet"),
            ),
            (
                Method::PATCH,
                "/apis/dittofs.dittofs.com/v1alpha1/namespaces/a/dittoservers/b/status",
                ("patch", "DittoServer"),
            ),
            (
                Method::PATCH,
                "/api/v1/namespaces/a/persistentvolumeclaims/b?&dryRun=All&fieldManager=x",
                ("dry_run", "PersistentVolumeClaim"),
            ),
            (
                Method::POST,
                "/apis/authentication.k8s.io/v1/tokenreviews",
                ("create", "TokenReview"),
            ),
            (
                Method::GET,
                "/apis/example.com/v1/secrets-of-another",
                ("list", "other"),
            ),
            (Method::GET, "/version", ("list", "other")),
        ] {
            let target = Target::of(&path.parse().expect("a path"));
            assert_eq!((target.verb(&method), target.kind), expected, "{path}");
        }
    }
}
