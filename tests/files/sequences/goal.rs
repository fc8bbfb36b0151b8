//! What the spec declares.

use std::collections::{BTreeMap, BTreeSet};

use local_control_plane::runner::{UID, USER};
use serde_json::{Value, json};

use super::step::Edit;

/// Users. The first one owns the first share and stays in the spec; the last one is never there.
pub const USERS: [&str; 4] = [USER, "bob", "carol", "dave"];
/// Groups. The last one is never in the spec.
pub const GROUPS: [&str; 3] = ["staff", "guests", "manual"];
/// Shares.
pub const SHARES: [&str; 3] = ["export", "media", "backup"];
const CLIENTS: [&str; 2] = ["127.0.0.0/8", "10.1.2.3"];

/// What was given to whom, with its value: permissions, memberships, clients, policies.
pub type Gifts = BTreeMap<String, String>;

pub fn permission(share: &str, kind: &str, name: &str) -> String {
    format!("permission of {kind} {name} in {share}")
}

pub fn membership(user: &str, group: &str) -> String {
    format!("{user} in {group}")
}

pub fn policy(share: &str) -> String {
    format!("policy of {share}")
}

pub fn clients(share: &str) -> String {
    format!("clients of {share}")
}

/// What the spec declares, by places in the lists of names.
#[derive(Clone, Debug)]
pub struct Goal {
    pub users: BTreeMap<usize, User>,
    pub groups: BTreeSet<usize>,
    pub shares: BTreeMap<usize, Share>,
}

#[derive(Clone, Debug, Default)]
pub struct User {
    pub groups: BTreeSet<usize>,
    pub is_disabled: bool,
    pub display_name: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub struct Share {
    pub default: Option<&'static str>,
    /// `user` or `group` and the name, and the level.
    pub grants: BTreeMap<(&'static str, &'static str), &'static str>,
    pub is_read_only: Option<bool>,
    pub quota: Option<&'static str>,
    pub squash: Option<&'static str>,
    pub clients: usize,
    pub policy: u64,
}

impl Goal {
    pub fn first() -> Self {
        Self {
            users: BTreeMap::from([(0, User::default()), (1, User::default())]),
            groups: BTreeSet::from([0, 1]),
            shares: BTreeMap::from([(0, Share::open()), (1, Share::default())]),
        }
    }

    /// Takes one edit. `exists` says whether a user or group of this name is on the server, whether it is declared or not.
    pub fn edit(&mut self, edit: Edit, exists: impl Fn(&str, &str) -> bool) {
        match edit {
            Edit::User(user) => {
                if self.users.remove(&user).is_none() {
                    self.users.insert(user, User::default());
                }
            }
            Edit::Member(user, group) => {
                let is_declared = self.groups.contains(&group);
                if let Some(user) = self.users.get_mut(&user).filter(|_| is_declared)
                    && !user.groups.remove(&group)
                {
                    user.groups.insert(group);
                }
            }
            Edit::Enabled(user) => {
                if let Some(user) = self.users.get_mut(&user) {
                    user.is_disabled ^= true;
                }
            }
            Edit::DisplayName(user, name) => {
                if let Some(user) = self.users.get_mut(&user) {
                    user.display_name = Some(name);
                }
            }
            Edit::Group(group) => {
                if !self.groups.remove(&group) {
                    self.groups.insert(group);
                }
                // Admission refuses a member of a group that is not declared.
                for user in self.users.values_mut() {
                    user.groups.retain(|group| self.groups.contains(group));
                }
            }
            Edit::Share(share) => {
                if self.shares.remove(&share).is_none() {
                    self.shares.insert(share, Share::default());
                }
            }
            Edit::Default(share, level) => self.change(share, |share| share.default = Some(level)),
            Edit::GrantUser(share, user, level) => {
                self.change(share, |share| share.grant("user", USERS[user], level));
            }
            Edit::GrantGroup(share, group, level) => {
                self.change(share, |share| share.grant("group", GROUPS[group], level));
            }
            Edit::ReadOnly(share) => self.change(share, |share| {
                share.is_read_only = Some(share.is_read_only != Some(true));
            }),
            Edit::Quota(share, size) => self.change(share, |share| share.quota = Some(size)),
            Edit::Squash(share, squash) => self.change(share, |share| share.squash = Some(squash)),
            Edit::Clients(share, clients) => self.change(share, |share| share.clients = clients),
            Edit::Policy(share, kept) => self.change(share, |share| share.policy = kept),
        }
        self.without_strangers(exists);
    }

    fn change(&mut self, share: usize, change: impl FnOnce(&mut Share)) {
        if let Some(share) = self.shares.get_mut(&share) {
            change(share);
        }
    }

