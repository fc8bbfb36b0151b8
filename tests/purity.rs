//! The pure steps stay pure: a scan of their source for what would make their result depend on more than their arguments.

use std::path::{Path, PathBuf};

/// The pure steps, each with all that lies in its folder. Any other file is one that calls itself pure in its first lines.
const STEPS: [&str; 6] = ["validate", "desired", "conditions", "status", "events", "secrets"];
/// Their halves that speak to the API server.
const NOT_PURE: [&str; 3] = ["status/write.rs", "status/unparsable.rs", "events/publish.rs"];
/// A client, a clock, the environment, randomness, files and processes, threads and global state.
const FORBIDDEN: [&str; 20] = [
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

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The files that are to be pure.
fn pure_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(&source(""), &mut files);
    let in_step = |file: &PathBuf| {
        STEPS
            .iter()
            .any(|step| file.starts_with(source(step)) || *file == source(&format!("{step}.rs")))
    };
    files.retain(|file| in_step(file) || calls_itself_pure(file));
    files.retain(|file| !NOT_PURE.iter().any(|not_pure| *file == source(not_pure)));
    files
}

fn calls_itself_pure(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).expect("a source file");
    let mut head = text.lines().take_while(|line| line.starts_with("//!"));
    head.any(|line| line.contains(" Pure"))
}

/// The code of a file: without comments, and without re-exports of the half that is not pure.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    lines.filter(|(_, line)| {
        let line = line.trim_start();
        !line.starts_with("//") && !line.starts_with("pub use self::publish")
    })
}

fn offences(text: &str) -> Vec<String> {
    let offends = |line: &str| FORBIDDEN.iter().find(|word| contains(line, word)).copied();
    code(text)
        .filter_map(|(number, line)| Some(format!("line {number} has {:?}: {}", offends(line)?, line.trim())))
        .collect()
}

/// As a word of its own: `ClientCa` is no `Client`, and `'static ` is no global.
fn contains(line: &str, word: &str) -> bool {
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
fn the_pure_steps_use_no_client_no_clock_no_environment_and_no_randomness() {
    let files = pure_files();
    assert!(files.len() > 40, "the scan finds the steps: {files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let offences = offences(&text);
        assert!(offences.is_empty(), "{}: {offences:#?}", file.display());
    }
}

#[test]
fn the_scan_sees_what_it_looks_for() {
    for line in [
        "let now = Timestamp::now();",
        "use kube::{Api, Client};",
        "async fn read(client: &Client) {}",
        "let seed = std::env::var(\"SEED\");",
        "    static COUNT: AtomicU64 = AtomicU64::new(0);",
    ] {
        assert_eq!(offences(line).len(), 1, "{line}");
    }
    for line in [
        "Purpose::ClientCa => {}",
        "// Timestamp::now()",
        "field: &'static str,",
        "const CLIENT: u8 = 1;",
    ] {
        assert!(offences(line).is_empty(), "{line}");
    }
}
