//! What changed in a namespace: a table of objects.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Map, Value};

use super::go_operator::{KINDS, api};
use crate::support::World;

/// Every object of the kinds that the Go operator writes, by kind and name.
pub type Objects = BTreeMap<(String, String), Value>;

/// Reads them.
pub async fn objects(world: &World) -> Objects {
    let mut all = Objects::new();
    for kind in KINDS {
        let list = api(world, kind)
            .list(&ListParams::default())
            .await
            .expect("a list");
        for object in list {
            let key = (kind.2.to_owned(), object.name_any());
            all.insert(key, serde_json::to_value(&object).expect("JSON"));
        }
    }
    all
}

/// One line of the table.
#[derive(Debug)]
pub struct Change {
    pub object: String,
    /// Paths with `+` (new), `-` (gone) or `~` (changed) before them.
    pub paths: Vec<String>,
    pub uid_kept: bool,
}

/// Compares two states. Values of Secrets are compared and never shown.
pub fn changes(before: &Objects, after: &Objects) -> Vec<Change> {
    before
        .iter()
        .map(|((kind, name), old)| {
            let new = after.get(&(kind.clone(), name.clone())).unwrap_or(&Value::Null);
            let mut paths = Vec::new();
            diff("", &without_noise(old), &without_noise(new), &mut paths);
            Change {
                object: format!("{kind} {name}"),
                paths,
                uid_kept: old["metadata"]["uid"] == new["metadata"]["uid"],
            }
        })
        .collect()
}

/// Without the fields that every write changes, and without what others report.
fn without_noise(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in ["managedFields", "resourceVersion", "generation", "uid"] {
            metadata.remove(key);
        }
    }
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    object
}

fn diff(path: &str, old: &Value, new: &Value, paths: &mut Vec<String>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => diff_maps(path, old, new, paths),
        (Value::Array(old), Value::Array(new)) if all_named(old) && all_named(new) => {
            diff_maps(path, &by_name(old), &by_name(new), paths);
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                diff(&format!("{path}[{index}]"), old, new, paths);
            }
        }
        _ => paths.push(format!("~{path}")),
    }
}

fn diff_maps(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, paths: &mut Vec<String>) {
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    for (key, value) in old {
        match new.get(key) {
            Some(now) => diff(&below(key), value, now, paths),
            None => paths.push(format!("-{}", below(key))),
        }
    }
    paths.extend(
        new.keys()
            .filter(|key| !old.contains_key(*key))
            .map(|key| format!("+{}", below(key))),
    );
}

fn all_named(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| item["name"].is_string())
}

fn by_name(items: &[Value]) -> Map<String, Value> {
    items
        .iter()
        .map(|item| (item["name"].as_str().unwrap_or_default().to_owned(), item.clone()))
        .collect()
}

/// Prints the table.
pub fn print(changes: &[Change]) {
    println!("| object | what changed | UID kept |\n|---|---|---|");
    for change in changes {
        let paths = if change.paths.is_empty() {
            "nothing".to_owned()
        } else {
            change.paths.join(", ")
        };
        let kept = if change.uid_kept { "yes" } else { "no" };
        println!("| {} | {paths} | {kept} |", change.object);
    }
}
