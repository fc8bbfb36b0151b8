//! The demo's real servers: DittoServers whose pods run as processes.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Error;
use super::files::Files;
use super::row::Row;
use crate::ControlPlane;
use crate::binaries::{self, Progress};
use crate::runner::{Forwarder, IMAGES, PodRunner, RunnerOptions};

/// The port of the API, unless a DittoServer says otherwise.
const PORT: u64 = 8080;

/// A DittoServer that runs for real.
struct Server {
    namespace: String,
    name: String,
    port: u64,
    /// How to put a file on it, once it has a share.
    commands: Vec<String>,
}

/// The pod runner and what it runs.
pub(super) struct Real {
    /// The names that were asked for.
    names: Vec<String>,
    servers: Vec<Server>,
    program: Option<PathBuf>,
    /// Leads the operator to the servers.
    forwarder: Option<Forwarder>,
    files: Option<Files>,
}

impl Real {
    /// Finds or builds the server, if there is one to run.
    pub(super) async fn prepare(mut names: Vec<String>) -> Result<Self, Error> {
        if !names.is_empty() && !cfg!(target_os = "linux") {
            println!("{} is simulated: a real server needs Linux", names.join(", "));
            names.clear();
        }
        let program = if names.is_empty() {
            None
        } else {
            let build = tokio::task::spawn_blocking(|| binaries::dfs(&Progress::stderr()));
            Some(
                build
                    .await
                    .map_err(|_| crate::Error::Shutdown)?
                    .map_err(crate::Error::from)?,
            )
        };
        Ok(Self {
            names,
            servers: Vec::new(),
            program,
            forwarder: None,
            files: None,
        })
    }

    pub(super) async fn start(&mut self, control_plane: &ControlPlane) -> Result<(), Error> {
        if let Some(program) = self.program.take() {
            let runner = PodRunner::start(control_plane, RunnerOptions::dfs(program))?;
            let forwarder = runner.forward().await.map_err(crate::runner::Error::from)?;
            self.forwarder = Some(forwarder);
            self.files = Some(Files {
                client: control_plane.client()?,
                kubeconfig: control_plane.kubeconfig(),
                runner,
            });
        }
        Ok(())
    }

    /// The arguments with which an operator reaches the servers.
    pub(super) fn operator_args(&self) -> Vec<String> {
        let template = |forwarder: &Forwarder| format!("--server-url-template={}", forwarder.url_template());
        self.forwarder.iter().map(template).collect()
    }

    /// Makes the password of the user of each server. Returns what to say about the files of the Ready ones.
    pub(super) async fn serve(&mut self, rows: &[Row]) -> Vec<String> {
        let Some(files) = &self.files else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for server in &mut self.servers {
            let (namespace, name) = (&server.namespace, &server.name);
            let mut of_server = rows.iter().filter(|row| row.key() == (namespace, name));
            if server.commands.is_empty() {
                let found = match files.make_password(namespace, name).await {
                    Ok(()) if of_server.any(|row| row.ready == "True") => {
                        files.commands(namespace, name).await
                    }
                    Ok(()) => Ok(Vec::new()),
                    Err(error) => Err(error),
                };
                match found {
                    Ok(commands) => server.commands = commands,
                    Err(error) => lines.push(format!("{name}: {error}")),
                }
            }
            lines.extend(server.commands.iter().cloned());
        }
        lines
    }

    /// Whether each server has its commands, and an address in the table.
    pub(super) fn is_served(&self, rows: &[Row]) -> bool {
        self.servers.iter().all(|server| {
            let key = (server.namespace.as_str(), server.name.as_str());
            let mut of_server = rows.iter().filter(|row| row.key() == key);
            !server.commands.is_empty() && of_server.any(Row::has_endpoint)
        })
    }

    /// Gives a DittoServer that was asked for the image that the pod runner runs.
    pub(super) fn choose(&mut self, object: &mut Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if self.files.is_none() || object["kind"] != "DittoServer" || !self.names.contains(&name) {
            return;
        }
        object["spec"]["image"] = json!(format!("{IMAGES}dittofs"));
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        self.servers.push(Server {
            namespace: namespace.to_owned(),
            name,
            port: object["spec"]["controlPlane"]["port"].as_u64().unwrap_or(PORT),
            commands: Vec::new(),
        });
    }

    /// What to say about the real servers.
    pub(super) fn lines(&self, logs: &Path) -> Vec<String> {
        let Some(files) = &self.files else {
            return Vec::new();
        };
        let line = |server: &Server| {
            let Server {
                namespace,
                name,
                port,
                ..
            } = server;
            let address = files.runner.address(namespace, &format!("{name}-0"));
            format!(
                "{name} is a real DittoFS server, the others are simulated; once it is Ready:\n  curl http://{address}:{port}/health\n  tail -n 20 {}/{namespace}_{name}-0_*.log",
                logs.display()
            )
        };
        self.servers.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_runner_every_server_stays_as_it_is() {
        let mut real = Real {
            names: vec!["one".to_owned()],
            servers: Vec::new(),
            program: None,
            forwarder: None,
            files: None,
        };
        let mut server = json!({"kind": "DittoServer", "metadata": {"name": "one"}, "spec": {}});
        real.choose(&mut server);
        assert_eq!(server["spec"], json!({}));
        assert!(real.lines(Path::new("/logs")).is_empty());
    }
}
