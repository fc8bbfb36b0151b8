//! The text of a status, computed from its data. Pure.

use std::fmt::Write;

use anstyle::Style;
use jiff::Timestamp;

use super::view::{ChildHealth, ChildView, ServerView};
use crate::domain::conditions::{PROGRESSING, STALLED};
use crate::plugin::events::EventView;
use crate::plugin::paint::{BAD, FAINT, GOOD, TITLE, WAITING, styled};
use crate::plugin::plain::line;

/// Maximum width of a padded column, so that one long name does not move everything to the right.
const MAX_WIDTH: usize = 56;

/// The text of one server, as of `now`.
pub(in crate::plugin) fn render(view: &ServerView, now: Timestamp) -> String {
    let mut text = head(view, now);
    let rows = rows(&view.children);
    let width = rows
        .iter()
        .map(Row::width)
        .max()
        .unwrap_or_default()
        .min(MAX_WIDTH);
    for row in rows {
        text.push_str(&row.text(width));
    }
    text.push_str(&conditions(view, now));
    text.push_str(&events(view, now));
    text
}

fn head(view: &ServerView, now: Timestamp) -> String {
    let (style, word) = if view.ready {
        (GOOD, "Ready")
    } else {
        (BAD, "not Ready")
    };
    let title = line(&format!("DittoServer {}/{}", view.namespace, view.name));
    let phase = view.phase.unwrap_or("no status yet");
    let mut words = vec![phase.to_owned(), line(&view.image)];
    words.extend(view.created.map(|created| format!("{} old", age(created, now))));
    words.extend(view.paused.then(|| "paused".to_owned()));
    words.extend(view.deleting.then(|| "being deleted".to_owned()));
    if !view.is_seen() {
        words.push("the operator has not reconciled the latest change yet".to_owned());
    }
    format!(
        "{}  {}  {}\n{}",
        styled(TITLE, title),
        styled(style, word),
        styled(FAINT, words.join(", ")),
        problem(view) + &notes(view)
    )
}

fn notes(view: &ServerView) -> String {
    let label = styled(WAITING, "note:");
    view.notes.iter().fold(String::new(), |mut text, note| {
        let _ = writeln!(text, "{label} {}", line(note));
        text
    })
}

fn problem(view: &ServerView) -> String {
    let Some(problem) = &view.problem else {
        return String::new();
    };
    format!(
        "{} this DittoServer does not parse: {}. The operator ignores it. Correct it with `kubectl edit dittoserver {} -n {}`.\nThe part that parses:\n",
        styled(BAD, "error:"),
        line(problem),
        line(&view.name),
        line(&view.namespace)
    )
}

/// One line of the tree.
struct Row<'a> {
    branch: String,
    node: &'a ChildView,
}

impl Row<'_> {
    fn label(&self) -> String {
        line(&format!("{} {}", self.node.kind, self.node.name))
    }

    fn width(&self) -> usize {
        self.branch.chars().count() + self.label().chars().count()
    }

    fn text(&self, width: usize) -> String {
        let (style, mark) = sign(self.node.health);
        let padding = width.saturating_sub(self.width());
        format!(
            "{}{} {}{:padding$}  {}\n",
            styled(FAINT, &self.branch),
            styled(style, mark),
            self.label(),
            "",
            line(&self.node.summary)
        )
    }
}

fn rows(nodes: &[ChildView]) -> Vec<Row<'_>> {
    fn walk<'a>(nodes: &'a [ChildView], indent: &str, rows: &mut Vec<Row<'a>>) {
        for (index, node) in nodes.iter().enumerate() {
            let is_last = index + 1 == nodes.len();
            let (elbow, below) = if is_last {
                ("└─", "  ")
            } else {
                ("├─", "│ ")
            };
            rows.push(Row {
                branch: format!("{indent}{elbow}"),
                node,
            });
            walk(&node.children, &format!("{indent}{below}"), rows);
        }
    }
    let mut rows = Vec::new();
    walk(nodes, "", &mut rows);
    rows
}

fn sign(health: ChildHealth) -> (Style, &'static str) {
    match health {
        ChildHealth::Good => (GOOD, "✓"),
        ChildHealth::Waiting => (WAITING, "…"),
        ChildHealth::Bad => (BAD, "✗"),
        ChildHealth::Unknown => (WAITING, "?"),
    }
}

fn conditions(view: &ServerView, now: Timestamp) -> String {
    let mut text = format!("\n{}\n", styled(TITLE, "Conditions"));
    if view.conditions.is_empty() {
        text.push_str("  none yet. Is the operator running, and does it watch this namespace?\n");
    }
    let width = |column: fn(&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition) -> usize| {
        view.conditions.iter().map(column).max().unwrap_or_default()
    };
    let (types, reasons) = (
        width(|condition| condition.type_.len()),
        width(|condition| condition.reason.len()),
    );
    for condition in &view.conditions {
        let style = style(&condition.type_, &condition.status);
        let _ = writeln!(
            text,
            "  {:types$}  {}  {:reasons$}  {:>4}  {}",
            line(&condition.type_),
            styled(style, format!("{:7}", line(&condition.status))),
            line(&condition.reason),
            age(condition.last_transition_time.0, now),
            line(&condition.message)
        );
    }
    text
}

