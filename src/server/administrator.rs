//! Calls to one server with the role of an administrator: those that change something, and reads that need the role.

use std::sync::OnceLock;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::client::{Access, CALL_DEADLINE, Client, Error};
use super::token::{Role, sign};
use crate::domain::server_api::Target;

/// Deadline of a call during which the server looks whether its stores answer. It gives up after ten seconds itself.
const SLOW_DEADLINE: Duration = Duration::from_secs(25);

/// Deadline of the call during which the server uploads everything that it has.
const DRAIN_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// One server, as an administrator calls it.
pub(super) struct Server<'a> {
    client: &'a Client,
    target: &'a Target,
    /// No call begins later.
    ends: Option<Instant>,
    /// Why no more calls are made: the server did not answer one.
    gave_up: OnceLock<String>,
}

impl<'a> Server<'a> {
    pub(super) fn new(client: &'a Client, target: &'a Target) -> Self {
        Self {
            client,
            target,
            ends: None,
            gave_up: OnceLock::new(),
        }
    }

    /// Makes calls for this time only, and none after one that the server did not answer.
    pub(super) fn within(self, time: Duration) -> Self {
        Self {
            ends: Instant::now().checked_add(time),
            ..self
        }
    }

    /// The same server, without a limit.
    pub(super) fn without_limit(&self) -> Self {
        Self::new(self.client, self.target)
    }

    pub(super) fn target(&self) -> &'a Target {
        self.target
    }

    /// Whether another call may be made.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Some(ends) = self.ends else { return Ok(()) };
        if let Some(why) = self.gave_up.get() {
            return Err(Error::NotCalled(why.clone()));
        }
        if Instant::now() >= ends {
            return Err(Error::NotCalled(format!("{} is too slow", self.target.url)));
        }
        Ok(())
    }

    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        self.read(method, path, body).await
    }

    /// Makes a call whose answer is of this shape.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let answer = self.answer(CALL_DEADLINE, method, path, body).await;
        if let Err(error @ (Error::Timeout(..) | Error::Connect { .. })) = &answer {
            // Only the first one counts.
            let _ = self.gave_up.set(error.to_string());
        }
        answer
    }

    /// As [`Self::read`], for a call during which the server itself waits for something outside. That it does not answer says nothing
    /// about other calls.
    pub(super) async fn read_slowly<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        self.read_within(SLOW_DEADLINE, method, path, body).await
    }

    /// As [`Self::read_slowly`], with another deadline.
    pub(super) async fn read_within<T: DeserializeOwned>(
        &self,
        deadline: Duration,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        self.answer(deadline, method, path, body).await
    }

    /// Asks the server to upload what is not in its remote stores yet, and waits until it has: then it answers `drained`. It gives up itself
    /// when it makes no progress (`controlplane.drain_stall_timeout`, five minutes).
    pub(super) async fn drain_uploads(&self) -> Result<String, Error> {
        let path = "system/drain-uploads";
        let answer: Value = self.answer(DRAIN_DEADLINE, Method::POST, path, None).await?;
        Ok(answer["status"].as_str().unwrap_or_default().to_owned())
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        deadline: Duration,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        self.check()?;
        let token = sign(&self.target.key, Role::Admin, Timestamp::now());
        let access = Access::sending(&token, self.confidential());
        let url = self.url(path);
        let answer = self
            .client
            .call_within(deadline, method, &url, &access, body)
            .await?;
        serde_json::from_value(answer).map_err(|error| access.unexpected(&url, &error))
    }

    /// The key of the tokens, and the passwords that may be sent.
    fn confidential(&self) -> Vec<&[u8]> {
        let providers = self.target.declared.providers.iter();
        let passwords = providers.filter_map(|provider| provider.secret.as_ref());
        let content = self.target.declared.content.iter();
        let of_content = content.flat_map(|content| content.confidential());
        passwords
            .chain(of_content)
            .chain([&self.target.key])
            .map(|value| &*value.0)
            .collect()
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.target.url.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secrets::Confidential;
    use crate::domain::server_settings::Declared;

    #[tokio::test]
    async fn no_call_begins_after_the_time_is_over() {
        let target = Target {
            server: String::new(),
            pod: String::new(),
            started: None,
            ready_since: None,
            // Nothing listens there.
            url: "http://127.0.0.1:1".into(),
            key: Confidential(b"key"[..].into()),
            trust: None,
            interval: Duration::from_secs(30),
            declared: Declared::default(),
            exposed: [].into(),
        };
        let client = Client::new(None).unwrap();
        let late = Server::new(&client, &target).within(Duration::ZERO);
        let refused = late.call(Method::GET, "adapters", None).await.unwrap_err();
        assert!(matches!(refused, Error::NotCalled(_)), "{refused:?}");
        let server = Server::new(&client, &target).within(Duration::from_secs(600));
        let refused = server.call(Method::GET, "adapters", None).await.unwrap_err();
        assert!(matches!(refused, Error::Connect { .. }), "{refused:?}");
        let next = server.call(Method::GET, "adapters", None).await.unwrap_err();
        assert!(matches!(next, Error::NotCalled(_)), "{next:?}");
        assert!(next.to_string().contains("not reachable"), "{next}");
        let unlimited = late.without_limit().call(Method::GET, "adapters", None).await;
        assert!(matches!(unlimited, Err(Error::Connect { .. })), "{unlimited:?}");
    }
}
