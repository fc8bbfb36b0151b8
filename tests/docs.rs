//! The references of the pages to the code and to each other are correct.

mod commands;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The tests that a page names as `path.rs::name`.
fn named(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|quote| quote.split_once("::"))
        .filter(|(path, _)| {
            Path::new(path)
                .extension()
                .is_some_and(|extension| extension == "rs")
        })
        .collect()
}

/// Every page of the repository.
fn all_pages() -> Vec<PathBuf> {
    let top = std::fs::read_dir(root()).expect("the repository");
    let top = top.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> = ["docs", "charts", "tests", "config"]
        .iter()
        .flat_map(|folder| pages(&root().join(folder)))
        .collect();
    found.extend(top.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    found
}

#[test]
fn every_test_that_a_page_names_exists() {
    assert_eq!(
        named("held by `tests/a.rs::it_holds`"),
        [("tests/a.rs", "it_holds")]
    );
    for page in all_pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for (path, name) in named(&text) {
            let source = std::fs::read_to_string(root().join(path)).unwrap_or_default();
            let is_there = source.contains(&format!("fn {name}("));
            assert!(is_there, "{}: {path} has no {name}", page.display());
        }
    }
}

/// The Markdown files of a folder and below.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| if path.is_dir() { pages(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// The lines outside of code blocks.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The targets of a page's links, except links to other sites.
fn links(text: &str) -> Vec<&str> {
    let outside_of_code = lines(text).flat_map(|line| line.split('`').step_by(2));
    let links = outside_of_code.flat_map(|piece| piece.split("](").skip(1));
    links
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.starts_with("http"))
        .collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let headings = lines(text)
        .filter(|line| line.starts_with('#'))
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let mut anchor = |heading: &str| {
        let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
        let slug: String = heading.to_lowercase().chars().filter(kept).collect();
        let slug = slug.replace(' ', "-");
        let times = seen.entry(slug.clone()).or_default();
        *times += 1;
        if *times == 1 {
            slug
        } else {
            format!("{slug}-{}", *times - 1)
        }
    };
    headings.map(|heading| anchor(heading.trim())).collect()
}

#[test]
fn every_link_of_a_page_leads_to_an_existing_file_and_heading() {
    let found = all_pages();
    let mut followed = 0;
    for page in &found {
        let text = std::fs::read_to_string(page).expect("a page");
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            let said = format!("{}: {link}", page.display());
            assert!(target.exists(), "{said}");
            let is_page = target.extension().is_some_and(|extension| extension == "md");
            if is_page && !heading.is_empty() {
                let text = std::fs::read_to_string(&target).expect("a page");
                assert!(anchors(&text).contains(heading), "{said}");
            }
            followed += 1;
        }
    }
    assert!(found.len() > 30 && followed > 150, "{} {followed}", found.len());
}
