//! Completion through kubectl: kubectl runs `kubectl_complete-dittofs` with the words typed so far, of which the last is not
//! finished. It reads one candidate per line, and in the last line a directive for the shell.
//!
//! The words are matched with clap's tree of commands. The completion engine of `clap_complete` is unstable, takes the value of
//! an option for a command of that name, and needs two more crates.
//!
//! | file | content |
//! |---|---|
//! | `complete/typed.rs` | the position of the last word in the command line; pure |
//! | `complete/names.rs` | names from the cluster or the kubeconfig |

mod names;
mod typed;

use std::fmt::Write;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, CommandFactory, ValueHint};

use self::names::{Names, names};
use self::typed::{Position, Typed};
use super::paint;
use crate::plugin::args::Plugin;

/// cobra's `ShellCompDirectiveDefault`: the shell completes names of files.
const FILES: u8 = 0;
/// cobra's `ShellCompDirectiveNoFileComp`.
const NO_FILES: u8 = 4;

/// A word that can be completed, and its description.
type Candidate = (String, String);

/// Prints the candidates for the last word. Prints no errors, because the user is typing.
pub fn complete(words: &[String]) {
    let mut command = Plugin::command();
    command.build();
    let _ = paint::write(answer(&command, words, names).as_bytes());
}

/// `look_up` returns names from the cluster.
fn answer(command: &Command, words: &[String], look_up: impl Fn(Names, &Typed<'_>) -> Vec<String>) -> String {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", [].as_slice()),
    };
    let typed = Typed::of(command, before);
    let (start, candidates) = match typed.position(last) {
        Position::Command => (last, commands(typed.command)),
        Position::Option => (last, options(&typed, last)),
        Position::Value(arg, start) if is_file(arg) => return written(start, &[], FILES),
        Position::Value(arg, start) => (start, values(arg, &typed, look_up)),
        Position::Unknown => (last, Vec::new()),
    };
    written(start, &candidates, NO_FILES)
}

fn written(start: &str, candidates: &[Candidate], directive: u8) -> String {
    let mut text = String::new();
    for (word, meaning) in candidates {
        // A name with control characters cannot be typed, and would break the line.
        if word.starts_with(start) && !word.contains(char::is_control) {
            let _ = match meaning.lines().next() {
                Some(meaning) => writeln!(text, "{word}\t{meaning}"),
                None => writeln!(text, "{word}"),
            };
        }
    }
    let _ = writeln!(text, ":{directive}");
    text
}

fn meaning(help: Option<&StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default()
}

fn commands(command: &Command) -> Vec<Candidate> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown
        .map(|command| (command.get_name().to_owned(), meaning(command.get_about())))
        .collect()
}

/// The options that can still be used. Short options are included unless `--` was typed.
fn options(typed: &Typed<'_>, last: &str) -> Vec<Candidate> {
    let mut found = Vec::new();
    let is_open = |arg: &&Arg| {
        let repeats = matches!(arg.get_action(), ArgAction::Append | ArgAction::Count);
        !arg.is_positional() && !arg.is_hide_set() && (repeats || !typed.has(arg)) && !typed.excludes(arg)
    };
    for arg in typed.command.get_arguments().filter(is_open) {
        let meaning = meaning(arg.get_help());
        found.extend(arg.get_long().map(|long| (format!("--{long}"), meaning.clone())));
        let short = arg.get_short().filter(|_| !last.starts_with("--"));
        found.extend(short.map(|short| (format!("-{short}"), meaning.clone())));
    }
    found
}

fn is_file(arg: &Arg) -> bool {
    matches!(
        arg.get_value_hint(),
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath
    )
}

fn values(
    arg: &Arg,
    typed: &Typed<'_>,
    look_up: impl Fn(Names, &Typed<'_>) -> Vec<String>,
) -> Vec<Candidate> {
    if typed.excludes(arg) {
        return Vec::new();
    }
    if let Some(what) = Names::of(arg) {
        let names = look_up(what, typed).into_iter();
        return names.map(|name| (name, String::new())).collect();
    }
    let possible = arg.get_possible_values();
    let shown = possible.iter().filter(|value| !value.is_hide_set());
    shown
        .map(|value| (value.get_name().to_owned(), meaning(value.get_help())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The candidates without their descriptions, and the directive, for a line up to the cursor.
    fn completed(line: &str) -> String {
        let mut command = Plugin::command();
        command.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let look_up = |what: Names, typed: &Typed<'_>| {
            let namespace = typed.value("namespace").unwrap_or("default");
            match what {
                Names::Servers => vec![format!("server-of-{namespace}"), "x\u{1b}".into()],
                Names::Namespaces => vec!["team-a".into(), "team-b".into()],
                Names::Contexts => vec!["home".into()],
            }
        };
        let answer = answer(&command, &words, look_up);
        let words = answer.lines().map(|line| line.split('\t').next().unwrap_or(line));
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_position_in_a_line_has_its_candidates() {
        for (line, wanted) in [
            ("", "status mount report diff render completion help :4"),
            ("st", "status :4"),
            ("nonsense ", ":4"),
            ("-n status st", "status :4"),
            ("status ", "server-of-default :4"),
            ("status -n team-a ", "server-of-team-a :4"),
            ("-n=team-b status s", "server-of-team-b :4"),
            ("-nteam-b status s", "server-of-team-b :4"),
            ("--namespace=team-c diff ", "server-of-team-c :4"),
            ("status x", ":4"),
            ("status files ", ":4"),
            ("status -A ", ":4"),
            ("status -n ", "team-a team-b :4"),
            ("status --namespace team-a", "team-a :4"),
            ("report files --operator-namespace ", "team-a team-b :4"),
            ("--context ", "home :4"),
            ("status -o ", "text json yaml :4"),
            ("status --output=j", "json :4"),
            ("status -o=y", "yaml :4"),
            ("status --color ", "auto always never :4"),
            ("status --col", "--color :4"),
            ("status --color never --col", ":4"),
            ("diff -f ", ":0"),
            ("diff -f server.yaml ", ":4"),
            ("diff files --fi", ":4"),
            ("diff -f a --fi", "--file :4"),
            ("--kubeconfig ", ":0"),
            ("completion ", "bash elvish fish powershell zsh :4"),
            ("status -- ", "server-of-default :4"),
            ("status -- --col", ":4"),
            ("status --unheard-of ", "server-of-default :4"),
            ("status --unheard-of=", ":4"),
            ("help st", "status :4"),
            (
                "-n a --context b status -A --output json -",
                "--color --events --kubeconfig --help -h :4",
            ),
        ] {
            assert_eq!(completed(line), wanted, "{line:?}");
        }
    }

    #[test]
    fn a_dash_completes_to_all_remaining_options() {
        let words = completed("status -A -");
        for wanted in ["--output", "-o", "--events", "--context", "--help", "-h"] {
            assert!(words.split(' ').any(|word| word == wanted), "{wanted}: {words}");
        }
        for wrong in ["--all-namespaces", "-A", "--namespace", "-n"] {
            assert!(!words.split(' ').any(|word| word == wrong), "{wrong}: {words}");
        }
    }

    #[test]
    fn a_candidate_has_a_description_of_one_line() {
        let mut command = Plugin::command();
        command.build();
        let answer = answer(&command, &["sta".into()], |_, _| Vec::new());
        assert_eq!(
            answer,
            "status\tShow servers with their children, conditions and events\n:4\n"
        );
    }
}
