//! What a failed list or watch means for the cache.

use kube::runtime::watcher;

use crate::cluster::cache::WatchState;
use crate::cluster::client::errors;

/// The consequence of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The versions that the watcher knew are too old.
    Expired,
    /// The API server cannot be reached or is not able to answer now. The cache keeps the last known state. The watch must start
    /// again with a list: while it was away, etcd may have been restored from a backup, and then a watch that continues from the old
    /// version reports nothing until history has reached that version again.
    Interrupted(String),
    /// The API server refuses the kind, or cannot list it. The content of the cache is unknown.
    Unknown(WatchState),
}

pub(super) fn classify(error: &watcher::Error) -> Failure {
    match error {
        watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source) => {
            of_request(source, matches!(error, watcher::Error::InitialListFailed(_)))
        }
        watcher::Error::WatchError(status) if status.code == 410 => Failure::Expired,
        watcher::Error::WatchError(status) => Failure::Interrupted(status.message.clone()),
        watcher::Error::WatchFailed(source) => Failure::Interrupted(errors::explain(source)),
        watcher::Error::NoResourceVersion => Failure::Interrupted(error.to_string()),
    }
}

fn of_request(error: &kube::Error, is_list: bool) -> Failure {
    let text = errors::explain(error);
    match error {
        kube::Error::Api(status) if status.code == 404 => Failure::Unknown(WatchState::NotServed),
        kube::Error::Api(status) if status.code == 410 => Failure::Expired,
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
            Failure::Unknown(WatchState::Failing(text))
        }
        kube::Error::Api(status) if is_list && !matches!(status.code, 429 | 502..=504) => {
            Failure::Unknown(WatchState::Failing(text))
        }
        _ => Failure::Interrupted(text),
    }
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
    fn a_list_that_the_api_server_refuses_makes_the_cache_unknown() {
        for code in [401, 403, 500] {
            let failed = classify(&watcher::Error::InitialListFailed(api_error(code)));
            assert!(
                matches!(failed, Failure::Unknown(WatchState::Failing(_))),
                "{code}"
            );
        }
        let absent = classify(&watcher::Error::InitialListFailed(api_error(404)));
        assert_eq!(absent, Failure::Unknown(WatchState::NotServed));
    }

    #[test]
    fn an_api_server_that_cannot_answer_now_leaves_the_cache_as_it_is() {
        for code in [429, 502, 503, 504] {
            for failed in [
                watcher::Error::InitialListFailed(api_error(code)),
                watcher::Error::WatchStartFailed(api_error(code)),
                watcher::Error::WatchFailed(api_error(code)),
            ] {
                assert!(matches!(classify(&failed), Failure::Interrupted(_)), "{failed:?}");
            }
        }
        let unreachable = || kube::Error::Service("connection refused".into());
        for failed in [
            watcher::Error::InitialListFailed(unreachable()),
            watcher::Error::WatchStartFailed(unreachable()),
        ] {
            assert!(matches!(classify(&failed), Failure::Interrupted(_)), "{failed:?}");
        }
    }

    #[test]
    fn a_version_that_is_too_new_for_the_api_server_leads_to_a_list() {
        // 504 with the cause ResourceVersionTooLarge: etcd was restored from a backup.
        let too_large = Status {
            code: 504,
            reason: "Timeout".into(),
            ..Status::default()
        };
        for failed in [
            watcher::Error::WatchError(too_large.clone().boxed()),
            watcher::Error::WatchStartFailed(kube::Error::Api(too_large.boxed())),
        ] {
            assert!(matches!(classify(&failed), Failure::Interrupted(_)), "{failed:?}");
        }
    }

    #[test]
    fn a_refused_watch_makes_the_cache_unknown() {
        let absent = classify(&watcher::Error::WatchStartFailed(api_error(404)));
        assert_eq!(absent, Failure::Unknown(WatchState::NotServed));
        let forbidden = classify(&watcher::Error::WatchStartFailed(api_error(403)));
        assert!(matches!(forbidden, Failure::Unknown(WatchState::Failing(_))));
    }
}
