//! The probes of a container.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures::future;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::client::Body;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

use super::api::client;

/// What the probes found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The startup probe succeeded, or there is none.
    Started,
    /// The readiness probe changed its mind.
    Ready(bool),
    /// The startup or the liveness probe has failed too often.
    Dead(String),
}

/// The probes of a running container. Dropping it ends them.
pub(super) struct Probes {
    verdicts: UnboundedReceiver<Verdict>,
    task: AbortHandle,
}

impl Probes {
    pub(super) fn start(container: &Container, address: Ipv4Addr) -> Self {
        let (sender, verdicts) = unbounded_channel();
        let probing = Probing {
            container: container.clone(),
            address,
            start: Instant::now(),
            verdicts: sender,
        };
        let task = tokio::spawn(probing.run()).abort_handle();
        Self { verdicts, task }
    }

    /// The next verdict. Waits forever once there can be none.
    pub(super) async fn next(&mut self) -> Verdict {
        match self.verdicts.recv().await {
            Some(verdict) => verdict,
            None => future::pending().await,
        }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Probing {
    container: Container,
    address: Ipv4Addr,
    start: Instant,
    verdicts: UnboundedSender<Verdict>,
}

impl Probing {
    async fn run(self) {
        if let Some(probe) = &self.container.startup_probe
            && let Some(reason) = self.startup(probe).await
        {
            self.say(Verdict::Dead(format!("startup probe failed: {reason}")));
            return;
        }
        self.say(Verdict::Started);
        future::join(self.liveness(), self.readiness()).await;
    }

    /// Receivers are gone only when the container is.
    fn say(&self, verdict: Verdict) {
        let _ = self.verdicts.send(verdict);
    }

    /// Waits for the first success; the reason if there is none.
    async fn startup(&self, probe: &Probe) -> Option<String> {
        let mut count = Count::new(probe, false);
        self.delay(probe).await;
        loop {
            let result = self.check(probe).await;
            match count.take(result.is_ok()) {
                Some(true) => return None,
                Some(false) => return result.err(),
                None => pause(probe).await,
            }
        }
    }

    async fn liveness(&self) {
        let Some(probe) = &self.container.liveness_probe else {
            return;
        };
        let mut count = Count::new(probe, true);
        self.delay(probe).await;
        loop {
            let result = self.check(probe).await;
            if count.take(result.is_ok()) == Some(false) {
                let reason = result.err().unwrap_or_default();
                self.say(Verdict::Dead(format!("liveness probe failed: {reason}")));
                return;
            }
            pause(probe).await;
        }
    }

    async fn readiness(&self) {
        let Some(probe) = &self.container.readiness_probe else {
            self.say(Verdict::Ready(true));
            return;
        };
        let mut count = Count::new(probe, false);
        self.delay(probe).await;
        loop {
            let result = self.check(probe).await;
            if let Some(ready) = count.take(result.is_ok()) {
                self.say(Verdict::Ready(ready));
            }
            pause(probe).await;
        }
    }

    /// The initial delay counts from the start of the container.
    async fn delay(&self, probe: &Probe) {
        let delay = seconds(probe.initial_delay_seconds, 0);
        tokio::time::sleep(delay.saturating_sub(self.start.elapsed())).await;
    }

    async fn check(&self, probe: &Probe) -> Result<(), String> {
        let limit = seconds(probe.timeout_seconds, 1);
        let answer = tokio::time::timeout(limit, self.ask(probe)).await;
        answer.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
    }

    async fn ask(&self, probe: &Probe) -> Result<(), String> {
        if let Some(get) = &probe.http_get {
            let host = get.host.clone().unwrap_or_else(|| self.address.to_string());
            return http_get(get, &host, self.port(&get.port)?).await;
        }
        if let Some(socket) = &probe.tcp_socket {
            let host = socket.host.clone().unwrap_or_else(|| self.address.to_string());
            let connection = TcpStream::connect((host, self.port(&socket.port)?)).await;
            return connection.map(drop).map_err(|error| error.to_string());
        }
        Err("the pod runner knows only httpGet and tcpSocket".to_owned())
    }

    fn port(&self, port: &IntOrString) -> Result<u16, String> {
        port_of(&self.container, port).ok_or_else(|| format!("the container has no port {port:?}"))
    }
}

/// A port by number or by name.
pub(super) fn port_of(container: &Container, port: &IntOrString) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports
                .find(|port| port.name.as_deref() == Some(name))
                .map(|port| port.container_port)
        }
    };
    number.and_then(|number| number.try_into().ok())
}

/// As the kubelet: certificates are not verified, and 200 to 399 is success.
async fn http_get(get: &HTTPGetAction, host: &str, port: u16) -> Result<(), String> {
    let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
    let path = get.path.as_deref().unwrap_or("/");
    let client = client(&format!("{scheme}://{host}:{port}"))?;
    let mut request = http::Request::get(path).header("User-Agent", "kube-probe/local-control-plane");
    for header in get.http_headers.iter().flatten() {
        request = request.header(&header.name, &header.value);
    }
    let request = request.body(Body::empty()).map_err(|error| error.to_string())?;
    let answer = client.send(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    Err(format!("HTTP probe failed with statuscode: {}", status.as_u16()))
}

async fn pause(probe: &Probe) {
    tokio::time::sleep(seconds(probe.period_seconds, 10)).await;
}

/// The API server fills in the defaults, but a test may hand a pod over that it has not seen.
fn seconds(value: Option<i32>, default: u64) -> Duration {
    let value = value.and_then(|value| u64::try_from(value).ok());
    Duration::from_secs(value.unwrap_or(default))
}

/// Counts successes and failures in a row against the thresholds. Pure.
struct Count {
    success: i32,
    failure: i32,
    state: bool,
    row: i32,
    last: Option<bool>,
}

impl Count {
    fn new(probe: &Probe, state: bool) -> Self {
        Self {
            success: probe.success_threshold.unwrap_or(1),
            failure: probe.failure_threshold.unwrap_or(3),
            state,
            row: 0,
            last: None,
        }
    }

    /// Takes a result. `Some` when it makes the state change, or has failed often enough.
    fn take(&mut self, ok: bool) -> Option<bool> {
        self.row = if self.last == Some(ok) { self.row + 1 } else { 1 };
        self.last = Some(ok);
        let threshold = if ok { self.success } else { self.failure };
        if self.row < threshold || (ok && self.state) {
            return None;
        }
        self.state = ok;
        Some(ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_count_results_in_a_row() {
        let probe = Probe {
            success_threshold: Some(2),
            failure_threshold: Some(3),
            ..Probe::default()
        };
        let mut count = Count::new(&probe, false);
        let results = [
            true, false, true, true, true, false, false, true, false, false, false,
        ];
        let verdicts = results.map(|ok| count.take(ok));
        let mut expected = [None; 11];
        expected[3] = Some(true);
        expected[10] = Some(false);
        assert_eq!(verdicts, expected);
    }
}
