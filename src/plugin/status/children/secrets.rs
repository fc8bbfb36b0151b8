//! The Secrets that the pod uses.

use std::collections::BTreeSet;

use crate::domain::data_home;
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::{Origin, SecretUse};
use crate::plugin::status::view::{ChildHealth, ChildView};

/// The Secrets that the pod uses, with the keys that are missing. Never a value.
pub(super) fn secrets(observed: &Observed) -> Vec<ChildView> {
    let uses = data_home::uses(observed);
    let names: BTreeSet<&String> = uses.iter().map(|used| &used.secret).collect();
    names
        .into_iter()
        .map(|name| secret(observed, name, &uses))
        .collect()
}

fn secret(observed: &Observed, name: &str, uses: &[SecretUse]) -> ChildView {
    let uses: Vec<&SecretUse> = uses.iter().filter(|used| used.secret == name).collect();
    let source = match uses.first().map(|used| used.origin) {
        Some(Origin::User(field)) => format!("named in {field}"),
        Some(Origin::Percona) => "created by Percona's operator".to_owned(),
        Some(Origin::Managed) | None => "generated".to_owned(),
    };
    let is_optional = uses.iter().all(|used| used.optional);
    let (health, summary) = match observed.secrets.get(name) {
        Some(Read::Found(data)) => {
            let lacks = |used: &&&SecretUse| !used.optional && data.value(&used.key).is_none();
            let missing: Vec<&str> = uses.iter().filter(lacks).map(|used| used.key.as_str()).collect();
            if missing.is_empty() {
                (ChildHealth::Good, source)
            } else {
                (
                    ChildHealth::Bad,
                    format!("{source}, keys without a value: {}", missing.join(", ")),
                )
            }
        }
        Some(Read::Unreadable(error)) => (ChildHealth::Unknown, format!("{source}, cannot be read: {error}")),
        Some(Read::Missing) | None if is_optional => (
            ChildHealth::Waiting,
            format!("{source}, does not exist (optional)"),
        ),
        Some(Read::Missing) | None => (ChildHealth::Bad, format!("{source}, does not exist")),
    };
    ChildView::new("Secret", name, health, summary)
}
