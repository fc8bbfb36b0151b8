//! Earlier answers to lists, as an API server gives that is behind the others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Response, Uri};

/// Answers that are kept of each list.
const KEPT: usize = 8;

/// The answers to lists, by their URI.
#[derive(Default)]
pub struct Lists(Mutex<HashMap<Uri, Vec<Response<Bytes>>>>);

impl Lists {
    /// Keeps an answer.
    pub fn keep(&self, uri: &Uri, answer: &Response<Bytes>) {
        let mut lists = self.lock();
        let answers = lists.entry(uri.clone()).or_default();
        if answers.len() < KEPT && answer.status().is_success() {
            answers.push(answer.clone());
        }
    }

    /// One of the earlier answers, if there is one.
    pub fn earlier(&self, uri: &Uri, number: u64) -> Option<Response<Bytes>> {
        let lists = self.lock();
        let answers = lists.get(uri)?;
        let count = u64::try_from(answers.len()).ok()?;
        let index = usize::try_from(number.checked_rem(count)?).ok()?;
        answers.get(index).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uri, Vec<Response<Bytes>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
