//! The plugin with a reader that closes the pipe (`| head`, `| true`).

use std::process::{Command, Stdio};

use super::{Folder, command};
use crate::support::{World, fixtures};

/// The exit status of a command whose output and errors are not read.
async fn unread(mut command: Command) -> Option<i32> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let status = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the command runs");
        drop(child.stdout.take());
        drop(child.stderr.take());
        child.wait().expect("the command ends")
    });
    status.await.expect("no panic").code()
}

#[tokio::test]
async fn a_closed_pipe_does_not_change_the_exit_status() {
    let world = World::without_operator("pipe").await;
    world.create(&fixtures::minimal("files")).await;
    let folder = Folder::new(&world, "pipe");
    let archive = folder.join("report.tar.gz");
    let archive = archive.to_str().expect("UTF-8");
    for (args, wanted) in [
        (vec!["status", "files"], 1),
        (vec!["diff", "files"], 1),
        (vec!["status", "nobody"], 3),
        (vec!["report", "files", "-o", archive], 0),
        (vec!["completion", "bash"], 0),
    ] {
        let mut command = command(&world.control_plane().kubeconfig());
        command.args(["-n", &world.namespace]).args(&args);
        assert_eq!(unread(command).await, Some(wanted), "{args:?}");
    }
    assert!(std::path::Path::new(archive).exists());
}
