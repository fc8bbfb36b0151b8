//! An operator that runs inside the test process.

use dittofs_operator::domain::settings::Settings;
use dittofs_operator::domain::shard::Shard;
use dittofs_operator::reconcile::controller;
use dittofs_operator::reconcile::controller::Options;
use dittofs_operator::server::poller::Pace;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{server_double, wait};

/// Time from the first failed call after which these operators report an API as unreachable.
const UNREACHABLE_AFTER: Duration = Duration::from_millis(500);

/// An operator that runs inside the test process.
pub struct Operator {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Operator {
    /// Starts an operator and waits until its caches have synced.
    pub async fn start(config: kube::Config, namespaces: Vec<String>) -> Self {
        Self::start_calling(config, namespaces, server_double::template()).await
    }

    /// As [`Self::start`], for an operator that reaches the APIs of servers by this template.
    pub async fn start_calling(config: kube::Config, namespaces: Vec<String>, template: String) -> Self {
        let (operator, is_ready) = Self::spawn(config, namespaces, template);
        operator.synced(is_ready).await
    }

    /// Waits until its caches have synced.
    pub(super) async fn synced(self, mut is_ready: watch::Receiver<bool>) -> Self {
        let synced = is_ready.wait_for(|ready| *ready);
        tokio::time::timeout(wait::LONGEST, synced)
            .await
            .expect("caches sync in time")
            .expect("the operator lives");
        self
    }

    /// Starts an operator that reaches the APIs of servers by this template.
    pub(super) fn spawn(
        config: kube::Config,
        namespaces: Vec<String>,
        template: String,
    ) -> (Self, watch::Receiver<bool>) {
        let stop = CancellationToken::new();
        let (ready, is_ready) = watch::channel(false);
        let options = Options {
            namespaces,
            concurrency: 16,
            settings: Settings {
                server_url_template: Some(template),
                ..Settings::default()
            },
            pace: Pace {
                unreachable_after: UNREACHABLE_AFTER,
                ..Pace::default()
            },
            shard: Shard::default(),
        };
        let running = controller::run(config, options, ready, stop.clone());
        let task = tokio::spawn(async move { running.await.expect("the operator runs") });
        (Self { stop, task }, is_ready)
    }

    /// Stops it and waits for its end.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the operator ends without a panic");
    }

    /// Ends it like SIGKILL: nothing that it does is completed.
    pub fn kill(&self) {
        self.stop.cancel();
        self.task.abort();
    }

    /// Stops it, without waiting for its end.
    pub(super) fn cancel(&self) {
        self.stop.cancel();
    }
}
