//! The invariants: rules that always hold, each with the tests that check it. A comment `// invariant: 6` directly above the
//! attribute of a test says that the test checks rule 6.
//!
//! `make generate` writes docs/invariants.md: it runs this test with `INVARIANTS_WRITE=1`. Without it, the test fails if the
//! page is stale.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/invariants.md";
const MARKER: &str = "// invariant:";
const COLUMNS: usize = 120;

/// The rules. A rule's number is its place in this list, and does not change.
const INVARIANTS: [&str; 20] = [
    "`src/domain` decides from its arguments alone. It sees no client, clock, environment or randomness: the time and random \
     values are arguments.",
    "The status is derived from what was applied or observed, never from what was only built.",
    "If nothing in the cluster changes, the operator writes nothing, however long it runs.",
    "A pod restarts only if something has changed that the running server reads at start. Labels, annotations, \
     `spec.replicas`, Service settings and a new version of the operator restart nothing.",
    "No value of a Secret is in another object, an event, a metric, a log at any level, a trace, an argument, a panic or an \
     error.",
    "Deletes, applies and removals of finalizers carry the UID that was read. Data (volumes, database) is deleted only under \
     a policy that the user wrote.",
    "An object that has the name of a child but belongs to another owner is never adopted. A condition reports it.",
    "One bad DittoServer, or one forbidden or missing kind, never delays the other servers.",
    "Every child has the controller owner reference, except data that must outlive the server.",
    "`lastTransitionTime` changes only if `status` does. `observedGeneration` is on the status and on each condition.",
    "Garbage collection and UIDs never decide about data. Owner references and finalizers that delete data are set when a \
     user deletes the server with that policy, not before. What the operator did not create is never deleted.",
    "Another writer, a policy that rewrites objects, or a restore never leaves a child that cannot reach its desired state. \
     Fields of the operator are corrected, fields of others are kept. A conflict that lasts is reported once, and retries \
     slow down.",
    "A pod that serves clients is not removed before it is known that its successor is admitted, its volumes are kept, and \
     its configuration is accepted.",
    "One namespace, kind, server or call never blocks another. No reconcile lists all servers.",
    "Files stay reachable: a Service that clients use is never re-created or removed because a call failed or was not \
     answered.",
    "A managed Secret is generated once. It is never generated while existing data may use a different value, and again \
     only on request.",
    "A server stays on the database that holds its data until the user confirms that the data has moved.",
    "After the first write of a new leader, no write of an operator that lost the Lease is carried out.",
    "The chart grants what the operator uses and nothing else. A missing right is named in a condition, an event or the log.",
    "A running pod keeps the configuration that fits its environment while its StatefulSet is refused.",
];

const INTRODUCTION: &str = "<!-- Generated from the comments `// invariant: N` in the tests by `make generate`. Do not edit. -->

# Invariants

Rules that always hold, and the tests that check each of them.
[ARCHITECTURE.md](../ARCHITECTURE.md) describes the code.

To add a test to a rule, write its number directly above the test: `// invariant: 6`, or `// invariant: 6, 11`.
Then run `make generate`. To add a rule, append it to the list in [tests/invariants.rs](../tests/invariants.rs).
";

/// A test with a marker.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    /// From the root of the repository.
    file: String,
    name: String,
}

type Holders = BTreeMap<usize, Vec<Test>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder, in the order of their paths.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The name of the function that a test attribute stands on.
fn test_name<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let (attribute, rest) = lines.split_first()?;
    let is_test = ["#[test]", "#[tokio::test"]
        .iter()
        .any(|start| attribute.trim_start().starts_with(start));
    let function = rest.iter().find_map(|line| line.split_once("fn "))?.1;
    is_test.then(|| function.split('(').next().unwrap_or(function))
}

/// The marked tests of a file, with the numbers of their rules.
fn marked(text: &str) -> Result<Vec<(&str, Vec<usize>)>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let markers = lines.iter().enumerate().filter_map(|(at, line)| {
        let numbers = line.trim_start().strip_prefix(MARKER)?;
        Some((at, numbers))
    });
    markers
        .map(|(at, numbers)| {
            let wrong = |what: &str| format!("line {}: {what}", at + 1);
            let name = test_name(&lines[at + 1..]).ok_or_else(|| wrong("no test stands below the marker"))?;
            let parsed: Result<Vec<usize>, _> =
                numbers.split(',').map(|number| number.trim().parse()).collect();
            let numbers = parsed.map_err(|_| wrong("the marker is not a list of numbers"))?;
            if numbers
                .iter()
                .any(|number| !(1..=INVARIANTS.len()).contains(number))
            {
                return Err(wrong("there is no invariant of this number"));
            }
            Ok((name, numbers))
        })
        .collect()
}

/// The tests of each rule, in the order of their files.
fn holders() -> Holders {
    let mut holders = Holders::new();
    for path in [sources(&root().join("src")), sources(&root().join("tests"))].concat() {
        let text = std::fs::read_to_string(&path).expect("a source file");
        let file = path.strip_prefix(root()).expect("a file of the repository");
        let file = file.display().to_string();
        let tests = marked(&text).unwrap_or_else(|error| panic!("{file}, {error}"));
        for (name, numbers) in tests {
            for number in numbers {
                let (file, name) = (file.clone(), name.to_owned());
                holders.entry(number).or_default().push(Test { file, name });
            }
        }
    }
    holders
}

/// Breaks a text into lines of at most [`COLUMNS`] columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= COLUMNS {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

fn page(holders: &Holders) -> String {
    let mut page = INTRODUCTION.to_owned();
    for (number, rule) in (1..).zip(INVARIANTS) {
        let _ = write!(page, "\n## {number}\n\n{}\n\n", wrapped(rule));
        let mut file = "";
        for test in holders.get(&number).into_iter().flatten() {
            if file != test.file {
                file = &test.file;
                let _ = writeln!(page, "- [{file}](../{file})");
            }
            let _ = writeln!(page, "  - `{}`", test.name);
        }
    }
    page
}

#[test]
fn the_page_of_invariants_is_up_to_date_and_each_invariant_has_a_test() {
    let holders = holders();
    let without: Vec<usize> = (1..=INVARIANTS.len())
        .filter(|number| !holders.contains_key(number))
        .collect();
    assert!(
        without.is_empty(),
        "no test has the marker of the invariants {without:?}"
    );
    let page = page(&holders);
    let too_wide: Vec<&str> = page
        .lines()
        .filter(|line| line.chars().count() > COLUMNS)
        .collect();
    assert!(too_wide.is_empty(), "wider than {COLUMNS} columns: {too_wide:#?}");
    let path = root().join(PAGE);
    if std::env::var_os("INVARIANTS_WRITE").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == page, "{PAGE} is stale: run `make generate`");
}

#[test]
fn a_marker_must_stand_above_a_test_and_name_known_invariants() {
    let test = "    #[tokio::test(flavor = \"multi_thread\")]\n    async fn it_holds() {}\n";
    let found = |marker: &str, below: &str| {
        marked(&format!("    {MARKER} {marker}\n{below}")).map(|tests| {
            let tests = tests.into_iter();
            tests
                .map(|(name, numbers)| (name.to_owned(), numbers))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        found("3, 14", test),
        Ok(vec![("it_holds".to_owned(), vec![3, 14])])
    );
    for (marker, below) in [
        ("0", test),
        ("99", test),
        ("six", test),
        ("", test),
        ("6", "fn helper() {}\n"),
        ("6", ""),
    ] {
        assert!(found(marker, below).is_err(), "{marker:?} above {below:?}");
    }
}
