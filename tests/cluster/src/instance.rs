//! The directory of one control plane: certificates, kubeconfigs, configuration files.

use std::fs;
use std::path::Path;

use crate::arguments::{self, Layout, Ports};
use crate::control_plane::admin_config;
use crate::error::Error;
use crate::files::write_private;
use crate::kubeconfig;
use crate::leash::Cleaner;
use crate::options::Options;
use crate::pki::{self, Authority};

const AUDIT_POLICY: &str = include_str!("../manifests/audit-policy.yaml");
const STAGES: [&str; 3] = [
    include_str!("../manifests/stages/nodes.yaml"),
    include_str!("../manifests/stages/pods.yaml"),
    include_str!("../manifests/stages/claims.yaml"),
];
/// Cluster administrators. The controller manager is one because its controllers share its identity here.
const ADMINISTRATORS: Option<&str> = Some("system:masters");

/// Makes the directory and everything in it; it is removed by the cleaner.
pub(crate) async fn prepare(
    options: &Options,
    ports: Ports,
) -> Result<(Layout, kube::Config, Cleaner), Error> {
    let directory = tempfile::Builder::new()
        .prefix("local-control-plane-")
        .tempdir()
        .map_err(|source| Error::Write {
            path: std::env::temp_dir(),
            source,
        })?
        .keep();
    let cleaner = Cleaner::start(&directory).map_err(|source| Error::Write {
        path: directory.clone(),
        source,
    })?;
    let logs = options.log_dir.clone().unwrap_or_else(|| directory.join("logs"));
    let pki_dir = directory.join("pki");
    for path in [&logs, &pki_dir, &directory.join("pids")] {
        fs::create_dir_all(path).map_err(|source| Error::Write {
            path: path.clone(),
            source,
        })?;
    }
    let (authority, pki) = pki::issue(&pki_dir)?;
    let audit_log = options
        .audit_log
        .clone()
        .unwrap_or_else(|| logs.join("audit.log"));
    let layout = Layout {
        directory,
        logs,
        audit_log,
        pki,
    };
    let admin = write_configuration(&layout, &authority, &arguments::url(ports.api_server))?;
    Ok((layout, admin_config(&admin).await?, cleaner))
}

/// Writes the files that the programs read. Returns the administrator's kubeconfig.
fn write_configuration(layout: &Layout, authority: &Authority, server: &str) -> Result<String, Error> {
    let write_kubeconfig = |name: &str, user: &str, group: Option<&str>| {
        let identity = authority.client(user, group).map_err(pki::Error::from)?;
        let text = kubeconfig::render(server, &authority.pem(), user, &identity);
        write(&layout.kubeconfig(name), &text).map(|()| text)
    };
    write_kubeconfig(
        "controller-manager",
        "system:kube-controller-manager",
        ADMINISTRATORS,
    )?;
    write_kubeconfig("scheduler", "system:kube-scheduler", None)?;
    write_kubeconfig("kwok", "system:kwok", ADMINISTRATORS)?;
    let admin = write_kubeconfig("admin", "admin", ADMINISTRATORS)?;
    write(&layout.directory.join("audit-policy.yaml"), AUDIT_POLICY)?;
    write(&layout.directory.join("stages.yaml"), &STAGES.join("\n---\n"))?;
    let scheduler = arguments::scheduler_config(&layout.kubeconfig("scheduler"));
    write(&layout.directory.join("scheduler.yaml"), &scheduler.to_string())?;
    Ok(admin)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    write_private(path, text.as_bytes()).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}
