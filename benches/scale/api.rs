//! Calls to the API server as bytes: what both the builder of worlds and the bare client send.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use http::{Method, Request};
use kube::Client;
use serde_json::Value;

use crate::error::{Error, Result};

/// A namespaced kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The path of its API group and version.
    pub base: &'static str,
    /// The name in paths.
    pub plural: &'static str,
}

macro_rules! resources {
    ($($name:ident = $base:literal $plural:literal;)*) => {
        $(#[doc = $plural] pub const $name: Resource = Resource { base: $base, plural: $plural };)*
    };
}

resources! {
    SERVERS = "/apis/dittofs.dittofs.com/v1alpha1" "dittoservers";
    ACCOUNTS = "/api/v1" "serviceaccounts";
    SECRETS = "/api/v1" "secrets";
    CONFIG_MAPS = "/api/v1" "configmaps";
    SERVICES = "/api/v1" "services";
    PODS = "/api/v1" "pods";
    CLAIMS = "/api/v1" "persistentvolumeclaims";
    NETWORK_POLICIES = "/apis/networking.k8s.io/v1" "networkpolicies";
    STATEFUL_SETS = "/apis/apps/v1" "statefulsets";
    BUDGETS = "/apis/policy/v1" "poddisruptionbudgets";
}

impl Resource {
    /// The path of all objects in a namespace.
    pub fn path(self, namespace: &str) -> String {
        format!("{}/namespaces/{namespace}/{}", self.base, self.plural)
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    content_type: &'static str,
    body: String,
}

impl Call {
    /// Creates an object.
    pub fn create(resource: Resource, namespace: &str, body: &impl ToString) -> Self {
        Self::new(Method::POST, resource.path(namespace), body.to_string())
    }

    /// Creates an object in the collection at this path.
    pub fn create_at(path: &str, body: &Value) -> Self {
        Self::new(Method::POST, path.to_owned(), body.to_string())
    }

    /// A merge patch. `name` may end in a subresource.
    pub fn merge(resource: Resource, namespace: &str, name: &str, body: &impl ToString) -> Self {
        let path = format!("{}/{name}", resource.path(namespace));
        Self {
            content_type: "application/merge-patch+json",
            ..Self::new(Method::PATCH, path, body.to_string())
        }
    }

    /// Deletes an object.
    pub fn delete(resource: Resource, namespace: &str, name: &str) -> Self {
        let path = format!("{}/{name}", resource.path(namespace));
        Self::new(Method::DELETE, path, String::new())
    }

    /// Deletes the object at this path.
    pub fn delete_at(path: &str) -> Self {
        Self::new(Method::DELETE, path.to_owned(), String::new())
    }

    /// Reads one object, or a list (`path` may have a query).
    pub fn get(path: String) -> Self {
        Self::new(Method::GET, path, String::new())
    }

    fn new(method: Method, path: String, body: String) -> Self {
        Self {
            method,
            path,
            content_type: "application/json",
            body,
        }
    }
}

/// Sends calls.
#[derive(Clone)]
pub struct Api(pub Client);

impl Api {
    /// Sends one call. Returns the answer.
    pub async fn send(&self, call: Call) -> Result<String> {
        let what = format!("{} {}", call.method, call.path);
        let request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header("Content-Type", call.content_type)
            .body(call.body.into_bytes())
            .map_err(|error| Error::Failed(error.to_string()))?;
        let answer = self.0.request_text(request).await;
        answer.map_err(|source| Error::Call {
            what,
            source: Box::new(source),
        })
    }

    /// Sends one call and reads the answer as JSON.
    pub async fn json(&self, call: Call) -> Result<Value> {
        Ok(serde_json::from_str(&self.send(call).await?)?)
    }

    /// The objects of a kind in a namespace.
    pub async fn list(&self, resource: Resource, namespace: &str) -> Result<Vec<Value>> {
        let mut list = self.json(Call::get(resource.path(namespace))).await?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// Carries out jobs, a number of them at the same time, and the calls of a job one after the other. Returns the duration.
    pub async fn all(
        &self,
        concurrency: usize,
        jobs: impl IntoIterator<Item = Vec<Call>> + Send,
    ) -> Result<Duration> {
        let began = Instant::now();
        let tasks = jobs.into_iter().map(|calls| {
            let api = self.clone();
            let job = async move {
                for call in calls {
                    api.send(call).await?;
                }
                Ok::<(), Error>(())
            };
            // A task each, so that all cores send.
            async {
                tokio::spawn(job)
                    .await
                    .map_err(|error| Error::Failed(error.to_string()))?
            }
        });
        let mut running = stream::iter(tasks).buffer_unordered(concurrency);
        while running.try_next().await?.is_some() {}
        Ok(began.elapsed())
    }
}
