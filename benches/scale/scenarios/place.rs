//! A world in which everything is in place: children, ready pods, bound claims, statuses, and APIs that answer.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::{Call, SERVERS, SERVICES};
use crate::bare::as_sent;
use crate::cli::Flags;
use crate::controllers;
use crate::double::Double;
use crate::error::{Error, Result};
use crate::operator::Setup;
use crate::session::Session;
use crate::world::{BARE, BUILDERS, Kind, OURS, World, name};

/// How long no further server may become ready.
const STALLED: Duration = Duration::from_secs(180);
/// Pause between two lists of all servers.
const LOOK: Duration = Duration::from_secs(5);

/// A world in which everything is in place.
pub struct Place<'a> {
    /// The control plane.
    pub world: World,
    /// The number of servers.
    pub servers: usize,
    /// Their APIs.
    pub double: &'a Double,
    flags: &'a Flags,
}

/// The child that is edited and deleted.
pub fn child(number: usize) -> String {
    format!("{}-api", name(number))
}

impl<'a> Place<'a> {
    /// Has an operator make the children, plays the controllers, and waits until all servers are Ready.
    pub async fn build(flags: &'a Flags, double: &'a Double, servers: usize) -> Result<Self> {
        let began = Instant::now();
        let kind = Kind {
            secrets: flags.secrets,
            deletes_volumes: false,
        };
        let world = World::of_both(servers, kind).await?;
        let place = Self {
            world,
            servers,
            double,
            flags,
        };
        let mut session = place.operator()?;
        session
            .until("first statuses", servers, |call| {
                call.has_written("dittoservers/status")
            })
            .await?;
        println!(
            "{servers} servers have their children after {:?}",
            began.elapsed()
        );
        controllers::play(&place.world, OURS).await?;
        place.ready().await?;
        place.asked().await?;
        session.settle().await?;
        session.operator.stop().await?;
        place.copy_children().await?;
        println!(
            "{servers} servers with everything in place after {:?}",
            began.elapsed()
        );
        Ok(place)
    }

    /// Starts an operator.
    pub fn operator(&self) -> Result<Session> {
        self.operator_of(&[OURS])
    }

    /// Starts an operator that watches these namespaces.
    pub fn operator_of(&self, namespaces: &[&str]) -> Result<Session> {
        self.double.forget();
        let setup = Setup {
            namespaces,
            server_url_template: &self.double.template,
            flags: &self.flags.operator_flag,
        };
        Session::start(&self.world, &setup)
    }

    /// Waits until all APIs have been asked. After a start, the operator spreads its calls over its polling interval.
    pub async fn asked(&self) -> Result<()> {
        let began = Instant::now();
        while self.double.servers() < self.servers {
            if began.elapsed() > STALLED {
                return Err(Error::Failed(format!(
                    "only {} servers were asked",
                    self.double.servers()
                )));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn ready(&self) -> Result<()> {
        let (mut most, mut changed) = (0, Instant::now());
        loop {
            let all = self.world.api.list(SERVERS, OURS).await?;
            let ready = all.iter().filter(|server| is_ready(server)).count();
            if ready == self.servers {
                return Ok(());
            }
            if ready > most {
                (most, changed) = (ready, Instant::now());
            }
            if changed.elapsed() > STALLED {
                let example = all.iter().find(|server| !is_ready(server));
                let status = example.map(|server| server["status"]["conditions"].to_string());
                return Err(Error::Failed(format!(
                    "{ready} servers are Ready, but not this one: {status:?}"
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The bare client edits and deletes copies of one child of each server.
    async fn copy_children(&self) -> Result<()> {
        let all = self.world.api.list(SERVICES, OURS).await?;
        let own = all.into_iter().filter(|service| {
            let name = service["metadata"]["name"].as_str();
            name.is_some_and(|name| name.ends_with("-api"))
        });
        let jobs = own.map(|service| vec![Call::create(SERVICES, BARE, &as_sent(service))]);
        self.world.api.all(BUILDERS, jobs.collect::<Vec<_>>()).await?;
        Ok(())
    }
}

fn is_ready(server: &Value) -> bool {
    let conditions = server["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
