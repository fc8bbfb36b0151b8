//! A process that cannot outlive its parent.
//!
//! A small shell holds the process as its child and reads a pipe whose other end this process owns. When
//! that end closes, by [`Leash::release`], by a drop, or because this process ended in whatever way (exit,
//! panic, `kill -9`), the shell stops its child. The shell is in a process group of its own, so a Ctrl-C in
//! the terminal reaches this process only, which then decides.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Arguments: grace period in tenths of a second, log file, file for the process id, program, its arguments.
/// A background command of a shell has SIGINT ignored; the components listen to SIGTERM.
const HOLD: &str = r#"
grace=$1 log=$2 pid_file=$3
shift 3
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
child=$!
echo "$child" >"$pid_file"
# Who reads the next line may be dead already. Then the watcher must still start.
trap '' PIPE
echo "$child"
exec >&-
(
    read -r _ <&3
    # A stopped process handles no signal before it is continued.
    kill -TERM "$child"
    kill -CONT "$child"
    while [ "$grace" -gt 0 ] && kill -0 "$child"; do
        sleep 0.1
        grace=$((grace - 1))
    done
    kill -KILL "$child"
) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$child"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"
"#;

/// A running process on its leash.
#[derive(Debug)]
pub(crate) struct Leash {
    shell: Child,
    /// The end of the pipe whose closing stops the process.
    line: Option<ChildStdin>,
    pid: Pid,
}

/// What to run.
pub(crate) struct Plan<'a> {
    pub program: &'a Path,
    pub args: &'a [OsString],
    pub env: &'a [(OsString, OsString)],
    /// Whether it gets `env` only, and nothing of this process' environment.
    pub bare: bool,
    /// The user and group that it runs as, by number; `None`: those of this process.
    pub user: Option<u32>,
    /// Where it runs; `None`: where this process runs.
    pub directory: Option<&'a Path>,
    /// Gets standard output and standard error.
    pub log: &'a Path,
    /// Gets the process id: [`Cleaner`] waits for these processes.
    pub pid_file: &'a Path,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl Leash {
    /// Starts the process. Returns as soon as it runs, which is not when it is ready.
    pub(crate) fn start(plan: &Plan<'_>) -> io::Result<Self> {
        let tenths = (plan.grace.as_millis() / 100).to_string();
        // By its path: a bare environment need not have a `PATH` that names it.
        let mut command = Command::new("/bin/sh");
        if plan.bare {
            command.env_clear();
        }
        if let Some(user) = plan.user {
            command.uid(user).gid(user);
        }
        if let Some(directory) = plan.directory {
            command.current_dir(directory);
        }
        let mut shell = command
            .args(["-c", HOLD, "leash", &tenths])
            .arg(plan.log)
            .arg(plan.pid_file)
            .arg(plan.program)
            .args(plan.args)
            .envs(plan.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let line = shell.stdin.take();
        let mut first = String::new();
        if let Some(stdout) = shell.stdout.take() {
            BufReader::new(stdout).read_line(&mut first)?;
        }
        let pid = first
            .trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the shell named no process id"))?;
        Ok(Self { shell, line, pid })
    }

    /// The process id of the process.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends SIGSTOP: the process keeps its connections and answers nothing.
    pub(crate) fn pause(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::STOP)?)
    }

    /// Sends SIGCONT.
    pub(crate) fn resume(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::CONT)?)
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::TERM)?)
    }

    /// Sends SIGINT.
    pub(crate) fn interrupt(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::INT)?)
    }

    /// Sends SIGKILL, which ends a stopped process too.
    pub(crate) fn kill(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::KILL)?)
    }

    /// Has the process stopped, without waiting for its end.
    pub(crate) fn release(&mut self) {
        self.line = None;
    }

    /// How the process ended, or `None` while it runs.
    pub(crate) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Waits for the end of the process, without blocking.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for the end of the process, blocking.
    pub(crate) fn join(&mut self) {
        self.release();
        let _ = self.shell.wait();
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.join();
    }
}

/// Arguments: instance directory. When the pipe closes, waits until every process named in `pids/` is gone,
/// then removes what the instance left on disk.
///
/// The controller manager's hostpath provisioner makes a directory below /`tmp/hostpath_pv` for every volume.
/// Their names are read back from etcd's files: that works after a `kill -9` too. `rmdir` removes only what
/// is empty, and nothing ever runs in these volumes.
const CLEAN_UP: &str = r#"
directory=$1
read -r _
patience=200
for file in "$directory"/pids/*; do
    pid=$(cat "$file")
    while [ "$patience" -gt 0 ] && kill -0 "$pid" 2>/dev/null; do
        sleep 0.1
        patience=$((patience - 1))
    done
done
grep -aohr '/tmp/hostpath_pv/[0-9a-f-]\{36\}' "$directory/etcd" | sort -u | while read -r volume; do
    rmdir "$volume"
done
rmdir /tmp/hostpath_pv
rm -rf -- "$directory"
"#;

/// Removes an instance directory once this process and its components are gone.
#[derive(Debug)]
pub(crate) struct Cleaner {
    shell: Child,
}

impl Cleaner {
    pub(crate) fn start(directory: &Path) -> io::Result<Self> {
        let shell = Command::new("sh")
            .args([
                OsStr::new("-c"),
                OsStr::new(CLEAN_UP),
                OsStr::new("cleaner"),
                directory.as_os_str(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }
}

impl Drop for Cleaner {
    /// Cleans up and waits for the end of it. The components must be stopped before.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use rustix::process::test_kill_process;

    use super::*;

    #[test]
    fn a_process_whose_owner_is_killed_before_it_reads_the_process_id_does_not_stay() {
        let directory = tempfile::tempdir().unwrap();
        let pid_file = directory.path().join("pid");
        let (reader, unread) = io::pipe().unwrap();
        drop(reader);
        let mut shell = Command::new("/bin/sh")
            .args(["-c", HOLD, "leash", "10", "/dev/null"])
            .arg(&pid_file)
            .args(["/bin/sleep", "1000"])
            .stdin(Stdio::null())
            .stdout(unread)
            .spawn()
            .unwrap();
        shell.wait().unwrap();
        let pid = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
        let (pid, began) = (Pid::from_raw(pid).unwrap(), Instant::now());
        while test_kill_process(pid).is_ok() {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "the process still runs"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
