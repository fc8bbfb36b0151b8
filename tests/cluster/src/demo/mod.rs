//! What `make run` shows: a control plane, the operator under it, a live table of DittoServers.

mod diagnosis;
mod files;
mod operator;
mod real;
mod row;
mod screen;

use std::path::PathBuf;
use std::time::Duration;

use futures::stream::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Config};

use crate::{ControlPlane, Options, apply, percona};
use operator::Operator;
use real::Real;
use row::Row;
use screen::Screen;

/// How often the operator process is checked, and ages on a terminal are updated.
const TICK: Duration = Duration::from_millis(500);

/// What to show.
#[derive(Debug)]
pub struct Demo {
    /// Use the cluster of the environment's `KUBECONFIG` instead of starting a control plane. The Percona
    /// simulator does not run then: it would compete with a real operator.
    pub use_existing: bool,
    /// Files and directories to apply, in this order.
    pub apply: Vec<PathBuf>,
    /// Names of DittoServers that run a real server. All others, and all of an existing cluster, are left as they are.
    pub real: Vec<String>,
    /// The operator's executable; `None` if it runs already.
    pub operator: Option<PathBuf>,
    /// Its arguments.
    pub operator_args: Vec<String>,
    /// Its log; `None` for a file that is removed at the end of the demo.
    pub operator_log: Option<PathBuf>,
    /// How long a simulated database takes to start.
    pub database_delay: Duration,
    /// End with success once every DittoServer that should be Ready is, with an error after this time.
    pub until_ready: Option<Duration>,
    /// How to start the control plane.
    pub options: Options,
}

