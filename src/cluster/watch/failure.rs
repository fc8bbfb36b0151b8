//! What a failed list or watch means for the cache.

use kube::runtime::watcher;

use crate::cluster::cache::WatchState;
use crate::cluster::client::errors;

/// The new state of the cache, and whether the watch must start again with a list. `None` if the failure changes nothing.
///
/// After a failed list, the content of the cache is unknown. A watch that ends or is interrupted continues where it was, without
/// another list and without an event that would report it; the cache still has the last known state. A watch that is *refused* is
/// different: the kind, or the right to watch it, is gone.
pub(super) fn classify(error: &watcher::Error) -> Option<(WatchState, bool)> {
    let (source, must_relist) = match error {
        watcher::Error::InitialListFailed(source) => (source, false),
        watcher::Error::WatchStartFailed(source) if is_refusal(source) => (source, true),
        _ => return None,
    };
    match source {
        kube::Error::Api(status) if status.code == 404 => Some((WatchState::NotServed, must_relist)),
        _ => Some((WatchState::Failing(errors::explain(source)), must_relist)),
    }
}

fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn api_error(code: u16) -> kube::Error {
        let status = Status {
            code,
            ..Status::default()
        };
        kube::Error::Api(status.boxed())
    }

    #[test]
    fn a_failed_list_makes_the_cache_unknown() {
        let failing = classify(&watcher::Error::InitialListFailed(api_error(500)));
        assert!(matches!(failing, Some((WatchState::Failing(_), false))));
        let absent = classify(&watcher::Error::InitialListFailed(api_error(404)));
        assert_eq!(absent, Some((WatchState::NotServed, false)));
    }

    #[test]
    fn an_interrupted_watch_leaves_the_cache_as_it_is() {
        for code in [429, 500, 503] {
            let interrupted = watcher::Error::WatchStartFailed(api_error(code));
            assert_eq!(classify(&interrupted), None, "{code}");
        }
        assert_eq!(classify(&watcher::Error::WatchFailed(api_error(404))), None);
    }

    #[test]
    fn a_refused_watch_starts_again_with_a_list() {
        let absent = classify(&watcher::Error::WatchStartFailed(api_error(404)));
        assert_eq!(absent, Some((WatchState::NotServed, true)));
        let forbidden = classify(&watcher::Error::WatchStartFailed(api_error(403)));
        assert!(matches!(forbidden, Some((WatchState::Failing(_), true))));
    }
}