/// The colour of a condition. `Progressing` and `Stalled` are good when they are False.
fn style(condition: &str, status: &str) -> Style {
    match (condition, status) {
        (PROGRESSING | STALLED, "False") => GOOD,
        (PROGRESSING, "True") | (_, "Unknown") => WAITING,
        (STALLED, _) | (_, "False") => BAD,
        _ => GOOD,
    }
}

fn events(view: &ServerView, now: Timestamp) -> String {
    let title = format!("\n{}\n", styled(TITLE, "Last events"));
    if let Some(problem) = &view.events_problem {
        return format!("{title}  cannot be read: {}\n", line(problem));
    }
    if view.events.is_empty() {
        return String::new();
    }
    let reasons = view
        .events
        .iter()
        .map(|event| line(&event.reason).chars().count());
    let reasons = reasons.max().unwrap_or_default();
    let rows = view.events.iter().map(|shown| event(shown, reasons, now));
    title + &rows.collect::<String>()
}

fn event(event: &EventView, reasons: usize, now: Timestamp) -> String {
    let style = if event.r#type == "Warning" { WAITING } else { FAINT };
    let age = event.time.map_or_else(|| "?".to_owned(), |time| age(time, now));
    let times = if event.count > 1 {
        format!(" (×{})", event.count)
    } else {
        String::new()
    };
    format!(
        "  {age:>4}  {}  {:reasons$}  {}: {}{times}\n",
        styled(style, format!("{:7}", line(&event.r#type))),
        line(&event.reason),
        line(&event.object),
        line(event.message.trim_end())
    )
}

/// An age in its largest unit, as kubectl shows it.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::json;

    use super::*;
    use crate::plugin::stored::Stored;

    /// Every text from the cluster in this test contains these control characters.
    const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\r\n\u{9b}1m\t";

    fn hostile() -> ServerView {
        let condition = json!({
            "type": HOSTILE, "status": HOSTILE, "reason": HOSTILE, "message": HOSTILE,
            "lastTransitionTime": "2025-01-01T00:00:00Z",
        });
        let object: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": HOSTILE, "namespace": HOSTILE},
            "spec": {"image": HOSTILE, "storage": {"metadataSize": "1Gi"}},
            "status": {"conditions": [condition]},
        }))
        .unwrap();
        let pod = ChildView::new("Pod", HOSTILE, ChildHealth::Bad, HOSTILE);
        let mut set = ChildView::new("StatefulSet", HOSTILE, ChildHealth::Good, HOSTILE);
        set.children = vec![pod];
        let mut view = ServerView::of(&Stored::of(object), vec![set]);
        assert_eq!(view.conditions.len(), 1);
        view.problem = Some(HOSTILE.into());
        view.notes = vec![HOSTILE.into()];
        view.events = vec![EventView {
            time: None,
            r#type: HOSTILE.into(),
            reason: HOSTILE.into(),
            object: HOSTILE.into(),
            message: format!("{HOSTILE}end"),
            count: 2,
        }];
        view
    }

    #[test]
    fn no_text_from_the_cluster_reaches_the_terminal_as_a_command() {
        let mut view = hostile();
        for events_problem in [None, Some(HOSTILE.to_owned())] {
            view.events_problem = events_problem;
            let text = render(&view, Timestamp::UNIX_EPOCH);
            let plain = anstream::adapter::strip_str(&text).to_string();
            assert!(plain.contains("^[[2J^[]0;x^G"), "{plain}");
            assert!(
                !plain.chars().any(|char| char.is_control() && char != '\n'),
                "{plain:?}"
            );
            // Only our own colours were removed.
            assert!(
                !text.contains("\u{1b}[2J") && !text.contains("\u{1b}]"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_condition_is_green_if_it_is_as_expected() {
        for (condition, status, wanted) in [
            ("Ready", "True", GOOD),
            ("Ready", "False", BAD),
            ("Ready", "Unknown", WAITING),
            ("Progressing", "False", GOOD),
            ("Progressing", "True", WAITING),
            ("Stalled", "True", BAD),
        ] {
            assert_eq!(style(condition, status), wanted, "{condition} {status}");
        }
    }

    #[test]
    fn an_age_is_in_its_largest_unit() {
        let now = Timestamp::from_second(1_000_000_000).unwrap();
        for (seconds, wanted) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_800, "2d"),
        ] {
            let since = Timestamp::from_second(1_000_000_000 - seconds).unwrap();
            assert_eq!(age(since, now), wanted);
        }
    }
}
