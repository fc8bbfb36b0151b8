//! One container as a process: start, probes, end, restart.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, ContainerState, ContainerStateTerminated, ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::environment::{Environment, Variables, expand};
use super::probes::{Probes, Verdict};
use super::rewrite::Rewrite;
use super::shared::Shared;
use super::sources::{Sources, Trouble};
use super::{adapters, last_words, status};
use crate::leash::{Leash, Plan};

/// Delay before a container that could not be started is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// Kubernetes' default grace period.
const GRACE: Duration = Duration::from_secs(30);
/// What SIGTERM gets at least, also when the hook before it has used up the grace period.
const LEAST_GRACE: Duration = Duration::from_secs(2);
/// Where a container looks for programs, unless it says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The statuses of the containers of a pod, by name.
pub(super) type Statuses = BTreeMap<String, ContainerStatus>;

/// What a container needs from its pod.
pub(super) struct Process {
    pub shared: Arc<Shared>,
    pub pod: Arc<Pod>,
    pub container: Container,
    pub rewrite: Rewrite,
    pub address: Ipv4Addr,
    pub sources: Sources,
    pub statuses: watch::Sender<Statuses>,
    /// The grace period, once the pod is to end.
    pub stop: watch::Receiver<Option<Duration>>,
    pub restarts: i32,
}

