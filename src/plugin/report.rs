//! `report`: an archive for a bug report.
//!
//! | file | content |
//! |---|---|
//! | `report/collect.rs` | reads the content from the API server |
//! | `report/secrets.rs` | Secrets without their values, and the values to redact elsewhere |
//! | `report/logs.rs` | logs of the operator and of the server |
//! | `report/archive.rs` | the tar, gzipped |
//!
//! Everything in the archive passes `redact::Redactor` (src/domain/redact.rs). The archive accepts nothing else.

mod archive;
mod collect;
mod logs;
mod secrets;

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use self::archive::Archive;
use super::cluster::Cluster;
use super::{Error, paint, status};
use crate::domain::settings::Settings;
use crate::plugin::args::{ClusterArgs, ReportArgs};
use crate::reconcile::observe::observe;

/// Writes the archive.
pub(super) async fn run(target: &ClusterArgs, args: &ReportArgs) -> Result<u8, Error> {
    let cluster = Cluster::find(target).await?;
    let stored = cluster.server(&args.name).await?;
    let namespaces = [cluster.namespace.clone()];
    let look = cluster.look(&namespaces, Settings::default()).await?;
    let observed = observe(&look.context, Arc::clone(&stored.server)).await;
    let read = secrets::read(&cluster, &stored, &observed).await;
    let mut archive = Archive::new(&args.name, secrets::redactor(&read.found, &observed.server));
    archive.missed.extend(read.missed);

    let view = status::view(&look.context, &stored, &observed, usize::MAX).await;
    let text = anstream::adapter::strip_str(&status::render(&view, Timestamp::now())).to_string();
    archive.text("status.txt", &text);
    collect::server(&stored, &mut archive);
    collect::children(&cluster, &args.name, &mut archive).await;
    secrets::add(&read.found, &mut archive);
    collect::events(&cluster, &view, &mut archive).await;
    collect::versions(&cluster, &mut archive).await;
    logs::of_server(&cluster, &observed, args.log_lines, &mut archive).await;
    logs::of_operator(&cluster, args, &mut archive).await;

    let file = args
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("dittofs-report-{}.tar.gz", args.name)));
    let missed = archive.missed.len();
    let bytes = archive.finish()?;
    write(&file, &bytes)?;
    let mut summary = format!(
        "{} written ({} KiB).\n",
        file.display(),
        bytes.len().div_ceil(1024)
    );
    if missed > 0 {
        let _ = writeln!(
            summary,
            "Parts that could not be read: {missed}. README.txt in the archive lists them."
        );
    }
    summary.push_str("It contains no value of a Secret that could be read. Logs may contain other secrets: check them before you send it.\n");
    paint::write(summary.as_bytes())?;
    Ok(0)
}

/// Readable only by the user. An existing file is not overwritten.
fn write(file: &PathBuf, bytes: &[u8]) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |error| Error::Write {
        file: file.clone(),
        error,
    };
    let mut open = OpenOptions::new();
    open.write(true).create_new(true).mode(0o600);
    let mut opened = open.open(file).map_err(failed)?;
    opened.write_all(bytes).map_err(failed)
}
