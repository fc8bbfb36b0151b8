use std::collections::BTreeMap;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

const BASE: &str = "b837d6c8.dittofs.com";

fn selector(text: &str) -> ShardSelector {
    text.parse().expect("a selector")
}

fn labelled(labels: &[(&str, &str)]) -> ObjectMeta {
    let labels: BTreeMap<String, String> = labels
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect();
    ObjectMeta {
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

fn claimed(mut server: ObjectMeta, by: Option<&str>) -> ObjectMeta {
    server.annotations = by.map(|by| BTreeMap::from([(SHARD_ANNOTATION.to_owned(), by.to_owned())]));
    server
}

fn base() -> LeaseName {
    LeaseName {
        namespace: "system".into(),
        name: BASE.into(),
    }
}

#[test]
fn a_selector_matches_as_in_kubernetes() {
    for (text, labels, expected) in [
        ("team=a", &[("team", "a")][..], true),
        ("team == a", &[("team", "b")], false),
        ("team=", &[("team", "")], true),
        ("team!=a", &[], true),
        ("team in (a, b)", &[("team", "b")], true),
        ("team in (a,b)", &[], false),
        ("team notin (a,b)", &[], true),
        ("team notin (a,b)", &[("team", "a")], false),
        ("team", &[("team", "x")], true),
        ("!team", &[("team", "x")], false),
        (
            "example.com/team in (a,b),!old",
            &[("example.com/team", "a")],
            true,
        ),
        ("team in (a,b),!old", &[("team", "a"), ("old", "")], false),
    ] {
        assert_eq!(
            selector(text).matches(&labelled(labels)),
            expected,
            "{text} {labels:?}"
        );
    }
}

#[test]
fn a_text_that_is_not_a_selector_is_refused_with_the_requirement_and_examples() {
    for (text, part) in [
        ("team=a,", "\"\" is not a requirement"),
        ("team=a,,b", "\"\" is not a requirement"),
        ("team in a", "the key of a label"),
        ("team in (a,b", "`)` is missing"),
        ("team in ()", "no value"),
        ("team among (a)", "follows `in` or `notin`"),
        ("in (a)", "follows `in` or `notin`"),
        ("generation > 1", "the key of a label"),
        ("team=a b", "the value of a label"),
        ("-team", "the key of a label"),
        ("Example.com/team", "the key of a label"),
        ("a/b/c", "the key of a label"),
        ("!", "the key of a label"),
    ] {
        let refused = text.parse::<ShardSelector>().expect_err(text).to_string();
        assert!(
            refused.contains(part) && refused.contains("team in (a,b)"),
            "{text}: {refused}"
        );
    }
}

#[test]
fn the_name_of_a_lease_never_changes() {
    // A new version of the operator must find the Lease of the old one.
    assert_eq!(selector("team=a").lease(BASE), "b837d6c8.dittofs.com-e6b0444883");
    assert_ne!(selector("team=a").lease(BASE), selector("team=b").lease(BASE));
    let shard = Shard::elected(None, base());
    assert_eq!(
        shard.lease,
        Some(base()),
        "without a selector it is the Lease of the Go operator"
    );
}

/// Requirements that the API server accepts, each as key, operator and values.
fn requirement() -> impl Strategy<Value = (String, &'static str, Vec<String>)> {
    let operators = prop::sample::select(vec!["=", "==", "!=", " in ", " notin ", "", "!"]);
    (
        "[a-z]{1,3}(/[a-z]{1,3})?",
        operators,
        btree_set("[a-z0-9]{1,3}", 1..4),
    )
        .prop_map(|(key, operator, values)| (key, operator, values.into_iter().collect()))
}

fn written(
    (key, operator, values): &(String, &'static str, Vec<String>),
    blank: &str,
    is_reversed: bool,
) -> String {
    let mut values = values.clone();
    if is_reversed {
        values.reverse();
    }
    let set = values.join(&format!("{blank},{blank}"));
    match *operator {
        "" => format!("{blank}{key}{blank}"),
        "!" => format!("!{blank}{key}"),
        " in " | " notin " => format!("{blank}{key}{operator}{blank}({blank}{set}{blank}){blank}"),
        _ => format!(
            "{key}{blank}{operator}{blank}{}",
            values.iter().min().expect("one")
        ),
    }
}

proptest! {
    #[test]
    fn order_blanks_and_repetitions_do_not_change_a_selector_or_its_lease(
        requirements in vec(requirement(), 1..5),
        turn in 0_usize..5,
        blank in " {0,3}",
    ) {
        let text = |requirements: &[_], blank: &str, is_reversed| {
            let texts: Vec<String> = requirements.iter().map(|one| written(one, blank, is_reversed)).collect();
            texts.join(",")
        };
        let one = selector(&text(&requirements, "", false));
        let mut turned = requirements.clone();
        turned.rotate_left(turn % requirements.len());
        turned.push(requirements[0].clone());
        let other = selector(&text(&turned, &blank, true));
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(one.lease(BASE), other.lease(BASE));
        prop_assert_eq!(&selector(&one.to_string()), &one, "its text is read as itself");
        let lease = one.lease(BASE);
        prop_assert!(lease.len() <= 63 && lease.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)), "{}", lease);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,40}") {
        if let Ok(selector) = text.parse::<ShardSelector>() {
            prop_assert_eq!(selector.to_string().parse(), Ok(selector));
        }
    }

    #[test]
    fn of_two_operators_at_most_one_needs_no_lease_of_another_to_act(
        claim in prop::option::of(prop::sample::select(vec!["system/b837d6c8.dittofs.com", "a", "b", "other/lease", "nonsense"])),
        first in prop::sample::select(vec!["", "team=a", "team in (a,b)"]),
        second in prop::sample::select(vec!["", "team=a", "team in (a,b)"]),
    ) {
        prop_assume!(first != second);
        let shard = |text: &str| Shard::elected((!text.is_empty()).then(|| selector(text)), base());
        let (first, second) = (shard(first), shard(second));
        let claim = match claim {
            Some("a") => first.claim(),
            Some("b") => second.claim(),
            claim => claim.map(str::to_owned),
        };
        let server = claimed(labelled(&[("team", "a")]), claim.as_deref());
        let (of_first, of_second) = (first.other_owner(&server), second.other_owner(&server));
        prop_assert!(of_first.is_some() || of_second.is_some());
        // What one of them owns, the other ascribes to the Lease of its owner.
        if of_first.is_none() {
            prop_assert_eq!(of_second, first.lease);
        } else if of_second.is_none() {
            prop_assert_eq!(of_first, second.lease);
        }
    }
}

