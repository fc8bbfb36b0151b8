//! A running control plane: start, faults, end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::arguments::{self, Layout, Ports};
use crate::binaries::Binaries;
use crate::bootstrap;
use crate::component::Component;
use crate::error::Error;
use crate::instance;
use crate::leash::{Cleaner, Leash, Plan};
use crate::options::{Options, Size};
use crate::ports;
use crate::probe::{self, Deadline};
use crate::runner::logs;
use crate::text::last_lines;

/// How often a start is tried when another process takes a chosen port first.
const ATTEMPTS: usize = 3;
/// How long a component that is stopped on purpose may take until it is killed.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How much of a component's log an error quotes.
const QUOTED_LINES: usize = 15;

/// A failed attempt, with the options for the next one.
type Failure = (Error, Options);

/// A Kubernetes control plane on 127.0.0.1.
///
/// It ends when it is dropped, and also when the process ends in any other way: a panic, Ctrl-C,
/// `kill -9`, or a `static` that is never dropped. Nothing of it is bound to the runtime that started it, so
/// tests with a runtime each may share one.
#[derive(Debug)]
pub struct ControlPlane {
    running: Mutex<BTreeMap<Component, Leash>>,
    binaries: Binaries,
    layout: Layout,
    ports: Ports,
    options: Options,
    config: kube::Config,
    /// Last: it removes the directory, after the components are gone.
    _cleaner: Cleaner,
}

