//! The position of the last word in the command line. Pure.

use clap::{Arg, Command};

/// The words before the last one.
pub(super) struct Typed<'c> {
    /// The command that is being typed.
    pub(super) command: &'c Command,
    given: Vec<(&'c Arg, Option<String>)>,
    /// The option whose value comes next.
    awaited: Option<&'c Arg>,
    /// Number of words that are neither a command nor an option.
    positionals: usize,
    /// Whether `--` was typed.
    options_ended: bool,
}

/// The position of the last word, with the part of it that is already typed.
pub(super) enum Position<'c, 'w> {
    /// The name of a command.
    Command,
    /// The name of an option.
    Option,
    /// The value of an option or of a positional argument.
    Value(&'c Arg, &'w str),
    /// Not known.
    Unknown,
}

impl<'c> Typed<'c> {
    /// Parses the words. `root` must be built.
    pub(super) fn of(root: &'c Command, words: &[String]) -> Self {
        let mut typed = Self {
            command: root,
            given: Vec::new(),
            awaited: None,
            positionals: 0,
            options_ended: false,
        };
        for word in words {
            typed.take(word);
        }
        typed
    }

    fn take(&mut self, word: &str) {
        if let Some(arg) = self.awaited.take() {
            self.given.push((arg, Some(word.to_owned())));
        } else if self.options_ended || !word.starts_with('-') || word == "-" {
            self.take_word(word);
        } else if word == "--" {
            self.options_ended = true;
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) = split(long);
            self.take_option(long_option(self.command, name), value);
        } else {
            self.take_shorts(word);
        }
    }

    fn take_word(&mut self, word: &str) {
        let command = self.command.find_subcommand(word);
        if let Some(command) = command.filter(|_| !self.options_ended) {
            self.command = command;
            self.positionals = 0;
            return;
        }
        let arg = self.positional();
        self.given.extend(arg.map(|arg| (arg, Some(word.to_owned()))));
        self.positionals += 1;
    }

    fn take_option(&mut self, arg: Option<&'c Arg>, value: Option<&str>) {
        let Some(arg) = arg else { return };
        if takes_value(arg) && value.is_none() {
            self.awaited = Some(arg);
        } else {
            self.given.push((arg, value.map(str::to_owned)));
        }
    }

    /// Several short options in one word. The last one may have a value: `-An`, `-nteam-a`, `-n=team-a`.
    fn take_shorts(&mut self, word: &str) {
        let mut rest = word[1..].chars();
        while let Some(short) = rest.next() {
            let Some(arg) = short_option(self.command, short) else {
                return;
            };
            if takes_value(arg) {
                let value = rest.as_str();
                let value = value.strip_prefix('=').unwrap_or(value);
                return self.take_option(Some(arg), (!value.is_empty()).then_some(value));
            }
            self.given.push((arg, None));
        }
    }

    /// The position of `last`.
    pub(super) fn position<'w>(&self, last: &'w str) -> Position<'c, 'w> {
        if let Some(arg) = self.awaited {
            return Position::Value(arg, last);
        }
        if last.starts_with('-') && !self.options_ended {
            return match split(last) {
                (_, None) => Position::Option,
                (name, Some(value)) => self
                    .option(name)
                    .map_or(Position::Unknown, |arg| Position::Value(arg, value)),
            };
        }
        if self.command.has_subcommands() && !self.options_ended {
            return if self.positionals == 0 {
                Position::Command
            } else {
                Position::Unknown
            };
        }
        self.positional()
            .map_or(Position::Unknown, |arg| Position::Value(arg, last))
    }

    /// The positional argument at the next word.
    fn positional(&self) -> Option<&'c Arg> {
        self.command.get_positionals().nth(self.positionals)
    }

    /// `--output` or `-o`.
    fn option(&self, name: &str) -> Option<&'c Arg> {
        match name.strip_prefix("--") {
            Some(long) => long_option(self.command, long),
            None => short_option(self.command, name.chars().last()?),
        }
    }

    /// The value of this argument, if it is typed.
    pub(super) fn value(&self, id: &str) -> Option<&str> {
        let mut same = self.given.iter().rev().filter(|(arg, _)| arg.get_id() == id);
        same.next()?.1.as_deref()
    }

    pub(super) fn has(&self, arg: &Arg) -> bool {
        self.given.iter().any(|(given, _)| given.get_id() == arg.get_id())
    }

    /// Whether a typed argument conflicts with this one.
    pub(super) fn excludes(&self, arg: &Arg) -> bool {
        let conflict = |one: &Arg, other: &Arg| {
            let conflicts = self.command.get_arg_conflicts_with(one);
            conflicts
                .iter()
                .any(|conflict| conflict.get_id() == other.get_id())
        };
        // Only arguments of this command: clap panics on an argument of another command.
        let given = self.command.get_arguments().filter(|given| self.has(given));
        given
            .filter(|given| given.get_id() != arg.get_id())
            .any(|given| conflict(given, arg) || conflict(arg, given) || self.are_alternatives(given, arg))
    }

    /// Whether both are in a group that accepts one argument.
    fn are_alternatives(&self, one: &Arg, other: &Arg) -> bool {
        self.command.get_groups().any(|group| {
            let has = |arg: &Arg| group.get_args().any(|id| id == arg.get_id());
            !group.clone().is_multiple() && has(one) && has(other)
        })
    }
}

/// `name=value`.
fn split(word: &str) -> (&str, Option<&str>) {
    word.split_once('=')
        .map_or((word, None), |(name, value)| (name, Some(value)))
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn long_option<'c>(command: &'c Command, long: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(long))
}

fn short_option(command: &Command, short: char) -> Option<&Arg> {
    command.get_arguments().find(|arg| arg.get_short() == Some(short))
}