#[test]
fn an_operator_without_selector_claims_nothing_and_owns_what_nobody_has_claimed() {
    for shard in [Shard::default(), Shard::elected(None, base())] {
        assert_eq!(shard.claim(), None);
        assert_eq!(shard.other_owner(&ObjectMeta::default()), None);
        for nonsense in ["", "x", "/", "a/", "a/b/c"] {
            assert_eq!(
                shard.other_owner(&claimed(ObjectMeta::default(), Some(nonsense))),
                None
            );
        }
        let other = shard.other_owner(&claimed(ObjectMeta::default(), Some("a/b")));
        assert_eq!(other, LeaseName::parse("a/b"));
    }
}

#[test]
fn a_server_has_left_a_shard_if_it_is_claimed_and_no_longer_selected() {
    let shard = Shard::elected(Some(selector("team=a")), base());
    let own = shard.claim();
    for (team, claim, expected) in [
        ("b", own.as_deref(), true),
        ("a", own.as_deref(), false),
        ("b", None, false),
        ("b", Some("other/lease"), false),
    ] {
        let server = claimed(labelled(&[("team", team)]), claim);
        assert_eq!(shard.has_left(&server), expected, "{team} {claim:?}");
    }
    assert!(!Shard::elected(None, base()).has_left(&ObjectMeta::default()));
}