impl ControlPlane {
    /// Finds or builds the executables, starts the components, waits until they are ready.
    ///
    /// Takes a few seconds for the API server alone, about ten for the full size, and some ten minutes when
    /// the executables have to be built first.
    ///
    /// # Errors
    /// Names the component that failed, with the end of its log.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let provide = move || {
            let binaries = Binaries::provide(options.size.components(), &options.progress);
            binaries.map(|binaries| (binaries, options))
        };
        let (binaries, mut options) = tokio::task::spawn_blocking(provide)
            .await
            .map_err(|_| Error::Shutdown)??;
        for _ in 1..ATTEMPTS {
            match Self::launch(binaries.clone(), options).await {
                Err((error, again)) if error.is_port_taken() => options = again,
                other => return other.map_err(|(error, _)| error),
            }
        }
        Self::launch(binaries, options).await.map_err(|(error, _)| error)
    }

    /// One attempt; gives the options back when it fails.
    async fn launch(binaries: Binaries, options: Options) -> Result<Self, Failure> {
        let control_plane = Self::prepare(binaries, options).await?;
        match control_plane.start_all().await {
            Ok(()) => Ok(control_plane),
            Err(error) => Err((error, control_plane.end())),
        }
    }

    async fn prepare(binaries: Binaries, options: Options) -> Result<Self, Failure> {
        let ports = match ports::choose() {
            Ok(ports) => ports,
            Err(error) => return Err((Error::Ports(error), options)),
        };
        match instance::prepare(&options, ports).await {
            Ok((layout, config, cleaner)) => {
                let running = Mutex::default();
                Ok(Self {
                    running,
                    binaries,
                    layout,
                    ports,
                    options,
                    config,
                    _cleaner: cleaner,
                })
            }
            Err(error) => Err((error, options)),
        }
    }

    /// Ends everything, keeps the options for another attempt.
    fn end(mut self) -> Options {
        std::mem::take(&mut self.options)
    }

    async fn start_all(&self) -> Result<(), Error> {
        self.start_component(Component::Etcd).await?;
        self.start_component(Component::ApiServer).await?;
        if self.options.size == Size::ApiOnly {
            return Ok(());
        }
        let rest = [
            Component::ControllerManager,
            Component::Scheduler,
            Component::Kwok,
        ];
        for component in rest {
            self.spawn(component)?;
        }
        let client = self.client()?;
        bootstrap::create(&client, &self.options).await?;
        for component in rest {
            self.await_ready(component).await?;
        }
        bootstrap::ready(&client, &self.options).await
    }

    /// The administrator's kubeconfig file (`system:masters`).
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig("admin")
    }

    /// The administrator's client configuration. It does not retry: what the API server says is what a test
    /// sees. (`default_retry` turns kube's retries of 429, 503 and 504 on.)
    #[must_use]
    pub fn client_config(&self) -> kube::Config {
        self.config.clone()
    }

    /// A fresh client of the administrator, for the runtime that calls.
    ///
    /// # Errors
    /// [`Error::Client`], which no known state leads to.
    pub fn client(&self) -> Result<Client, Error> {
        Client::try_from(self.client_config()).map_err(|error| Error::Client(Box::new(error)))
    }

    /// A `kubectl` command that talks to this control plane, whatever the environment says.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new("kubectl");
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// The API server's audit log: one JSON object a line for each answered call, reads and writes, with
    /// `verb`, `userAgent`, `user`, `objectRef` and `responseStatus`, without bodies.
    #[must_use]
    pub fn audit_log(&self) -> &Path {
        &self.layout.audit_log
    }

    /// The log file of a component.
    #[must_use]
    pub fn log(&self, component: Component) -> PathBuf {
        self.layout.log(component)
    }

    /// A client of etcd's JSON API.
    pub(crate) fn etcd(&self) -> Result<Client, Error> {
        let mut config = self.client_config();
        let url = arguments::url(self.ports.etcd);
        config.cluster_url = url.parse().map_err(|_| Error::NotRunning(Component::Etcd))?;
        Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))
    }

    /// The directory of this control plane, which is removed at its end.
    pub(crate) fn directory(&self) -> &Path {
        &self.layout.directory
    }

    /// The logs of the containers of a namespace that run as processes, one file for each life of a process.
    #[must_use]
    pub fn pod_logs(&self, namespace: &str) -> Vec<PathBuf> {
        logs::of(&self.pod_log_directory(), namespace)
    }

    /// The directory of all of them.
    pub(crate) fn pod_log_directory(&self) -> PathBuf {
        self.layout.logs.join("pods")
    }

    /// The process id of a component, or `None` when it does not run.
    #[must_use]
    pub fn pid(&self, component: Component) -> Option<i32> {
        self.running().get(&component).map(Leash::pid)
    }

    /// Starts a component that was stopped, on the same port, and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Running`] if it runs; else what kept it from being ready.
    pub async fn start_component(&self, component: Component) -> Result<(), Error> {
        self.spawn(component)?;
        self.await_ready(component).await
    }

    /// Stops a component (SIGTERM, after ten seconds SIGKILL) and waits for its end. etcd is killed immediately: it
    /// would wait for the API server to end its watches, and loses nothing by it.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it does not run.
    pub async fn stop(&self, component: Component) -> Result<(), Error> {
        if component == Component::Etcd {
            return self.kill(component).await;
        }
        let mut leash = self
            .running()
            .remove(&component)
            .ok_or(Error::NotRunning(component))?;
        let failed = |source| Error::Process { component, source };
        // A process that has just ended by itself cannot be signalled, and need not be.
        let _ = leash.terminate().and_then(|()| leash.resume());
        if let Ok(ended) = tokio::time::timeout(STOP_GRACE, leash.ended()).await {
            return ended.map(drop).map_err(failed);
        }
        leash.release();
        leash.ended().await.map(drop).map_err(failed)
    }

    /// Kills a component (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it does not run.
    pub async fn kill(&self, component: Component) -> Result<(), Error> {
        let mut leash = self
            .running()
            .remove(&component)
            .ok_or(Error::NotRunning(component))?;
        leash.release();
        leash
            .ended()
            .await
            .map(drop)
            .map_err(|source| Error::Process { component, source })
    }

    /// Stops a component and starts it again, on the same port; waits until it is ready.
    ///
    /// # Errors
    /// As of [`stop`](Self::stop) and [`start_component`](Self::start_component).
    pub async fn restart(&self, component: Component) -> Result<(), Error> {
        self.stop(component).await?;
        self.start_component(component).await
    }

    /// Freezes a component (SIGSTOP): its connections stay open and nothing is answered.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it does not run.
    pub fn pause(&self, component: Component) -> Result<(), Error> {
        self.signal(component, Leash::pause)
    }

    /// Lets a frozen component go on (SIGCONT) and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it does not run; else what kept it from being ready.
    pub async fn resume(&self, component: Component) -> Result<(), Error> {
        self.signal(component, Leash::resume)?;
        self.await_ready(component).await
    }

    fn signal(
        &self,
        component: Component,
        send: impl Fn(&Leash) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let running = self.running();
        let leash = running.get(&component).ok_or(Error::NotRunning(component))?;
        send(leash).map_err(|source| Error::Process { component, source })
    }

    fn spawn(&self, component: Component) -> Result<(), Error> {
        let mut running = self.running();
        if running.contains_key(&component) {
            return Err(Error::Running(component));
        }
        let (program, _) = self.binaries.get(component).ok_or(Error::NotRunning(component))?;
        let args: Vec<OsString> = arguments::of(
            component,
            self.binaries.kubernetes_minor(),
            &self.layout,
            self.ports,
            &self.options,
        );
        let plan = Plan {
            program,
            args: &args,
            env: &[],
            bare: false,
            user: None,
            directory: None,
            log: &self.layout.log(component),
            pid_file: &self.layout.pid_file(component),
            // The instance is thrown away: nothing is lost by a kill at the end.
            grace: Duration::ZERO,
        };
        let leash = Leash::start(&plan).map_err(|source| Error::Process { component, source })?;
        running.insert(component, leash);
        Ok(())
    }

    async fn await_ready(&self, component: Component) -> Result<(), Error> {
        let deadline = Deadline::after(self.options.ready_timeout);
        loop {
            let last = match probe::check(component, self.ports, &self.config).await {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            if let Some(status) = self.ended(component)? {
                let log = self.log_tail(component);
                self.running().remove(&component);
                return Err(Error::Ended {
                    component,
                    status,
                    log,
                });
            }
            if deadline.passed() {
                let log = self.log_tail(component);
                return Err(Error::NotReady {
                    component,
                    waited: deadline.elapsed(),
                    last,
                    log,
                });
            }
            tokio::time::sleep(probe::INTERVAL).await;
        }
    }

    fn ended(&self, component: Component) -> Result<Option<String>, Error> {
        let mut running = self.running();
        let leash = running.get_mut(&component).ok_or(Error::NotRunning(component))?;
        let status = leash
            .exited()
            .map_err(|source| Error::Process { component, source })?;
        Ok(status.map(|status| status.to_string()))
    }

    fn log_tail(&self, component: Component) -> String {
        let text = fs::read(self.log(component)).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&text), QUOTED_LINES)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Component, Leash>> {
        // A test that panics must not take the control plane from the others.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let mut running = self.running();
        // All are let go before the first one is waited for.
        running.values_mut().for_each(Leash::release);
        running.clear();
    }
}

/// The administrator's client configuration.
pub(crate) async fn admin_config(kubeconfig: &str) -> Result<kube::Config, Error> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig)?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(config)
}
