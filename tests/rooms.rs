//! The rooms of `src/`: imports point in one direction, and the decisions of `domain` depend on nothing but their arguments.

use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may import besides itself. No room may import one that stands below it here, so there is no
/// circle. `lib.rs` and `main.rs` stand above all rooms.
const MAY_IMPORT: [(&str, &[&str]); 7] = [
    ("base", &[]),
    ("api", &[]),
    ("domain", &["api"]),
    ("cluster", &["base", "api", "domain"]),
    ("reconcile", &["base", "api", "domain", "cluster"]),
    ("plugin", &["base", "api", "domain", "cluster", "reconcile"]),
    (
        "command",
        &["base", "api", "domain", "cluster", "reconcile", "plugin"],
    ),
];

/// What would make a decision depend on more than its arguments, from crates that no room is forbidden to use: a client, a clock,
/// the environment, randomness, files and processes, threads and global state.
const IMPURE: [&str; 20] = [
    "Client",
    "kube::Api",
    "Api<",
    "Api,",
    "Recorder",
    "async fn",
    ".await",
    "tokio",
    "Timestamp::now",
    "Instant",
    "SystemTime",
    "std::env",
    "env::var",
    "getrandom",
    "RandomState",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "static ",
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The Rust files below a folder, with their text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            files.push((path, text));
        }
    }
    files
}

/// The lines without comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The rooms that a line names by `crate::ROOM`.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").map(|(at, prefix)| {
        let rest = &line[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// The imports of a file that its room may not make. A grouped import of the root (`use crate::{a, b}`) hides its rooms, so it
/// counts as one.
fn wrong_imports(room: &str, text: &str) -> Vec<String> {
    let (_, allowed) = MAY_IMPORT
        .iter()
        .find(|(name, _)| *name == room)
        .expect("a room of the table");
    let is_wrong = |name: &str| name != room && !allowed.contains(&name);
    code(text)
        .filter(|(_, line)| named(line).any(is_wrong))
        .map(|(number, line)| format!("line {number}: {}", line.trim()))
        .collect()
}

fn impurities(text: &str) -> Vec<String> {
    let is_impure = |line: &str| IMPURE.iter().any(|word| contains_word(line, word));
    code(text)
        .filter(|(_, line)| is_impure(line))
        .map(|(number, line)| format!("line {number}: {}", line.trim()))
        .collect()
}

/// As a word of its own: `ClientCa` is not `Client`, and `'static ` is not a global.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let is_inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let starts = !word.starts_with(char::is_alphanumeric) || (!is_inside(before) && before != Some('\''));
        let ends = !word.ends_with(char::is_alphanumeric) || !is_inside(after);
        starts && ends
    })
}

#[test]
fn each_room_imports_only_the_rooms_above_it_in_the_table() {
    let mut wrong = Vec::new();
    for (room, _) in MAY_IMPORT {
        for (path, text) in sources(&src().join(room)) {
            let found = wrong_imports(room, &text);
            wrong.extend(found.iter().map(|line| format!("{}: {line}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_holds_every_room_and_has_no_circle() {
    let mut rooms: Vec<String> = std::fs::read_dir(src())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    rooms.sort_unstable();
    let mut listed: Vec<&str> = MAY_IMPORT.iter().map(|(room, _)| *room).collect();
    for (position, (room, imports)) in MAY_IMPORT.iter().enumerate() {
        let is_above = |import: &&str| listed[..position].contains(import);
        assert!(imports.iter().all(is_above), "{room} imports a room below it");
    }
    listed.sort_unstable();
    assert_eq!(rooms, listed);
}

#[test]
fn the_decisions_use_no_client_no_clock_no_environment_and_no_randomness() {
    let files = sources(&src().join("domain"));
    assert!(files.len() > 40, "the scan finds the files");
    for (path, text) in files {
        let found = impurities(&text);
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn the_scans_find_what_they_look_for() {
    for line in [
        "use crate::cluster::cache::Cache;",
        "use crate::{api, domain};",
        "crate::plugin::run();",
    ] {
        assert_eq!(wrong_imports("domain", line).len(), 1, "{line}");
    }
    for line in [
        "use crate::api::names;",
        "use super::observed::Read;",
        "// crate::plugin",
    ] {
        assert!(wrong_imports("domain", line).is_empty(), "{line}");
    }
    for line in [
        "let now = Timestamp::now();",
        "use kube::{Api, Client};",
        "async fn read(client: &Client) {}",
        "let seed = std::env::var(\"SEED\");",
        "    static COUNT: AtomicU64 = AtomicU64::new(0);",
    ] {
        assert_eq!(impurities(line).len(), 1, "{line}");
    }
    for line in [
        "Purpose::ClientCa => {}",
        "// Timestamp::now()",
        "field: &'static str,",
    ] {
        assert!(impurities(line).is_empty(), "{line}");
    }
}
