//! Completion through kubectl's own: kubectl runs `kubectl_complete-dittofs` with the words typed so far, the last one
//! unfinished, and reads what may stand in its place, one candidate a line, and at the end what the shell is to do.
//!
//! The words go by clap's own tree of commands. `clap_complete` has an engine for this, which is unstable, takes the value of
//! an option for a command of that name, and brings two crates.
//!
//! | file | what is in it |
//! |---|---|
//! | `complete/typed.rs` | where in the command line the last word stands; pure |
//! | `complete/names.rs` | what only the cluster knows |

mod names;
mod typed;

use std::fmt::Write;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, CommandFactory, ValueHint};

use self::names::{Names, names};
use self::typed::{Place, Typed};
use super::paint;
use crate::plugin::args::Plugin;

/// cobra's `ShellCompDirectiveDefault`: the shell completes names of files.
const FILES: u8 = 0;
/// cobra's `ShellCompDirectiveNoFileComp`.
const NO_FILES: u8 = 4;

/// What may stand somewhere: a word, and what it means.
type Candidate = (String, String);

/// Prints what may stand in the place of the last word. Silent where it does not know: a person is typing.
pub fn complete(words: &[String]) {
    let mut command = Plugin::command();
    command.build();
    let _ = paint::write(answer(&command, words, names).as_bytes());
}

/// `look_up` says what the cluster knows.
fn answer(command: &Command, words: &[String], look_up: impl Fn(Names, &Typed<'_>) -> Vec<String>) -> String {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", [].as_slice()),
    };
    let typed = Typed::of(command, before);
    let (start, candidates) = match typed.place(last) {
        Place::Command => (last, commands(typed.command)),
        Place::Option => (last, options(&typed, last)),
        Place::Value(arg, start) if is_file(arg) => return written(start, &[], FILES),
        Place::Value(arg, start) => (start, values(arg, &typed, look_up)),
        Place::Nothing => (last, Vec::new()),
    };
    written(start, &candidates, NO_FILES)
}

fn written(start: &str, candidates: &[Candidate], directive: u8) -> String {
    let mut text = String::new();
    for (word, meaning) in candidates {
        // A name that breaks the line is none that can be typed.
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

/// The options that may still be given. The short ones are shown to who asks for an option of any kind.
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

    /// The candidates without their meanings, and the directive, for the words of a line that ends where the cursor is.
    fn told(line: &str) -> String {
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
    fn each_place_of_a_line_has_its_candidates() {
        for (line, wanted) in [
            ("", "status report diff render completion help :4"),
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
            assert_eq!(told(line), wanted, "{line:?}");
        }
    }

    #[test]
    fn a_dash_asks_for_all_options_that_are_left() {
        let told = told("status -A -");
        for wanted in ["--output", "-o", "--events", "--context", "--help", "-h"] {
            assert!(told.split(' ').any(|word| word == wanted), "{wanted}: {told}");
        }
        for wrong in ["--all-namespaces", "-A", "--namespace", "-n"] {
            assert!(!told.split(' ').any(|word| word == wrong), "{wrong}: {told}");
        }
    }

    #[test]
    fn a_candidate_has_its_meaning_in_one_line() {
        let mut command = Plugin::command();
        command.build();
        let answer = answer(&command, &["sta".into()], |_, _| Vec::new());
        assert_eq!(
            answer,
            "status\tShow servers with their children, conditions and events\n:4\n"
        );
    }
}
