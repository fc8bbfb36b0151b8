//! An operator behind two proxies: one to the API server, one to the API of the server. Either carries the trouble of a step.

use std::process::Command;

use dittofs_operator::api::names::CONTAINER;

use super::step::{At, Side, Trouble};
use crate::chaos::fault::Fault;
use crate::chaos::proxy::{Proxy, Statuses};
use crate::support::World;
use crate::support::real;

/// The proxies of the operator that runs in a world.
pub struct Behind {
    kubernetes: Proxy,
    servers: Proxy,
    trouble: Trouble,
}

impl Behind {
    /// Starts an operator behind new proxies.
    pub async fn start(world: &mut World, seed: u64) -> Self {
        let template = real::forwarder().await.url_template();
        let (base, rest) = template.split_once("/{").expect("placeholders");
        let servers = Proxy::of_servers(base, seed).await;
        let kubernetes = Proxy::start(world, seed, Statuses::default()).await;
        world.reach_servers(format!("{}/{{{rest}", servers.url()));
        world.start_operator_as(kubernetes.config()).await;
        Self {
            kubernetes,
            servers,
            trouble: Trouble::None,
        }
    }

    /// The trouble begins now. The one before ends.
    pub async fn arm(&mut self, trouble: Trouble) {
        let fault = |at| match at {
            At::Before(nth) => Fault::KilledBefore(nth),
            At::After(nth) => Fault::KilledAfter(nth),
        };
        let (kubernetes, servers) = match trouble {
            Trouble::None => (Fault::None, Fault::None),
            Trouble::Killed(Side::Kubernetes, at) => (fault(at), Fault::None),
            Trouble::Killed(Side::Server, at) | Trouble::ServerKilled(at) => (Fault::None, fault(at)),
            Trouble::ReplyLost(nth) => (Fault::None, Fault::ReplyLost(nth)),
        };
        self.kubernetes.arm(kubernetes).await;
        self.servers.arm(servers).await;
        self.trouble = trouble;
    }

    /// Waits until something is to be killed.
    pub async fn killed(&self) {
        tokio::select! {
            () = self.kubernetes.killed() => {}
            () = self.servers.killed() => {}
        }
    }

    /// Kills what is to be killed: the server, which Kubernetes starts again, or the operator, and another one starts. The operator may have
    /// made the call that kills it after the trouble of its step had ended.
    pub async fn kill(&mut self, world: &mut World, seed: u64) {
        if matches!(self.trouble, Trouble::ServerKilled(_)) && !self.kubernetes.is_killed() {
            kill_server(world).await;
            self.servers.open().await;
        } else {
            self.restart(world, seed).await;
        }
    }

    /// Kills the operator, and starts another one.
    pub async fn restart(&mut self, world: &mut World, seed: u64) {
        world.kill_operator();
        *self = Self::start(world, seed).await;
    }

    /// The calls of the operator to the server so far: method and path.
    pub fn calls(&self) -> Vec<String> {
        self.servers.calls()
    }
}

/// Ends the process of the server with SIGKILL. It may have ended already.
async fn kill_server(world: &World) {
    let runner = real::runner().await;
    if let Some(pid) = runner.pid(&world.namespace, "files-0", CONTAINER) {
        let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        killed.expect("kill runs");
    }
}