/// Why the demo ended badly.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control plane did not start.
    #[error(transparent)]
    ControlPlane(#[from] crate::Error),
    /// The simulator did not start.
    #[error(transparent)]
    Simulator(#[from] percona::Error),
    /// An object took the simulator, and would take Percona's operator, down.
    #[error(transparent)]
    Violation(#[from] percona::Violation),
    /// The pod runner did not start.
    #[error(transparent)]
    Runner(#[from] crate::runner::Error),
    /// A manifest could not be applied.
    #[error(transparent)]
    Apply(#[from] apply::Error),
    /// No usable kubeconfig, with `use_existing`.
    #[error("cannot use the existing cluster: {0}; is KUBECONFIG set?")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// No client.
    #[error("cannot make a client: {0}")]
    Client(#[from] Box<kube::Error>),
    /// The operator cannot be started.
    #[error("cannot start the operator {path}: {source}", path = path.display())]
    Operator {
        /// Its executable.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The operator ended by itself.
    #[error("the operator ended by itself ({status}); the end of its log:\n{log}")]
    OperatorEnded {
        /// How it ended.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// Not everything was Ready in time.
    #[error("not Ready after {waited:?}:\n{diagnosis}")]
    NotReady {
        /// The time that was given.
        waited: Duration,
        /// What is known about what is not Ready.
        diagnosis: String,
    },
}

/// The cluster in use; dropping it ends what was started.
struct Cluster {
    client: Client,
    kubeconfig: Option<PathBuf>,
    simulator: Option<percona::PerconaSimulator>,
    /// It uses the directory of the control plane, so it ends first.
    real: Real,
    control_plane: Option<ControlPlane>,
}

/// Runs the demo. It ends when everything is Ready (if asked to), at an error, or when the future is dropped;
/// all of them leave no process behind.
///
/// # Errors
/// See [`Error`].
pub async fn run(demo: Demo) -> Result<(), Error> {
    let Demo {
        apply: manifests,
        operator,
        operator_args,
        operator_log,
        until_ready,
        ..
    } = &demo;
    let (manifests, operator, mut args) = (manifests.clone(), operator.clone(), operator_args.clone());
    let (log, until_ready) = (operator_log.clone(), *until_ready);
    let mut cluster = connect(demo).await?;
    let real = &mut cluster.real;
    let change = |object: &mut serde_json::Value| real.choose(object);
    for object in apply::apply_changed(&cluster.client, &manifests, change).await? {
        println!("applied {object}");
    }
    if let Some(control_plane) = &cluster.control_plane {
        for line in cluster.real.lines(&control_plane.pod_log_directory()) {
            println!("{line}");
        }
    }
    args.extend(cluster.real.operator_args());
    let operator = match operator {
        Some(path) => Some(Operator::start(
            &path,
            &args,
            cluster.kubeconfig.as_deref(),
            log.as_deref(),
        )?),
        None => None,
    };
    if let Some(operator) = &operator {
        println!("operator log: {}", operator.log().display());
    }
    show(&mut cluster, operator, until_ready).await
}

async fn connect(demo: Demo) -> Result<Cluster, Error> {
    if demo.use_existing {
        let config = Config::from_kubeconfig(&kube::config::KubeConfigOptions::default()).await?;
        println!("using the existing cluster {}", config.cluster_url);
        let client = Client::try_from(config).map_err(Box::new)?;
        return Ok(Cluster {
            client,
            kubeconfig: None,
            simulator: None,
            real: Real::prepare(Vec::new()).await?,
            control_plane: None,
        });
    }
    let mut real = Real::prepare(demo.real).await?;
    let control_plane = ControlPlane::start(demo.options).await?;
    real.start(&control_plane).await?;
    let options = percona::SimulatorOptions {
        startup_delay: demo.database_delay,
        ..Default::default()
    };
    let simulator = percona::PerconaSimulator::start(control_plane.client_config(), options).await?;
    let kubeconfig = control_plane.kubeconfig();
    println!("a control plane runs on this machine; in another terminal:");
    println!("  export KUBECONFIG={}", kubeconfig.display());
    println!("  kubectl get dittoservers,pods,perconapgclusters -A");
    println!(
        "  kubectl annotate perconapgcluster NAME {}=stuck",
        percona::BEHAVIOUR_ANNOTATION
    );
    Ok(Cluster {
        client: control_plane.client()?,
        kubeconfig: Some(kubeconfig),
        simulator: Some(simulator),
        real,
        control_plane: Some(control_plane),
    })
}

/// Shows the table on every change, and watches over the operator and the simulator.
async fn show(
    cluster: &mut Cluster,
    mut operator: Option<Operator>,
    until_ready: Option<Duration>,
) -> Result<(), Error> {
    let resource = ditto_servers();
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource);
    let writer = Writer::new(resource);
    let store = writer.as_reader();
    let changes = reflector::reflector(writer, watcher(api, watcher::Config::default()));
    let mut changes = changes.default_backoff().touched_objects().boxed();
    let mut screen = Screen::new();
    let mut tick = tokio::time::interval(TICK);
    let start = tokio::time::Instant::now();
    loop {
        tokio::select! {
            _ = changes.next() => {}
            _ = tick.tick() => {}
        }
        let rows = rows(&store);
        let notes = cluster.real.serve(&rows).await;
        screen.draw(&rows, &notes);
        if let Some(simulator) = &cluster.simulator {
            simulator.check()?;
        }
        if let Some(operator) = &mut operator {
            operator.check()?;
        }
        let Some(limit) = until_ready else { continue };
        if !rows.is_empty() && rows.iter().all(Row::is_settled) && cluster.real.is_served(&rows) {
            return Ok(());
        }
        if start.elapsed() >= limit {
            let diagnosis = diagnosis::of(&cluster.client, &rows, operator.as_ref()).await;
            return Err(Error::NotReady {
                waited: limit,
                diagnosis,
            });
        }
    }
}

fn rows(store: &Store<DynamicObject>) -> Vec<Row> {
    let mut rows: Vec<_> = store.state().iter().map(|server| Row::of(server)).collect();
    rows.sort_by(|one, other| one.key().cmp(&other.key()));
    rows
}

/// DittoServers, read generically: the operator's tests depend on this crate, so it cannot know their types.
fn ditto_servers() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(
        "dittofs.dittofs.com",
        "v1alpha1",
        "DittoServer",
    ))
}