impl Process {
    /// Runs the container until the pod is to end, or its restart policy says so.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let start = Instant::now();
            let Some(end) = self.once().await else { return };
            let code = end.exit_code;
            self.report(|status| {
                status.state = Some(terminated(end));
                status.ready = false;
                status.started = Some(false);
            });
            if self.is_stopping() || !self.restarts_after(code) {
                return;
            }
            let delay = backoff.after(start.elapsed());
            if !delay.is_zero() {
                self.report_waiting("CrashLoopBackOff", Some(self.back_off_message(delay)));
                if self.stops_within(delay).await {
                    return;
                }
            }
            self.restarts += 1;
        }
    }

    fn back_off_message(&self, delay: Duration) -> String {
        let (name, pod) = (&self.container.name, self.pod.name_any());
        let namespace = self.pod.namespace().unwrap_or_default();
        format!(
            "back-off {}s restarting failed container={name} pod={pod}_{namespace}",
            delay.as_secs()
        )
    }

    /// One life of the process; `None` if the pod is to end before it starts.
    async fn once(&mut self) -> Option<ContainerStateTerminated> {
        let (mut leash, variables) = loop {
            match self.start().await {
                Ok(started) => break started,
                Err(trouble) => {
                    let reason = if matches!(trouble, Trouble::Io(_)) {
                        "RunContainerError"
                    } else {
                        "CreateContainerConfigError"
                    };
                    self.report_waiting(reason, Some(trouble.to_string()));
                }
            }
            if self.stops_within(RETRY).await {
                return None;
            }
        };
        let started_at = now();
        self.shared
            .set_pid(&self.pod, &self.container.name, Some(leash.pid()));
        self.report(|status| {
            status.state = Some(status::running(started_at.clone()));
            status.container_id = Some(format!("process://{}", leash.pid()));
        });
        self.supervise(&mut leash, &variables).await;
        let ended = leash.ended().await;
        self.shared.set_pid(&self.pod, &self.container.name, None);
        let _ = std::fs::remove_file(self.pid_file());
        // The shell that holds the process has its exit code; without one it was killed itself.
        let code = ended.ok().and_then(|status| status.code()).unwrap_or(137);
        Some(ContainerStateTerminated {
            exit_code: code,
            reason: Some(if code == 0 { "Completed" } else { "Error" }.to_owned()),
            message: last_words::of(&self.container, code, &self.log(), &self.message_file()),
            started_at: Some(started_at),
            finished_at: Some(now()),
            container_id: Some(format!("process://{}", leash.pid())),
            ..ContainerStateTerminated::default()
        })
    }

    async fn start(&self) -> Result<(Leash, Variables), Trouble> {
        let rewrite = self.rewrite.with(
            self.container
                .termination_message_path
                .as_deref()
                .unwrap_or_default(),
            &self.message_file(),
        );
        let environment = Environment {
            pod: &self.pod,
            address: self.address,
            sources: &self.sources,
            rewrite: &rewrite,
        };
        let variables = environment.of(&self.container).await?;
        let text = |text: &String| expand(&rewrite.text(text), &variables);
        let mut line = self.container.command.iter().flatten();
        let Some(command) = line.next() else {
            return Err(Trouble::Unsupported("a container without a command".to_owned()));
        };
        let program = self.shared.options.programs.get(command).cloned();
        let program = program.unwrap_or_else(|| PathBuf::from(text(command)));
        let args: Vec<_> = line
            .chain(self.container.args.iter().flatten())
            .map(text)
            .map(OsString::from)
            .collect();
        let directory = self.directory();
        let working = self
            .container
            .working_dir
            .as_ref()
            .map_or_else(|| directory.clone(), |path| text(path).into());
        let _ = std::fs::remove_file(self.message_file());
        let leash = Leash::start(&Plan {
            program: &program,
            args: &args,
            env: &self.variables_of_process(&variables),
            bare: true,
            user: None,
            directory: Some(&working),
            log: &self.log(),
            pid_file: &self.pid_file(),
            grace: Duration::ZERO,
        })?;
        Ok((leash, variables))
    }

    /// A container runtime's own variables, then those of the container.
    fn variables_of_process(&self, variables: &Variables) -> Vec<(OsString, OsString)> {
        let own = [
            ("PATH", PATH.into()),
            ("HOME", self.directory().into()),
            ("TMPDIR", self.directory().join("tmp").into()),
            ("HOSTNAME", self.pod.name_any().into()),
        ];
        own.into_iter()
            .map(|(name, value): (_, OsString)| (OsString::from(name), value))
            .chain(variables.iter().map(|(name, value)| (name.into(), value.into())))
            .collect()
    }

    /// Follows the probes until the process has ended, or has to.
    async fn supervise(&mut self, leash: &mut Leash, variables: &Variables) {
        let mut probes = Probes::start(&self.container, self.address);
        let mut tasks = JoinSet::new();
        loop {
            let verdict = tokio::select! {
                _ = leash.ended() => return,
                grace = stopped(&mut self.stop) => return self.end(leash, grace).await,
                verdict = probes.next() => verdict,
            };
            match verdict {
                Verdict::Started => {
                    self.report(|status| status.started = Some(true));
                    if let Some(api) = adapters::api_of(&self.container, self.address, variables) {
                        self.shared.set_api(&self.pod, &api);
                        if !self.shared.options.keep_ports {
                            tasks.spawn(adapters::settle(api));
                        }
                    }
                }
                Verdict::Ready(ready) => self.report(|status| status.ready = ready),
                Verdict::Dead(_) => return self.end(leash, self.grace()).await,
            }
        }
    }

    fn grace(&self) -> Duration {
        let grace = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.termination_grace_period_seconds);
        grace
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(GRACE, Duration::from_secs)
    }

    /// The hook before the end, SIGTERM, the rest of the grace period, SIGKILL.
    async fn end(&mut self, leash: &mut Leash, grace: Duration) {
        let start = Instant::now();
        let hook = self
            .container
            .lifecycle
            .as_ref()
            .and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        if let Some(sleep) = hook.and_then(|hook| hook.sleep.as_ref()) {
            let sleep = Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or_default());
            let _ = tokio::time::timeout(sleep.min(grace), leash.ended()).await;
        }
        // A process that has just ended cannot be signalled, and need not be.
        let _ = leash.terminate();
        let rest = grace.saturating_sub(start.elapsed()).max(LEAST_GRACE);
        if tokio::time::timeout(rest, leash.ended()).await.is_err() {
            let _ = leash.kill();
        }
    }

    fn restarts_after(&self, code: i32) -> bool {
        match self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.restart_policy.as_deref())
        {
            Some("Never") => false,
            Some("OnFailure") => code != 0,
            _ => true,
        }
    }

    fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    async fn stops_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, stopped(&mut self.stop)).await.is_ok()
    }

    fn report_waiting(&self, reason: &str, message: Option<String>) {
        self.report(|status| {
            status.state = Some(status::waiting(reason, message));
            status.ready = false;
            status.started = Some(false);
        });
    }

    fn report(&self, change: impl FnOnce(&mut ContainerStatus)) {
        self.statuses.send_modify(|statuses| {
            let status = statuses.entry(self.container.name.clone()).or_default();
            let before = status.state.clone();
            change(status);
            // What a new process replaces is the last state.
            let ended =
                before.filter(|before| before.terminated.is_some() && Some(before) != status.state.as_ref());
            status.last_state = ended.or_else(|| status.last_state.take());
            status.restart_count = self.restarts;
        });
    }

    fn directory(&self) -> PathBuf {
        self.shared.home.pod(&self.pod)
    }

    fn message_file(&self) -> PathBuf {
        self.directory().join(format!("{}.message", self.container.name))
    }

    fn pid_file(&self) -> PathBuf {
        let uid = self.pod.uid().unwrap_or_default();
        self.shared
            .pids
            .join(format!("pod-{uid}-{}", self.container.name))
    }

    /// A file for each life, as the kubelet keeps them.
    fn log(&self) -> PathBuf {
        self.shared.log(&self.pod, &self.container.name, self.restarts)
    }
}

/// Waits until the pod is to end; gives the grace period. A pod task that is gone leaves nothing to run for.
async fn stopped(stop: &mut watch::Receiver<Option<Duration>>) -> Duration {
    let grace = stop.wait_for(Option::is_some).await;
    grace.ok().and_then(|grace| *grace).unwrap_or_default()
}

fn terminated(end: ContainerStateTerminated) -> ContainerState {
    ContainerState {
        terminated: Some(end),
        ..ContainerState::default()
    }
}

fn now() -> Time {
    Time(Timestamp::now())
}