    /// The server refuses a permission of somebody whom it does not know.
    fn without_strangers(&mut self, exists: impl Fn(&str, &str) -> bool) {
        let users: Vec<&str> = self.users.keys().map(|user| USERS[*user]).collect();
        let groups: Vec<&str> = self.groups.iter().map(|group| GROUPS[*group]).collect();
        for share in self.shares.values_mut() {
            share.grants.retain(|(kind, name), _| {
                let declared = if *kind == "user" { &users } else { &groups };
                declared.contains(name) || exists(kind, name)
            });
        }
    }

    /// The first share and its owner are again as they were, so that the owner can read.
    pub fn with_first_share(mut self) -> Self {
        let owner = self.users.entry(0).or_default();
        owner.is_disabled = false;
        self.shares.insert(0, Share::open());
        self
    }

    /// Everything that is declared: its kind and its name.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let users = self.users.keys().map(|user| format!("user {}", USERS[*user]));
        let groups = self
            .groups
            .iter()
            .map(|group| format!("group {}", GROUPS[*group]));
        let shares = self
            .shares
            .keys()
            .map(|share| format!("share {}", SHARES[*share]));
        users.chain(groups).chain(shares)
    }

    /// The part of the spec.
    pub fn spec(&self) -> Value {
        let users: Vec<Value> = self.users.iter().map(|(at, user)| user.spec(*at)).collect();
        let groups = self.groups.iter().map(|group| group_spec(*group));
        let shares: Vec<Value> = self.shares.iter().map(|(at, share)| share.spec(*at)).collect();
        json!({"users": users, "groups": groups.collect::<Vec<Value>>(), "shares": shares})
    }

    /// Everything that is given.
    pub fn gifts(&self) -> Gifts {
        let mut gifts = Gifts::new();
        for (at, user) in &self.users {
            let groups = user.groups.iter();
            gifts.extend(groups.map(|group| (membership(USERS[*at], GROUPS[*group]), String::new())));
        }
        for (at, share) in &self.shares {
            let name = SHARES[*at];
            let grants = share.grants.iter();
            gifts.extend(
                grants.map(|((kind, who), level)| (permission(name, kind, who), (*level).to_owned())),
            );
            if share.clients > 0 {
                gifts.insert(clients(name), format!("{:?}", sorted(&CLIENTS[..share.clients])));
            }
            if share.policy > 0 {
                gifts.insert(policy(name), share.policy.to_string());
            }
        }
        gifts
    }
}

impl User {
    fn spec(&self, at: usize) -> Value {
        let name = USERS[at];
        let groups: Vec<&str> = self.groups.iter().map(|group| GROUPS[*group]).collect();
        let mut spec = json!({
            "name": name, "uid": uid(at), "groups": groups, "enabled": !self.is_disabled,
            "passwordSecretRef": {"name": name, "key": "password"},
        });
        if let Some(display_name) = self.display_name {
            spec["displayName"] = json!(format!("{name} {display_name}"));
        }
        spec
    }
}

impl Share {
    fn open() -> Self {
        Self {
            default: Some("read-write"),
            ..Self::default()
        }
    }

    /// Gives a permission. The same one again takes it back.
    fn grant(&mut self, kind: &'static str, name: &'static str, level: &'static str) {
        if self.grants.get(&(kind, name)) == Some(&level) {
            self.grants.remove(&(kind, name));
        } else {
            self.grants.insert((kind, name), level);
        }
    }

    fn spec(&self, at: usize) -> Value {
        let mut spec = json!({"name": SHARES[at]});
        let grants_of = |kind| {
            let grants = self.grants.iter().filter(move |((of, _), _)| *of == kind);
            grants
                .map(|((_, name), level)| (*name, *level))
                .collect::<BTreeMap<_, _>>()
        };
        if at == 0 {
            spec["owner"] = json!(USERS[0]);
        }
        if !self.grants.is_empty() {
            spec["permissions"] = json!({"users": grants_of("user"), "groups": grants_of("group")});
        }
        if self.squash.is_some() || self.clients > 0 {
            spec["nfs"] = json!({"allowedClients": &CLIENTS[..self.clients]});
        }
        let texts = [("defaultPermission", self.default), ("quota", self.quota)];
        for (field, text) in texts {
            if let Some(text) = text {
                spec[field] = json!(text);
            }
        }
        if let Some(squash) = self.squash {
            spec["nfs"]["squash"] = json!(squash);
        }
        if let Some(is_read_only) = self.is_read_only {
            spec["readOnly"] = json!(is_read_only);
        }
        if self.policy > 0 {
            spec["snapshots"] = json!({"interval": "24h", "keepLast": self.policy});
        }
        spec
    }
}

/// The number of a user in the spec.
pub fn uid(at: usize) -> u32 {
    UID + u32::try_from(at).unwrap_or_default()
}

fn gid(at: usize) -> usize {
    4000 + at
}

fn group_spec(at: usize) -> Value {
    json!({"name": GROUPS[at], "gid": gid(at)})
}

/// In the order in which the check looks at them.
pub fn sorted<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort();
    values
}
