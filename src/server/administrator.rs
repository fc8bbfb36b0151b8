//! Calls to one server with the role of an administrator: those that change something, and reads that need the role.

use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use super::client::{Client, Error};
use super::token::{Role, sign};
use crate::domain::server_api::Target;

/// One server, as an administrator calls it.
pub(super) struct Server<'a> {
    client: &'a Client,
    target: &'a Target,
}

impl<'a> Server<'a> {
    pub(super) fn new(client: &'a Client, target: &'a Target) -> Self {
        Self { client, target }
    }

    pub(super) fn target(&self) -> &'a Target {
        self.target
    }

    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let token = sign(&self.target.key, Role::Admin, Timestamp::now());
        let url = self.url(path);
        self.client.call(method, &url, &token, body).await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.target.url.trim_end_matches('/'))
    }
}
