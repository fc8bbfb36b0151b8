//! Who may read `/metrics`: checked with a TokenReview and a SubjectAccessReview.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::cluster::client::errors;

/// How long an answer is cached: one or two scrapes, so that a revoked right ends soon.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Largest number of cached answers.
const MOST: usize = 128;

/// Why the client could not be checked.
#[derive(Debug, Error)]
#[error("the API server did not answer the review: {}", errors::explain(.0))]
pub struct Error(#[from] kube::Error);

/// Whether a client may read `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrapeAccess {
    /// It may.
    Allowed,
    /// The token is invalid.
    Unauthenticated,
    /// The token is valid, but its user may not.
    Forbidden,
}

/// Asks the API server, and caches the answer for a short time. Tokens are cached as hashes only.
pub struct Reviewer {
    client: Client,
    answers: Mutex<HashMap<[u8; 32], (ScrapeAccess, Instant)>>,
}

impl Reviewer {
    /// `client` must be able to write without being the leader.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            answers: Mutex::default(),
        }
    }

    /// Whether the user of this token may read `/metrics`.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn review(&self, token: &str) -> Result<ScrapeAccess, Error> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(access) = self.remembered(&key) {
            return Ok(access);
        }
        let access = match self.owner(token).await? {
            Some(user) => self.access(user).await?,
            None => ScrapeAccess::Unauthenticated,
        };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, (_, since)| since.elapsed() < REMEMBERED);
        if answers.len() < MOST {
            answers.insert(key, (access, Instant::now()));
        }
        Ok(access)
    }

    fn remembered(&self, key: &[u8; 32]) -> Option<ScrapeAccess> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (access, since) = answers.get(key)?;
        (since.elapsed() < REMEMBERED).then_some(*access)
    }

    async fn owner(&self, token: &str) -> Result<Option<UserInfo>, Error> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                ..TokenReviewSpec::default()
            },
            ..TokenReview::default()
        };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let status = api.create(&PostParams::default(), &review).await?.status;
        let status = status.unwrap_or_default();
        Ok(status.user.filter(|_| status.authenticated == Some(true)))
    }

    async fn access(&self, user: UserInfo) -> Result<ScrapeAccess, Error> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                non_resource_attributes: Some(NonResourceAttributes {
                    path: Some("/metrics".into()),
                    verb: Some("get".into()),
                }),
                user: user.username,
                uid: user.uid,
                groups: user.groups,
                extra: user.extra,
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let status = api.create(&PostParams::default(), &review).await?.status;
        let is_allowed = status.is_some_and(|status| status.allowed && status.denied != Some(true));
        Ok(if is_allowed {
            ScrapeAccess::Allowed
        } else {
            ScrapeAccess::Forbidden
        })
    }
}
