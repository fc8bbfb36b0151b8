//! What a person does through the API of the server, and remembers.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::goal::{GROUPS, Gifts, SHARES, USERS, membership, permission, policy};
use super::step::Deed;
use crate::support::real::RealServer;

/// What a person gave.
#[derive(Debug, Default)]
pub struct Hand {
    /// Everything that was ever given.
    pub ever: BTreeSet<String>,
    /// What was given and not taken back.
    pub standing: Gifts,
}

/// What a deed does to a gift.
enum Effect {
    None,
    Gives(String, String),
    Takes(String),
}

impl Hand {
    /// Does it. The server refuses what it does not have, and does not answer while it restarts: then nothing is done.
    pub async fn act(&mut self, server: &RealServer, deed: Deed) {
        let (method, path, body, effect) = call(deed);
        let done = match server.reachable_api() {
            Some(api) => {
                let body = (!body.is_null()).then_some(&body);
                api.call(method, &path, body).await.is_ok()
            }
            None => false,
        };
        match effect {
            Effect::None => {}
            Effect::Gives(gift, value) => {
                // A call without an answer may have been carried out.
                self.ever.insert(gift.clone());
                self.standing.remove(&gift);
                if done {
                    self.standing.insert(gift, value);
                }
            }
            Effect::Takes(gift) => {
                self.standing.remove(&gift);
            }
        }
    }
}

fn call(deed: Deed) -> (Method, String, Value, Effect) {
    match deed {
        Deed::User(user) => {
            let body = json!({"username": USERS[user], "password": "given by hand", "uid": 7000 + user});
            (Method::POST, "/users".into(), body, Effect::None)
        }
        Deed::Group(group) => {
            let body = json!({"name": GROUPS[group], "gid": 7000 + group});
            (Method::POST, "/groups".into(), body, Effect::None)
        }
        Deed::Share(share) => {
            let body = json!({"name": SHARES[share], "metadata_store_id": "default", "local_block_store": "default"});
            (Method::POST, "/shares".into(), body, Effect::None)
        }
        Deed::Member(user, group) => {
            let (user, group) = (USERS[user], GROUPS[group]);
            let gives = Effect::Gives(membership(user, group), String::new());
            let path = format!("/groups/{group}/members");
            (Method::POST, path, json!({"username": user}), gives)
        }
        Deed::Leave(user, group) => {
            let (user, group) = (USERS[user], GROUPS[group]);
            let takes = Effect::Takes(membership(user, group));
            (
                Method::DELETE,
                format!("/groups/{group}/members/{user}"),
                Value::Null,
                takes,
            )
        }
        Deed::GrantUser(share, user, level) => grant(SHARES[share], "user", USERS[user], level),
        Deed::GrantGroup(share, group, level) => grant(SHARES[share], "group", GROUPS[group], level),
        Deed::Withdraw(share, user) => {
            let (share, user) = (SHARES[share], USERS[user]);
            let path = format!("/shares/{share}/permissions/users/{user}");
            let takes = Effect::Takes(permission(share, "user", user));
            (Method::DELETE, path, Value::Null, takes)
        }
        Deed::Default(share, level) => {
            let path = format!("/shares/{}", SHARES[share]);
            (
                Method::PUT,
                path,
                json!({"default_permission": level}),
                Effect::None,
            )
        }
        Deed::DisplayName(user, name) => {
            let path = format!("/users/{}", USERS[user]);
            let body = json!({"display_name": format!("by hand {name}")});
            (Method::PUT, path, body, Effect::None)
        }
        Deed::Squash(share, squash) => {
            let path = format!("/shares/{}/adapters/nfs/config", SHARES[share]);
            (Method::PATCH, path, json!({"squash": squash}), Effect::None)
        }
        Deed::Policy(share, kept) => {
            let share = SHARES[share];
            let gives = Effect::Gives(policy(share), kept.to_string());
            let body = json!({"interval": "24h", "keep_last": kept, "enabled": true});
            (
                Method::PUT,
                format!("/shares/{share}/snapshot-policy"),
                body,
                gives,
            )
        }
        Deed::NoPolicy(share) => {
            let share = SHARES[share];
            let path = format!("/shares/{share}/snapshot-policy");
            (Method::DELETE, path, Value::Null, Effect::Takes(policy(share)))
        }
    }
}

fn grant(share: &str, kind: &str, name: &str, level: &str) -> (Method, String, Value, Effect) {
    let path = format!("/shares/{share}/permissions/{kind}s/{name}");
    let gives = Effect::Gives(permission(share, kind, name), level.to_owned());
    (Method::PUT, path, json!({"level": level}), gives)
}
