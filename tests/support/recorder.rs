//! Keeps the audit logs of this run, if it runs all behaviours.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use local_control_plane::Options;

use super::record;

/// The same options, with an audit log that is kept.
pub fn recorded(options: Options) -> Options {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let audit_log = fresh_folder().map(|folder| folder.join(format!("{number}.log")));
    Options { audit_log, ..options }
}

/// The folder, emptied once. `None` for a partial run, which shows nothing about the other tests.
fn fresh_folder() -> Option<PathBuf> {
    static FRESH: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        record::is_whole(std::env::args().skip(1)).then(|| {
            let folder = record::folder();
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).expect("a folder");
            folder
        })
    });
    FRESH.clone()
}
