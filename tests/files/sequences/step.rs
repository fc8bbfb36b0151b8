//! What happens to a server, drawn from a seed.

use crate::support::sequences::Random;

/// What changes at the same time, and what goes wrong while the operator follows.
#[derive(Clone, Debug)]
pub struct Step {
    pub acts: Vec<Act>,
    pub trouble: Trouble,
}

/// One change. Numbers are places in the lists of names in `goal.rs`.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// In the spec.
    Spec(Edit),
    /// By a person, through the API of the server.
    Hand(Deed),
    /// The Secret of a user gets another password.
    Password(usize),
    /// The pod is deleted.
    Restart,
}

/// A change of the spec. What is declared leaves it, or the other way round, where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub enum Edit {
    User(usize),
    Member(usize, usize),
    Enabled(usize),
    DisplayName(usize, u64),
    Group(usize),
    Share(usize),
    Default(usize, &'static str),
    GrantUser(usize, usize, &'static str),
    GrantGroup(usize, usize, &'static str),
    ReadOnly(usize),
    Quota(usize, &'static str),
    Squash(usize, &'static str),
    /// So many clients may mount it: 0 is no limit.
    Clients(usize, usize),
    /// So many snapshots are kept: 0 is no policy.
    Policy(usize, u64),
}

/// What a person does.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    User(usize),
    Group(usize),
    Share(usize),
    Member(usize, usize),
    Leave(usize, usize),
    GrantUser(usize, usize, &'static str),
    GrantGroup(usize, usize, &'static str),
    Withdraw(usize, usize),
    Default(usize, &'static str),
    DisplayName(usize, u64),
    Squash(usize, &'static str),
    Policy(usize, u64),
    NoPolicy(usize),
}

/// What goes wrong at a write of the operator.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    None,
    /// The operator is killed.
    Killed(Side, At),
    /// The server is killed.
    ServerKilled(At),
    /// The answer of the server is lost.
    ReplyLost(usize),
}

/// To whom the operator writes.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    Kubernetes,
    Server,
}

/// Before or after which write it happens.
#[derive(Clone, Copy, Debug)]
pub enum At {
    Before(usize),
    After(usize),
}

const LEVELS: [&str; 4] = ["none", "read", "read-write", "admin"];
const SQUASHES: [&str; 3] = ["none", "root_to_admin", "root_to_guest"];

/// The sequence of a seed: five to eight steps.
pub fn sequence(seed: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    // The first numbers of small seeds are alike.
    random.below(2);
    let length = 5 + random.below(4);
    (0..length).map(|_| step(&mut random)).collect()
}

fn step(random: &mut Random) -> Step {
    let count = 1 + random.below(4);
    Step {
        acts: (0..count).map(|_| act(random)).collect(),
        trouble: trouble(random),
    }
}

fn act(random: &mut Random) -> Act {
    match random.below(10) {
        0..=4 => Act::Spec(edit(random)),
        5..=7 => Act::Hand(deed(random)),
        8 => Act::Password(number(random, 3)),
        // It takes longer than the others.
        _ if random.below(2) == 0 => Act::Restart,
        _ => Act::Spec(edit(random)),
    }
}

fn edit(random: &mut Random) -> Edit {
    let (user, group, share) = (number(random, 3), number(random, 2), number(random, 3));
    let level = random.one(&LEVELS);
    match random.below(16) {
        0 | 1 => Edit::User(1 + number(random, 2)),
        2 | 3 => Edit::Member(user, group),
        4 => Edit::Enabled(user),
        5 => Edit::DisplayName(user, random.below(3)),
        6 => Edit::Group(group),
        7 | 8 => Edit::Share(share),
        9 => Edit::Default(share, level),
        10 => Edit::GrantUser(share, user, level),
        11 => Edit::GrantGroup(share, group, level),
        12 => Edit::ReadOnly(share),
        13 => Edit::Quota(share, random.one(&["0", "1Gi", "3Gi"])),
        14 if random.below(2) == 0 => Edit::Squash(share, random.one(&SQUASHES)),
        14 => Edit::Clients(share, number(random, 3)),
        _ => Edit::Policy(share, random.below(4)),
    }
}

/// The last user and the last group are never in the spec.
fn deed(random: &mut Random) -> Deed {
    let (user, group, share) = (number(random, 4), number(random, 3), number(random, 3));
    let level = random.one(&LEVELS);
    match random.below(13) {
        0 => Deed::User(user),
        1 => Deed::Group(group),
        2 => Deed::Share(share),
        3 | 4 => Deed::Member(user, group),
        5 => Deed::Leave(user, group),
        6 => Deed::GrantUser(share, user, level),
        7 => Deed::GrantGroup(share, group, level),
        8 => Deed::Withdraw(share, user),
        9 => Deed::Default(share, level),
        10 => Deed::DisplayName(user, random.below(3)),
        11 => Deed::Squash(share, random.one(&SQUASHES)),
        _ if random.below(2) == 0 => Deed::Policy(share, 1 + random.below(3)),
        _ => Deed::NoPolicy(share),
    }
}

fn trouble(random: &mut Random) -> Trouble {
    let nth = 1 + number(random, 3);
    let at = if random.below(2) == 0 {
        At::Before(nth)
    } else {
        At::After(nth)
    };
    match random.below(8) {
        0 | 1 => Trouble::None,
        2 => Trouble::Killed(Side::Kubernetes, at),
        3..=5 => Trouble::Killed(Side::Server, at),
        6 => Trouble::ServerKilled(at),
        _ => Trouble::ReplyLost(nth),
    }
}

fn number(random: &mut Random, limit: u64) -> usize {
    usize::try_from(random.below(limit)).unwrap_or_default()
}
