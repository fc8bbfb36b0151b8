//! One server that lives through a sequence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dittofs_operator::api::{DittoServer, DittoServerStatus};
use http::Method;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::check;
use super::goal::{Goal, USERS};
use super::hand::Hand;
use super::operator::Behind;
use super::step::{Act, Deed, Step, Trouble};
use crate::files::polled;
use crate::support::process::POLL;
use crate::support::real::RealServer;
use crate::support::{World, fixtures, wait};

const FILE: (&str, &[u8]) = ("a.txt", b"written at the start");

pub struct Life {
    world: World,
    behind: Behind,
    server: RealServer,
    seed: u64,
    goal: Goal,
    hand: Hand,
    /// What was ever given by the spec.
    declared: BTreeSet<String>,
    /// The identity of everything that was ever seen on the server.
    seen: BTreeMap<String, String>,
    /// What was ever declared when the server had it.
    made: BTreeSet<String>,
    /// How often each Secret got another password.
    passwords: [u32; 3],
    /// How often something was killed.
    kills: usize,
}

impl Life {
    pub async fn begin(seed: u64) -> Self {
        let mut world = World::without_operator("sequences").await;
        let behind = Behind::start(&mut world, seed).await;
        for name in &USERS[..3] {
            let secret = fixtures::secret(name, &[("password", &password(name, 0))]);
            world.create(&secret).await;
        }
        let goal = Goal::first();
        world.create(&polled(goal.spec())).await;
        let mut life = Self {
            server: RealServer::of(&world, "files").await,
            world,
            behind,
            seed,
            goal,
            hand: Hand::default(),
            declared: BTreeSet::new(),
            seen: BTreeMap::new(),
            made: BTreeSet::new(),
            passwords: [0; 3],
            kills: 0,
        };
        life.settle().await;
        life.assert_nothing_deleted().await;
        let written = life.server.nfs().await.write(FILE.0, FILE.1).await;
        written.expect("the file is written");
        life
    }

