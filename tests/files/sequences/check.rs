//! What must hold on the server.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Value, json};

use super::goal::{GROUPS, Gifts, Goal, SHARES, USERS, clients, membership, permission, policy, sorted, uid};
use super::hand::Hand;
use crate::support::real::RealServer;

async fn list(server: &RealServer, path: &str) -> Vec<Value> {
    let answer = server.until(path, |answer| answer.is_array() || answer.is_null());
    answer.await.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The identity of each thing that holds data or refers to it.
pub async fn identities(server: &RealServer) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let lists = [
        ("user", "/users", "username"),
        ("group", "/groups", "name"),
        ("share", "/shares", "name"),
        ("metadata store", "/store/metadata", "name"),
        ("block store", "/store/block/local", "name"),
    ];
    for (kind, path, name) in lists {
        for item in list(server, path).await {
            let name = text(&item[name]);
            let name = format!("{kind} {}", name.trim_start_matches('/'));
            assert_ne!(text(&item["id"]), "", "{name} has an identity: {item}");
            found.insert(name, text(&item["id"]));
        }
    }
    assert!(
        found.len() >= 8,
        "the users and groups of each server, a share and its stores: {found:?}"
    );
    found
}

/// Everything that is given on the server.
pub async fn gifts(server: &RealServer) -> Gifts {
    let mut gifts = Gifts::new();
    for user in list(server, "/users").await {
        let name = text(&user["username"]);
        let groups: Vec<String> = user["groups"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect();
        let known = groups.iter().filter(|group| GROUPS.contains(&group.as_str()));
        gifts.extend(known.map(|group| (membership(&name, group), String::new())));
    }
    for share in list(server, "/shares").await {
        let name = text(&share["name"]).trim_start_matches('/').to_owned();
        for grant in list(server, &format!("/shares/{name}/permissions")).await {
            let key = permission(&name, &text(&grant["type"]), &text(&grant["name"]));
            gifts.insert(key, text(&grant["level"]));
        }
        let export = format!("/shares/{name}/adapters/nfs/config");
        let export = server.call(Method::GET, &export, Value::Null).await;
        if let Some(group) = export["netgroup"].as_str().filter(|group| !group.is_empty()) {
            let group = format!("/adapters/nfs/netgroups/{group}");
            let group = server.call(Method::GET, &group, Value::Null).await;
            let members = group["members"].as_array().into_iter().flatten();
            let members: Vec<String> = members.map(|member| text(&member["value"])).collect();
            gifts.insert(clients(&name), format!("{:?}", sorted(&members)));
        }
    }
    for found in list(server, "/snapshot-policies").await {
        let share = text(&found["share"]);
        let kept = found["keep_last"].as_u64().unwrap_or_default();
        gifts.insert(policy(share.trim_start_matches('/')), kept.to_string());
    }
    gifts
}

/// What the spec declares is there; what is there besides was given by hand; and what only a person gave is still there.
pub fn wrong_gifts(goal: &Goal, hand: &Hand, declared: &BTreeSet<String>, live: &Gifts) -> Vec<String> {
    let wanted = goal.gifts();
    let missing = wanted
        .iter()
        .filter(|(gift, value)| live.get(*gift) != Some(value));
    let missing = missing.map(|(gift, value)| format!("{gift} is {:?}, declared is {value}", live.get(gift)));
    let extra = live.keys().filter(|gift| {
        !wanted.contains_key(*gift) && !hand.ever.contains(*gift) && !belongs_to_undeclared(goal, gift)
    });
    let extra = extra.map(|gift| format!("{gift} is left behind"));
    let taken = hand
        .standing
        .iter()
        .filter(|(gift, value)| !declared.contains(*gift) && live.get(*gift) != Some(value));
    let taken = taken.map(|(gift, value)| format!("{gift} is {:?}, a person gave {value}", live.get(gift)));
    missing.chain(extra).chain(taken).collect()
}

/// A share that left the spec keeps its permissions and clients, and a user the groups.
fn belongs_to_undeclared(goal: &Goal, gift: &str) -> bool {
    let shares = SHARES.iter().enumerate();
    let of_share = shares
        .filter(|(at, _)| !goal.shares.contains_key(at))
        .any(|(_, share)| {
            let is_permission = gift.starts_with("permission of ") && gift.ends_with(&format!(" in {share}"));
            is_permission || gift == clients(share)
        });
    let users = USERS.iter().enumerate();
    let mut users = users.filter(|(at, _)| !goal.users.contains_key(at));
    of_share || users.any(|(_, user)| gift.starts_with(&format!("{user} in ")))
}

/// Declared fields that the server has differently.
pub async fn wrong_fields(server: &RealServer, goal: &Goal) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, user) in &goal.users {
        let name = USERS[*at];
        let live = server
            .call(Method::GET, &format!("/users/{name}"), Value::Null)
            .await;
        let display_name = user.display_name.map(|number| json!(format!("{name} {number}")));
        let wanted = [
            ("uid", Some(json!(uid(*at)))),
            ("enabled", Some(json!(!user.is_disabled))),
            ("display_name", display_name),
        ];
        wrong.extend(differing(name, &live, &wanted));
    }
    for (at, share) in &goal.shares {
        let name = SHARES[*at];
        let mut live = server
            .call(Method::GET, &format!("/shares/{name}"), Value::Null)
            .await;
        live["quota_bytes"] = json!(text(&live["quota_bytes"]));
        let wanted = [
            ("default_permission", share.default.map(Value::from)),
            ("read_only", share.is_read_only.map(Value::from)),
            ("quota_bytes", share.quota.map(|size| json!(shown(size)))),
            ("enabled", Some(json!(true))),
        ];
        wrong.extend(differing(name, &live, &wanted));
        let export = format!("/shares/{name}/adapters/nfs/config");
        let live = server.call(Method::GET, &export, Value::Null).await;
        wrong.extend(differing(
            name,
            &live,
            &[("squash", share.squash.map(Value::from))],
        ));
    }
    wrong
}

fn differing(name: &str, live: &Value, wanted: &[(&str, Option<Value>)]) -> Vec<String> {
    let declared = wanted
        .iter()
        .filter_map(|(field, value)| Some((field, value.as_ref()?)));
    let wrong = declared.filter(|(field, value)| live[**field] != **value);
    wrong
        .map(|(field, value)| format!("{field} of {name} is {}, declared is {value}", live[*field]))
        .collect()
}

/// A quota as the server shows it.
fn shown(size: &str) -> String {
    match size.strip_suffix("Gi") {
        Some(number) => format!("{number}.00GiB"),
        None => String::new(),
    }
}
