//! The page with the results. Everything outside of the markers is written manually, and kept.

use jiff::Timestamp;

use clap::ValueEnum;

use crate::cli::{Flags, Scenario};
use crate::error::{Error, Result, io};
use crate::limit::Limit;
use crate::machine::Machine;
use crate::neighbours::Neighbours;

/// Where results go.
pub struct Page<'a> {
    flags: &'a Flags,
    provenance: String,
    neighbours: Neighbours,
}

impl<'a> Page<'a> {
    /// The page, with what is written above each result.
    pub fn new(flags: &'a Flags, machine: &Machine, limit: &Limit) -> Self {
        let date = Timestamp::now().strftime("%Y-%m-%d");
        let secrets = flags.secrets.to_possible_value();
        let secrets = secrets
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default();
        let mut provenance = format!(
            "{date}: {}. {} children a server, Secrets: {secrets}, bare client with {} servers at the same time.",
            machine.line(),
            limit.sample.children(),
            limit.concurrency,
        );
        if !flags.operator_flag.is_empty() {
            provenance = format!(
                "{provenance} Flags of the operator: `{}`.",
                flags.operator_flag.join(" ")
            );
        }
        Self {
            flags,
            provenance,
            neighbours: Neighbours::watch(),
        }
    }

    /// Prints a result, and replaces the earlier one in the page.
    pub fn put(&self, scenario: Scenario, result: &str) -> Result<()> {
        let name = scenario
            .to_possible_value()
            .map(|value| value.get_name().to_owned());
        let name = name.unwrap_or_default();
        let busy = 100.0 * self.neighbours.share();
        let busy = format!("Other programs used {busy:.0} % of the CPU time during this run.");
        let result = format!("{} {busy}\n\n{}\n", self.provenance, result.trim());
        println!("\n## {name}\n\n{result}");
        if self.flags.print {
            return Ok(());
        }
        let path = &self.flags.page;
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(io(shown.clone()))?;
        let changed = replaced(&text, &name, &result).ok_or_else(|| {
            Error::Failed(format!(
                "{shown} has no lines <!-- bench: {name} --> and <!-- bench end -->"
            ))
        })?;
        std::fs::write(path, changed).map_err(io(shown))
    }
}

/// The text with another result between the markers. `None` without markers.
fn replaced(text: &str, name: &str, result: &str) -> Option<String> {
    let begin = format!("<!-- bench: {name} -->\n");
    let (before, rest) = text.split_once(&begin)?;
    let end = rest.find("<!-- bench end -->")?;
    Some(format!("{before}{begin}{result}{}", &rest[end..]))
}
