//! What the demo says of the files on its real servers: the share that it made, and the commands that put a file and read it back.

use crate::runner::{PodRunner, SHARE};

/// Makes the share and gives the commands. What is not possible yet is an error.
pub(super) async fn commands(runner: &PodRunner, namespace: &str, name: &str) -> Result<Vec<String>, String> {
    let pod = format!("{name}-0");
    let made = runner.make_share(namespace, &pod).await;
    made.map_err(|error| format!("the share {SHARE} cannot be made: {error}"))?;
    let api = runner.api(namespace, &pod).ok_or("the server has no API")?;
    let port = api.port("nfs").await.map_err(|error| error.to_string())?;
    let port = port.ok_or("the server does not serve NFS yet")?;
    Ok(text(name, &format!("{}:{port}", runner.address(namespace, &pod))))
}

fn text(name: &str, address: &str) -> Vec<String> {
    let program = program();
    let file = format!("{address}{SHARE}/hello.txt");
    vec![
        String::new(),
        format!(
            "The demo made a user and the share {SHARE} on {name}, through its API. Put a file and read it back, over NFS:"
        ),
        format!("  echo hello | {program} nfs put {file}"),
        format!("  {program} nfs get {file}"),
        format!(
            "On a cluster, an administrator makes the share (docs/first-login.md), and this prints how to mount it:"
        ),
        format!(
            "  kubectl dittofs mount {name} --share {}",
            SHARE.trim_start_matches('/')
        ),
    ]
}

/// This executable, as it can be typed here.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| "local-control-plane".into());
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok().map(std::path::Path::to_path_buf));
    short.unwrap_or(path).display().to_string()
}
