//! Progress for people: one line that is rewritten on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a log (not a terminal) stays silent during a long step.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Where progress is shown.
#[derive(Debug)]
pub struct Progress {
    target: Target,
    last: Mutex<Option<Instant>>,
}

#[derive(Debug)]
enum Target {
    Silent,
    Lines,
    Terminal,
}

impl Progress {
    /// Progress on standard error.
    #[must_use]
    pub fn stderr() -> Self {
        let target = if std::io::stderr().is_terminal() {
            Target::Terminal
        } else {
            Target::Lines
        };
        Self {
            target,
            last: Mutex::new(None),
        }
    }

    /// No output at all.
    #[must_use]
    pub const fn silent() -> Self {
        Self {
            target: Target::Silent,
            last: Mutex::new(None),
        }
    }

    /// Says something once, on a line of its own.
    pub fn say(&self, message: &str) {
        match self.target {
            Target::Silent => {}
            Target::Lines => emit(&format!("control plane: {message}\n")),
            Target::Terminal => emit(&format!("\r\x1b[Kcontrol plane: {message}\n")),
        }
        if let Ok(mut last) = self.last.lock() {
            *last = Some(Instant::now());
        }
    }

    /// Says that a long step still runs. Cheap to call often: a log gets a line every 15 seconds.
    pub fn tick(&self, message: &str) {
        match self.target {
            Target::Silent => {}
            Target::Terminal => emit(&format!("\r\x1b[Kcontrol plane: {message}")),
            Target::Lines => {
                let due = self
                    .last
                    .lock()
                    .is_ok_and(|last| last.is_none_or(|instant| instant.elapsed() >= HEARTBEAT));
                if due {
                    self.say(message);
                }
            }
        }
    }
}

/// A closed standard error is not a failure.
fn emit(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}
