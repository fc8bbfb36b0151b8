//! The text of a difference. Pure.

use std::fmt::Write;

use kube::ResourceExt;
use serde_json::{Map, Value, json};
use similar::TextDiff;

use super::Difference;
use super::previews::{Change, Preview};
use super::restart::Effect;
use crate::api::names;
use crate::plugin::Error;
use crate::plugin::paint::{BAD, FAINT, GOOD, PLACE, REMOVED, TITLE, WAITING, styled};
use crate::plugin::plain::{self, line};
use crate::reconcile::apply::dry_run;

/// What the API server writes into every object, and no apply changes.
const VOLATILE: [&str; 5] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "uid",
];

/// An update that leaves the operator's fields as they are counts as no change.
pub(super) fn forget_what_is_the_same(preview: &mut Preview) {
    if let Change::Write(dry_run::Change::Update {
        before,
        after,
        desired,
    }) = &preview.change
    {
        let hash = |object: &Value| object["metadata"]["annotations"][names::APPLIED_HASH_ANNOTATION].clone();
        let has_new_hash = hash(before) != hash(after);
        let (before, after) = shown(before, after, desired);
        if before == after {
            preview.change = if has_new_hash {
                let only_hash = "would get a new hash of the operator's last write, and no other change";
                Change::Write(dry_run::Change::Other(only_hash.into()))
            } else {
                Change::None
            };
        }
    }
}

/// The text of one server.
pub(super) fn render(difference: &Difference) -> Result<String, Error> {
    let server = &difference.server;
    let title = format!(
        "DittoServer {}/{}",
        server.namespace().unwrap_or_default(),
        server.name_any()
    );
    let mut text = format!("{}\n", styled(TITLE, line(&title)));
    for note in &difference.notes {
        let _ = writeln!(text, "{} {}", styled(WAITING, "note:"), line(note));
    }
    for preview in &difference.previews {
        text.push_str(&child(preview)?);
    }
    text.push_str(&summary(difference));
    Ok(text)
}

fn child(preview: &Preview) -> Result<String, Error> {
    let title = line(&format!("{} {}", preview.kind, preview.name));
    Ok(match &preview.change {
        Change::None => String::new(),
        Change::Write(write) => written(&title, write)?,
        Change::Held(why) => held(&title, why),
        Change::Refused(outcome) => held(&title, &outcome.to_string()),
        Change::Failed(failure) => format!(
            "\n{} {title}: {}\n",
            styled(BAD, "error:"),
            line(&failure.to_string())
        ),
    })
}

fn written(title: &str, write: &dry_run::Change) -> Result<String, Error> {
    Ok(match write {
        dry_run::Change::Create(object) => format!(
            "\n{}\n{}",
            styled(GOOD, format!("{title} would be created")),
            added(object)?
        ),
        dry_run::Change::Update {
            before,
            after,
            desired,
        } => {
            let (before, after) = shown(before, after, desired);
            format!("\n{}", unified(title, &yaml(&before)?, &yaml(&after)?))
        }
        dry_run::Change::Delete => format!("\n{}\n", styled(REMOVED, format!("{title} would be deleted"))),
        dry_run::Change::Other(how) => format!("\n{title} {}\n", line(how)),
    })
}

fn held(title: &str, why: &str) -> String {
    format!("\n{}\n", styled(FAINT, format!("{title}: {}", line(why))))
}

/// A new object, without the owner references, whose UID is not known yet.
fn added(object: &Value) -> Result<String, Error> {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("ownerReferences");
    }
    let lines = yaml(&object)?;
    let lines: Vec<String> = lines
        .lines()
        .map(|line| styled(GOOD, format!("+{}", plain::lines(line))))
        .collect();
    Ok(lines.join("\n") + "\n")
}

fn unified(title: &str, before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = diff.unified_diff();
    let text = lines
        .context_radius(3)
        .header(&format!("{title} (live)"), &format!("{title} (desired)"))
        .to_string();
    text.lines().fold(String::new(), |mut coloured, line| {
        let style = match line.as_bytes() {
            [b'-', b'-', b'-', b' ', ..] | [b'+', b'+', b'+', b' ', ..] => TITLE,
            [b'@', ..] => PLACE,
            [b'+', ..] => GOOD,
            [b'-', ..] => REMOVED,
            _ => anstyle::Style::new(),
        };
        let _ = writeln!(coloured, "{}", styled(style, plain::lines(line)));
        coloured
    })
}

fn children(count: usize) -> String {
    let noun = if count == 1 { "child" } else { "children" };
    format!("{count} {noun}")
}

fn summary(difference: &Difference) -> String {
    let previews = &difference.previews;
    let count = |is: fn(&Change) -> bool| previews.iter().filter(|preview| is(&preview.change)).count();
    let failures = count(|change| matches!(change, Change::Failed(_)));
    let is_partial = failures > 0 || difference.effect.is_unknown();
    let mut text = String::from("\n");
    if failures > 0 {
        let _ = writeln!(text, "{} could not be compared.", children(failures));
    }
    let changes = match (count(Change::is_write), is_partial) {
        (0, false) => "No change.".to_owned(),
        (0, true) => "No visible change.".to_owned(),
        (1, _) => format!("{} changes.", children(1)),
        (changes, _) => format!("{} change.", children(changes)),
    };
    let _ = writeln!(text, "{changes} {}", effect(&difference.effect));
    if let Effect::Restarts(reasons) | Effect::Unknown(reasons) = &difference.effect {
        for reason in reasons {
            let _ = writeln!(text, "  - {}", line(reason));
        }
    }
    if matches!(&difference.effect, Effect::Unknown(unread) if !unread.is_empty()) {
        let remedy = "Ask an administrator of the cluster for what you may not do, or use another --context.";
        let _ = writeln!(text, "{remedy}");
    }
    text
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::RunsOn => styled(GOOD, "The pod does not restart."),
        Effect::StaysAway => "There is no pod, and none will be started.".into(),
        Effect::Starts => styled(WAITING, "A pod will be started."),
        Effect::Stops => styled(WAITING, "The pod will be stopped."),
        Effect::Restarts(_) => styled(BAD, "The pod restarts:"),
        Effect::Unknown(unread) if unread.is_empty() => {
            styled(BAD, "It is unknown whether the pod restarts.")
        }
        Effect::Unknown(_) => styled(
            BAD,
            "It is unknown whether the pod restarts, because these could not be read:",
        ),
    }
}

