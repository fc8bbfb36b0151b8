//! An operator behind the proxy.

use super::proxy::{Proxy, Statuses};
use crate::support::process::Process;
use crate::support::{Operator, World};

/// How an operator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Inside the test.
    Inside,
    /// As a process, which is killed with SIGKILL.
    AsProcess,
}

enum Operating {
    Inside(Operator),
    Process(Process),
}

/// An operator, and the proxy in front of it. It is killed when it is dropped.
pub struct Running {
    pub proxy: Proxy,
    operator: Option<Operating>,
}

impl Running {
    /// Starts an operator that reaches the APIs of servers by this template. A process reaches the double.
    pub async fn start(world: &World, runs: Runs, seed: u64, statuses: &Statuses, template: &str) -> Self {
        let proxy = Proxy::start(world, seed, Statuses::clone(statuses)).await;
        let operator = match runs {
            Runs::Inside => {
                let namespaces = vec![world.namespace.clone()];
                let operator = Operator::start_calling(proxy.config(), namespaces, template.to_owned());
                Operating::Inside(operator.await)
            }
            Runs::AsProcess => {
                let process = Process::start_behind(world, &proxy.url()).await;
                process.answers("/readyz").await;
                Operating::Process(process)
            }
        };
        Self {
            proxy,
            operator: Some(operator),
        }
    }

    /// Stops it gracefully. It must not have panicked.
    pub async fn stop(mut self) {
        match self.operator.take() {
            Some(Operating::Inside(operator)) => operator.stop().await,
            Some(Operating::Process(mut process)) => {
                process.signal("TERM");
                assert!(process.ended().await.success(), "{}", process.log());
            }
            None => {}
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A process is killed when it is dropped.
        if let Some(Operating::Inside(operator)) = &self.operator {
            operator.kill();
        }
    }
}
