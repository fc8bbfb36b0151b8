//! The rooms of `src/`: imports point in one direction, and the decisions of `domain` depend on nothing but their arguments.

use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may import besides itself. No room may import one that stands below it here, so there is no
/// circle. `lib.rs` and `main.rs` stand above all rooms.
const MAY_IMPORT: [(&str, &[&str]); 8] = [
    ("base", &[]),
    ("api", &[]),
    ("domain", &["api"]),
    ("cluster", &["base", "api", "domain"]),
    ("server", &["base", "api", "domain"]),
    ("reconcile", &["base", "api", "domain", "cluster", "server"]),
    (
        "plugin",
        &["base", "api", "domain", "cluster", "server", "reconcile"],
    ),
    (
        "command",
        &[
            "base",
            "api",
            "domain",
            "cluster",
            "server",
            "reconcile",
            "plugin",
        ],
    ),
];

/// What would make a decision depend on more than its arguments, from crates that no room is forbidden to use: a client, a clock,
/// the environment, randomness (the order of a `HashMap` is random), files, processes, output, threads and global state.
/// A grouped import (`use std::{env, fs}`) would hide what it names.
const IMPURE: [&str; 24] = [
    "Client",
    "Api",
    "Recorder",
    "async",
    ".await",
    "tokio",
    "::now",
    ".now()",
    "Instant",
    "SystemTime",
    "std::env",
    "std::{",
    "getrandom",
    "rand::",
    "RandomState",
    "HashMap",
    "HashSet",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "thread_local",
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

/// How many modules a file is below the root of the crate: `domain/mod.rs` 1, `domain/volumes.rs` 2.
fn depth(path: &Path) -> usize {
    let is_module_of_folder = path.file_name().is_some_and(|name| name == "mod.rs");
    path.components().count() - usize::from(is_module_of_folder)
}

/// The lines of code, each with the number of modules that are opened in the file around it. The code is formatted, so a module
/// ends at a brace with its own indentation.
fn nested(text: &str) -> impl Iterator<Item = (usize, &str, usize)> {
    let mut opened: Vec<usize> = Vec::new();
    code(text).map(move |(number, line)| {
        let indentation = line.len() - line.trim_start().len();
        if opened.last() == Some(&indentation) && line.trim_start().starts_with('}') {
            opened.pop();
        }
        let around = opened.len();
        if line.ends_with('{') && line.split_whitespace().any(|word| word == "mod") {
            opened.push(indentation);
        }
        (number, line, around)
    })
}

/// The name at the beginning of a text, or nothing if it begins with something else: a group, `*`, `self`.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// What a line names directly below the root of the crate, by `crate::ROOM` or by `super::…` from so many modules below it.
fn named(line: &str, depth: usize) -> Vec<&str> {
    let by_root = line.match_indices("crate::");
    let by_root = by_root.map(|(at, prefix)| name(&line[at + prefix.len()..]));
    let starts = line
        .match_indices("super::")
        .filter(|(at, _)| !line[..*at].ends_with("super::"));
    let climbing = starts.filter_map(|(at, _)| {
        let mut rest = &line[at..];
        let mut climbed = 0;
        while let Some(above) = rest.strip_prefix("super::") {
            (rest, climbed) = (above, climbed + 1);
        }
        (climbed >= depth).then(|| name(rest))
    });
    by_root.chain(climbing).collect()
}

/// What would lead around the names: another name for a module, a path in an unusual form, a file of another folder.
fn is_detour(line: &str) -> bool {
    let is_foreign_file = line.contains("#[path") && !line.contains("/tests/");
    let detours = [
        "crate as ",
        "super as ",
        "crate ::",
        "super ::",
        "extern crate",
        "include!(",
    ];
    is_foreign_file || detours.iter().any(|detour| line.contains(detour))
}

/// The imports of a file that its room may not make. A grouped import of the root (`use crate::{a, b}`) hides its rooms, so it
/// counts as one. `path` begins with the room.
fn wrong_imports(path: &Path, text: &str) -> Vec<String> {
    let room = path.iter().next().expect("a room").to_string_lossy();
    let (_, allowed) = MAY_IMPORT
        .iter()
        .find(|(name, _)| *name == room)
        .expect("a room of the table");
    let is_wrong = |name: &str| name != room && !allowed.contains(&name);
    nested(text)
        .filter(|(_, line, around)| {
            is_detour(line) || named(line, depth(path) + around).into_iter().any(is_wrong)
        })
        .map(|(number, line, _)| format!("line {number}: {}", line.trim()))
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
            let path = path.strip_prefix(src()).expect("a file of src");
            let found = wrong_imports(path, &text);
            wrong.extend(found.iter().map(|line| format!("{}: {line}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_lists_every_room_and_has_no_circle() {
    let mut found: Vec<String> = std::fs::read_dir(src())
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    found.sort_unstable();
    let mut listed: Vec<&str> = MAY_IMPORT.iter().map(|(room, _)| *room).collect();
    for (position, (room, imports)) in MAY_IMPORT.iter().enumerate() {
        let is_above = |import: &&str| listed[..position].contains(import);
        assert!(imports.iter().all(is_above), "{room} imports a room below it");
    }
    listed.extend(["lib.rs", "main.rs"]);
    listed.sort_unstable();
    assert_eq!(
        found, listed,
        "a room is a folder of the table, and its module file is mod.rs"
    );
}

// invariant: 1
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
fn the_scan_of_imports_finds_every_way_out_of_a_room() {
    let found = |path: &str, text: &str| wrong_imports(Path::new(path), text).len();
    for (path, text) in [
        ("domain/volumes.rs", "use crate::cluster::cache::Cache;"),
        ("domain/volumes.rs", "use crate::{api, domain};"),
        ("domain/volumes.rs", "pub use crate::plugin::run;"),
        ("domain/volumes.rs", "    crate::plugin::run();"),
        ("domain/volumes.rs", "use super::super::cluster::cache;"),
        ("domain/volumes.rs", "use super::super::{api, cluster};"),
        ("domain/volumes.rs", "use super::super::*;"),
        ("domain/volumes.rs", "use super::super as root;"),
        ("domain/mod.rs", "use super::cluster;"),
        (
            "domain/volumes/tests.rs",
            "    let age = super::super::super::cluster::age();",
        ),
        (
            "domain/volumes.rs",
            "mod tests {\n    use super::super::super::cluster;\n}",
        ),
        ("domain/volumes.rs", "use crate as root;"),
        ("domain/volumes.rs", "use crate :: cluster;"),
        ("domain/volumes.rs", "#[path = \"../cluster/cache.rs\"]"),
        ("domain/volumes.rs", "use crate::Cache;"),
    ] {
        assert_eq!(found(path, text), 1, "{path}: {text}");
    }
    for (path, text) in [
        ("domain/volumes.rs", "use crate::api::names;"),
        ("domain/volumes.rs", "use super::observed::Read;"),
        ("domain/volumes.rs", "// crate::plugin"),
        (
            "domain/volumes/tests.rs",
            "use super::super::settled::is_settled;",
        ),
        (
            "domain/mod.rs",
            "mod tests {\n    use super::*;\n}\nuse super::api;",
        ),
        ("domain/volumes.rs", "pub(crate) fn size() {}"),
        (
            "api/admission.rs",
            "#[path = \"../../tests/admission/cases/mod.rs\"]",
        ),
    ] {
        assert_eq!(found(path, text), 0, "{path}: {text}");
    }
}

#[test]
fn the_scan_of_decisions_finds_what_is_impure() {
    for line in [
        "let now = Timestamp::now();",
        "use kube::{Api, Client};",
        "use kube::Api;",
        "async fn read(client: &Client) {}",
        "let seed = std::env::var(\"SEED\");",
        "use std::{env, fs};",
        "let seen: HashMap<String, u32> = HashMap::new();",
        "    static COUNT: AtomicU64 = AtomicU64::new(0);",
    ] {
        assert_eq!(impurities(line).len(), 1, "{line}");
    }
    for line in [
        "Purpose::ClientCa => {}",
        "// Timestamp::now()",
        "field: &'static str,",
        "let operand = 1;",
    ] {
        assert!(impurities(line).is_empty(), "{line}");
    }
}
