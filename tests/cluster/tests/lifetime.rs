//! No process and no file is left, however the owner ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process};

use crate::support::eventually;

/// A process that holds a control plane of the full size, in a process group of its own.
struct Owner {
    process: Child,
    directory: PathBuf,
    components: Vec<Pid>,
}

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: real}
spec:
  containers:
    - {name: c, image: process.local/shell, command: [/bin/sleep, '1000']}
";

impl Owner {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_local-control-plane"))
            .args(["start", "--size", "full", "--pod-runner"])
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let kubeconfig = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("export KUBECONFIG=").map(PathBuf::from))
            .unwrap();
        let directory = kubeconfig.parent().unwrap().to_owned();
        let components = pids(&directory);
        assert_eq!(components.len(), 5);
        assert!(
            components.iter().all(|pid| test_kill_process(*pid).is_ok()),
            "all components run"
        );
        Self {
            process,
            directory,
            components,
        }
    }

    /// Has a pod run as a process, which is one of its processes from then on.
    async fn run_pod(&mut self) {
        let manifest = self.directory.join("pod.yaml");
        fs::write(&manifest, POD).unwrap();
        let applied = Command::new("kubectl")
            .env("KUBECONFIG", self.directory.join("admin.kubeconfig"))
            .args(["create", "-f"])
            .arg(&manifest)
            .status();
        assert!(applied.unwrap().success());
        let pids = eventually("the pod has a process", async || {
            Some(pids(&self.directory)).filter(|pids| pids.len() > self.components.len())
        });
        self.components = pids.await;
    }

    fn group(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap()
    }

    async fn assert_nothing_stays(mut self) {
        self.process.wait().unwrap();
        eventually("every component process is gone", async || {
            self.components
                .iter()
                .all(|pid| test_kill_process(*pid).is_err())
                .then_some(())
        })
        .await;
        eventually("the instance directory is gone", async || {
            (!self.directory.exists()).then_some(())
        })
        .await;
    }
}

fn pids(directory: &Path) -> Vec<Pid> {
    fs::read_dir(directory.join("pids"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .map(|text| Pid::from_raw(text.trim().parse().unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_killed_owner_leaves_no_process_and_no_file_behind() {
    let mut owner = Owner::start();
    owner.run_pod().await;
    owner.process.kill().unwrap();
    owner.assert_nothing_stays().await;
}

#[tokio::test]
async fn ctrl_c_in_the_terminal_leaves_no_process_and_no_file_behind() {
    let owner = Owner::start();
    // A terminal sends it to the whole foreground group.
    kill_process_group(owner.group(), Signal::INT).unwrap();
    owner.assert_nothing_stays().await;
}