fn yaml(value: &Value) -> Result<String, Error> {
    serde_yaml::to_string(value).map_err(|error| Error::Encode(error.to_string()))
}

/// Both objects, cut to the fields that the operator sends or that its apply changes. Fields that others set, and those that
/// the API server maintains, are left out.
fn shown(before: &Value, after: &Value, desired: &Value) -> (Value, Value) {
    let (mut before, mut after) = (tidy(before), tidy(after));
    let mut desired = desired.clone();
    desired["metadata"]["name"] = json!(null);
    cut(&mut before, &mut after, &desired);
    (before, after)
}

fn tidy(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|key, _| !VOLATILE.contains(&key.as_str()));
        let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
        if let Some(annotations) = annotations {
            // Bookkeeping of the operator: it changes with whatever else changes.
            annotations.remove(names::APPLIED_HASH_ANNOTATION);
        }
    }
    object
}

/// Keeps what is desired or differs. Items of lists are matched by name; other lists are kept whole.
fn cut(before: &mut Value, after: &mut Value, desired: &Value) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => cut_fields(one, other, desired),
        (Value::Array(one), Value::Array(other)) => {
            for item in one.iter_mut() {
                let same = |candidate: &&mut Value| is_same(candidate, item);
                if let Some(partner) = other.iter_mut().find(same) {
                    let wanted = desired
                        .as_array()
                        .into_iter()
                        .flatten()
                        .find(|wanted| is_same(wanted, item));
                    cut(item, partner, wanted.unwrap_or(&Value::Null));
                }
            }
        }
        _ => {}
    }
}

fn cut_fields(one: &mut Map<String, Value>, other: &mut Map<String, Value>, desired: &Value) {
    let is_of_others = |key: &String, value: &Value, partner: &Map<String, Value>| {
        desired.get(key).is_none() && partner.get(key) == Some(value)
    };
    let of_others: Vec<String> = one
        .iter()
        .filter(|(key, value)| is_of_others(key, value, other))
        .map(|(key, _)| key.clone())
        .collect();
    for key in of_others {
        one.remove(&key);
        other.remove(&key);
    }
    for (key, value) in one.iter_mut() {
        if let Some(partner) = other.get_mut(key) {
            cut(value, partner, desired.get(key).unwrap_or(&Value::Null));
        }
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    one["name"].is_string() && one["name"] == other["name"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_from_the_cluster_is_a_command_to_the_terminal() {
        let hostile = "\u{1b}[2J\r\u{9b}1m\u{7}";
        let preview = |change: Change| Preview {
            kind: "Service",
            name: hostile.into(),
            change,
        };
        let object = |value: &str| json!({"metadata": {"name": "a", "annotations": {hostile: format!("{hostile}\n{value}")}}});
        let previews = vec![
            preview(Change::Write(dry_run::Change::Create(object("x")))),
            preview(Change::Write(dry_run::Change::Update {
                before: object("x"),
                after: object("y"),
                desired: object("y"),
            })),
            preview(Change::Write(dry_run::Change::Delete)),
            preview(Change::Write(dry_run::Change::Other(hostile.into()))),
            preview(Change::Held(hostile.into())),
            preview(Change::Refused(crate::domain::applied::Outcome::Foreign(
                hostile.into(),
            ))),
        ];
        let text = render(&Difference {
            server: crate::domain::testing::nothing("").server,
            notes: vec![hostile.into()],
            previews,
            effect: Effect::Restarts(vec![hostile.into()]),
        })
        .unwrap();
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.contains("Service ^[[2J"), "{plain:?}");
        assert!(
            !plain.chars().any(|char| char.is_control() && char != '\n'),
            "{plain:?}"
        );
        assert!(!text.contains("\u{1b}[2J"), "{text:?}");
    }

    #[test]
    fn fields_of_others_are_not_shown_and_removed_fields_are() {
        let before = json!({
            "metadata": {"name": "a", "uid": "u", "annotations": {"mesh": "on", "ours": "1"}},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "api", "port": 1, "nodePort": 3}], "old": true},
            "status": {"x": 1},
        });
        let after = json!({
            "metadata": {"name": "a", "uid": "u", "annotations": {"mesh": "on"}},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "api", "port": 2, "nodePort": 3}]},
        });
        let desired = json!({"metadata": {"name": "a", "annotations": {}}, "spec": {"ports": [{"name": "api", "port": 2}]}});
        let (before, after) = shown(&before, &after, &desired);
        assert_eq!(
            before,
            json!({
                "metadata": {"name": "a", "annotations": {"ours": "1"}},
                "spec": {"ports": [{"name": "api", "port": 1}], "old": true},
            })
        );
        assert_eq!(
            after,
            json!({
                "metadata": {"name": "a", "annotations": {}},
                "spec": {"ports": [{"name": "api", "port": 2}]},
            })
        );
    }
}