    pub async fn take(&mut self, step: &Step) {
        self.behind.arm(step.trouble).await;
        for act in &step.acts {
            self.act(*act).await;
        }
        self.settle().await;
        self.behind.arm(Trouble::None).await;
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Spec(edit) => {
                let seen = &self.seen;
                let exists = |kind: &str, name: &str| seen.contains_key(&format!("{kind} {name}"));
                self.goal.edit(edit, exists);
                self.write_spec().await;
            }
            Act::Hand(deed) => self.hand.act(&self.server, deed).await,
            Act::Password(user) => {
                self.passwords[user] += 1;
                let text = password(USERS[user], self.passwords[user]);
                let changed = json!({"stringData": {"password": text}});
                self.world.merge::<Secret>(USERS[user], changed).await;
            }
            Act::Restart => {
                // It is gone while Kubernetes makes another one.
                let pods = self.world.api::<Pod>();
                let _ = pods.delete("files-0", &DeleteParams::default()).await;
            }
        }
    }

    async fn write_spec(&mut self) {
        self.declared.extend(self.goal.gifts().into_keys());
        let patch = json!({"spec": self.goal.spec()});
        self.world.merge::<DittoServer>("files", patch).await;
    }

    /// Waits until the status says that the server is as declared. What is to be killed meanwhile is killed.
    async fn settle(&mut self) {
        let is_hit = tokio::select! {
            () = self.until_settled() => false,
            () = self.behind.killed() => true,
        };
        if is_hit {
            self.kills += 1;
            self.behind.kill(&mut self.world, self.seed).await;
            self.until_settled().await;
        }
        let made = self.goal.names().filter(|name| !self.made.contains(name));
        let made: Vec<String> = made.collect();
        self.made.extend(made);
    }

    async fn until_settled(&self) {
        let versions = self.password_versions().await;
        let what = format!("as declared, seed {}", self.seed);
        self.world
            .server_until("files", &what, |server| self.is_settled(server, &versions))
            .await;
    }

    /// The versions of the Secrets of declared users.
    async fn password_versions(&self) -> BTreeMap<&'static str, String> {
        let mut versions = BTreeMap::new();
        for user in self.goal.users.keys() {
            let secret: Secret = self.world.get(USERS[*user]).await;
            versions.insert(USERS[*user], secret.resource_version().unwrap_or_default());
        }
        versions
    }

    fn is_settled(&self, server: &DittoServer, versions: &BTreeMap<&str, String>) -> bool {
        let Some(status) = &server.status else {
            return false;
        };
        let ready = wait::condition(server, "Ready");
        let is_ready = ready.is_some_and(|ready| {
            ready.status == "True" && ready.observed_generation == server.metadata.generation
        });
        let has_passwords = versions.iter().all(|(name, version)| {
            let user = status.users.iter().find(|user| user.name == *name);
            let sent = user.and_then(|user| user.password_version.as_ref());
            sent.is_some_and(|sent| sent.ends_with(&format!("/{version}")))
        });
        is_ready && has_passwords && self.says_what_is_declared(status)
    }

    /// Everything that is declared is ready, and what left the spec is listed as such.
    fn says_what_is_declared(&self, status: &DittoServerStatus) -> bool {
        let (ready, left) = states(status);
        let declared: BTreeSet<String> = self.goal.names().collect();
        let is_left = |name: &String| declared.contains(name) || left.contains(name);
        let policies = status.snapshot_policies.iter().filter(|policy| policy.applied);
        let wanted = self.goal.shares.values().filter(|share| share.policy > 0);
        ready == declared && self.made.iter().all(is_left) && policies.count() == wanted.count()
    }

    /// Everything that was ever on the server is there, and is the same.
    pub async fn assert_nothing_deleted(&mut self) {
        let now = check::identities(&self.server).await;
        for (name, id) in &self.seen {
            assert_eq!(now.get(name), Some(id), "seed {}: {name}", self.seed);
        }
        self.seen = now;
    }

    /// The end: with the first share as at the start, the server is as declared, and a new operator writes nothing.
    pub async fn assert_as_declared(mut self) {
        self.goal = self.goal.clone().with_first_share();
        self.write_spec().await;
        self.settle().await;
        // Puts back what was changed by hand.
        self.behind.restart(&mut self.world, self.seed).await;
        self.at_rest().await;
        self.behind.restart(&mut self.world, self.seed).await;
        let calls = self.at_rest().await;
        let writes: Vec<&String> = calls.iter().filter(|call| !call.starts_with("GET ")).collect();
        assert!(writes.is_empty(), "seed {}: {writes:?}", self.seed);

        let live = check::gifts(&self.server).await;
        let mut wrong = check::wrong_gifts(&self.goal, &self.hand, &self.declared, &live);
        wrong.extend(check::wrong_fields(&self.server, &self.goal).await);
        assert!(
            wrong.is_empty(),
            "seed {}: {wrong:#?}\n{:#?}\n{:#?}",
            self.seed,
            self.goal,
            self.hand
        );
        self.assert_nothing_deleted().await;
        self.assert_users_log_in().await;
        // A person may have taken the permission from the user who wrote the file. That counts, so the person gives it back.
        self.hand.act(&self.server, Deed::Withdraw(0, 0)).await;
        let read = self.server.nfs().await.read(FILE.0).await;
        assert_eq!(read.expect("the file is read"), FILE.1, "seed {}", self.seed);
        println!(
            "shares: seed {}: {} kills, {} gifts",
            self.seed,
            self.kills,
            live.len()
        );
    }

    /// Waits until the operator has looked at everything and only polls. Returns its calls.
    async fn at_rest(&self) -> Vec<String> {
        const POLLS: usize = 3;
        let deadline = Instant::now() + wait::LONGEST;
        loop {
            self.until_settled().await;
            let calls = self.behind.calls();
            let has_looked = calls
                .iter()
                .any(|call| call.starts_with("GET ") && call.ends_with("/api/v1/shares"));
            let last = &calls[calls.len().saturating_sub(POLLS)..];
            let is_poll = |call: &String| call.starts_with("GET ") && call.ends_with("/adapters");
            if has_looked && last.len() == POLLS && last.iter().all(is_poll) {
                return calls;
            }
            assert!(Instant::now() < deadline, "seed {}: no rest: {last:?}", self.seed);
            tokio::time::sleep(POLL).await;
        }
    }

    async fn assert_users_log_in(&self) {
        for (at, user) in &self.goal.users {
            if user.is_disabled {
                continue;
            }
            let name = USERS[*at];
            let body = json!({"username": name, "password": password(name, self.passwords[*at])});
            let answer = self.server.call(Method::POST, "/auth/login", body).await;
            assert_ne!(answer["access_token"], Value::Null, "seed {}: {name}", self.seed);
        }
    }
}

fn password(user: &str, number: u32) -> String {
    format!("password {number} of {user}")
}

/// What the status says: what is declared and ready, and what left the spec.
fn states(status: &DittoServerStatus) -> (BTreeSet<String>, BTreeSet<String>) {
    let users = status.users.iter();
    let users = users.map(|user| (format!("user {}", user.name), user.ready, user.declared));
    let groups = status.groups.iter();
    let groups = groups.map(|group| (format!("group {}", group.name), group.ready, group.declared));
    let shares = status.shares.iter();
    let shares = shares.map(|share| (format!("share {}", share.name), share.ready, share.declared));
    let (mut ready, mut left) = (BTreeSet::new(), BTreeSet::new());
    for (name, is_ready, is_declared) in users.chain(groups).chain(shares) {
        if !is_declared {
            left.insert(name);
        } else if is_ready {
            ready.insert(name);
        }
    }
    (ready, left)
}
