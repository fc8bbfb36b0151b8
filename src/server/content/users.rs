//! Groups and users.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Fault, Written, conclude, failed, list};
use crate::api::{GroupSpec, GroupStatus, UserStatus};
use crate::domain::content::status::State;
use crate::domain::content::users::{LiveGroup, LiveUser, User, group_creation, group_update};
use crate::domain::content::{CONFLICT, Content, SECRET_NOT_USABLE, digest};
use crate::server::administrator::Server;
use crate::server::client::Error;
use crate::server::settings::encoded;

/// Makes the groups.
pub(super) async fn groups(
    server: &Server<'_>,
    content: &Content,
    written: &mut Written,
) -> Vec<GroupStatus> {
    if content.groups.is_empty() && content.known.groups.is_empty() {
        return Vec::new();
    }
    let live: Vec<LiveGroup> = match list(server, "groups").await {
        Ok(live) => live,
        Err(error) => {
            return content
                .groups
                .iter()
                .map(|group| {
                    let mut state = GroupStatus::new(&group.name);
                    failed(&mut state, &error);
                    state
                })
                .collect();
        }
    };
    let mut states = Vec::new();
    for group in &content.groups {
        let mut state = GroupStatus::new(&group.name);
        if conclude(&mut state, write_group(server, group, &live, written).await) {
            state.applied = Some(digest(group));
        }
        states.push(state);
    }
    let is_left = |live: &&LiveGroup| {
        content.known.groups.contains(&live.name)
            && !content.groups.iter().any(|group| group.name == live.name)
    };
    states.extend(live.iter().filter(is_left).map(|live| left(&live.name)));
    states
}

fn left<S: State>(name: &str) -> S {
    let mut state = S::new(name);
    state.set(true, false, None, None);
    state
}

async fn write_group(
    server: &Server<'_>,
    group: &GroupSpec,
    live: &[LiveGroup],
    written: &mut Written,
) -> Result<(), Fault> {
    let holder = live
        .iter()
        .find(|live| live.name != group.name && live.gid.is_some() && live.gid == group.gid);
    if let (Some(gid), Some(holder)) = (group.gid, holder) {
        let message = format!(
            "gid {gid} belongs to group {} on the server: choose another gid",
            holder.name
        );
        return Err(Fault::new(CONFLICT, message));
    }
    let Some(live) = live.iter().find(|live| live.name == group.name) else {
        written.push(format!("group {}", group.name));
        server
            .call(Method::POST, "groups", Some(&group_creation(group)))
            .await?;
        return Ok(());
    };
    if let Some(body) = group_update(group, live) {
        let path = format!("groups/{}", encoded(&group.name));
        written.push(format!("group {}", group.name));
        server.call(Method::PUT, &path, Some(&body)).await?;
    }
    Ok(())
}

/// Makes the users. Also returns those of the server.
pub(super) async fn users(
    server: &Server<'_>,
    content: &Content,
    written: &mut Written,
) -> (Vec<UserStatus>, Vec<LiveUser>) {
    if content.users.is_empty() && content.known.memberships.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut live: Vec<LiveUser> = match list(server, "users").await {
        Ok(live) => live,
        Err(error) => {
            let states = content.users.iter().map(|user| {
                let mut state = known(user, content);
                failed(&mut state, &error);
                state
            });
            return (states.collect(), Vec::new());
        }
    };
    let mut states = Vec::new();
    for user in &content.users {
        states.push(one(server, user, content, &live, written).await);
    }
    let made = states.iter().filter(|state| state.ready).map(|state| &state.name);
    let made: Vec<LiveUser> = made
        .filter(|name| !live.iter().any(|live| live.username == **name))
        .map(|name| LiveUser {
            username: name.clone(),
            ..LiveUser::default()
        })
        .collect();
    live.extend(made);
    let is_left = |live: &&LiveUser| {
        content.known.memberships.contains_key(&live.username)
            && !content.users.iter().any(|user| user.name == live.username)
    };
    states.extend(live.iter().filter(is_left).map(|live| {
        let groups = content.known.memberships.get(&live.username);
        UserStatus {
            groups: groups.into_iter().flatten().cloned().collect(),
            ..left(&live.username)
        }
    }));
    (states, live)
}

/// A state with what the operator made before.
fn known(user: &User, content: &Content) -> UserStatus {
    let groups = content.known.memberships.get(&user.name);
    UserStatus {
        groups: groups.into_iter().flatten().cloned().collect(),
        password_version: user.sent.clone(),
        ..UserStatus::new(&user.name)
    }
}

async fn one(
    server: &Server<'_>,
    user: &User,
    content: &Content,
    live: &[LiveUser],
    written: &mut Written,
) -> UserStatus {
    let mut state = known(user, content);
    let outcome = write(server, user, live, &mut state, written).await;
    if conclude(&mut state, outcome) {
        state.applied = Some(user.digest.clone());
    }
    state
}

async fn write(
    server: &Server<'_>,
    user: &User,
    live: &[LiveUser],
    state: &mut UserStatus,
    written: &mut Written,
) -> Result<(), Fault> {
    let holder = live
        .iter()
        .find(|live| live.username != user.name && live.uid.is_some() && live.uid == user.uid);
    if let (Some(uid), Some(holder)) = (user.uid, holder) {
        let message = format!(
            "uid {uid} belongs to user {} on the server: choose another uid",
            holder.username
        );
        return Err(Fault::new(CONFLICT, message));
    }
    let Some(live) = live.iter().find(|live| live.username == user.name) else {
        return create(server, user, state, written).await;
    };
    if let Some(body) = user.update(live) {
        written.push(format!("user {}", user.name));
        let path = format!("users/{}", encoded(&user.name));
        server.call(Method::PUT, &path, Some(&body)).await?;
    }
    memberships(server, user, live, state, written).await?;
    let password = user.password.as_ref();
    let password = password.map_err(|why| Fault::new(SECRET_NOT_USABLE, why))?;
    if !user.is_password_sent() {
        let path = format!("users/{}/password", encoded(&user.name));
        let body = json!({"new_password": String::from_utf8_lossy(&password.value.0)});
        server.call(Method::POST, &path, Some(&body)).await?;
        state.password_version = Some(password.version.clone());
    }
    Ok(())
}

async fn create(
    server: &Server<'_>,
    user: &User,
    state: &mut UserStatus,
    written: &mut Written,
) -> Result<(), Fault> {
    let password = user.password.as_ref();
    let password = password.map_err(|why| Fault::new(SECRET_NOT_USABLE, why))?;
    let announced: Vec<&String> = user
        .groups
        .iter()
        .filter(|group| state.groups.contains(group))
        .collect();
    if announced.len() < user.groups.len() {
        return Err(not_announced());
    }
    let body = user.creation(&String::from_utf8_lossy(&password.value.0), &announced);
    written.push(format!("user {}", user.name));
    server.call(Method::POST, "users", Some(&body)).await?;
    state.password_version = Some(password.version.clone());
    Ok(())
}

fn not_announced() -> Fault {
    Fault::new(
        crate::domain::content::WAITING,
        "the operator is about to make the memberships of groups",
    )
}

/// Puts the user into the declared groups, and takes the user out of those into which the operator put it and that left the spec.
async fn memberships(
    server: &Server<'_>,
    user: &User,
    live: &LiveUser,
    state: &mut UserStatus,
    written: &mut Written,
) -> Result<(), Fault> {
    let missing = user.groups.iter().filter(|group| !live.is_in(group));
    for group in missing {
        if !state.groups.contains(group) {
            return Err(not_announced());
        }
        written.push(format!("group {group} of user {}", user.name));
        let path = format!("groups/{}/members", encoded(group));
        let body = json!({"username": user.name});
        server.call(Method::POST, &path, Some(&body)).await?;
    }
    let made = state.groups.clone();
    for group in made.iter().filter(|group| !user.groups.contains(*group)) {
        if live.is_in(group) {
            let path = format!("groups/{}/members/{}", encoded(group), encoded(&user.name));
            gone(server.call(Method::DELETE, &path, None).await)?;
        }
        state.groups.retain(|known| known != group);
    }
    Ok(())
}

/// What is gone needs no more.
pub(super) fn gone<T>(result: Result<T, Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.status() != Some(StatusCode::NOT_FOUND) => Err(error),
        _ => Ok(()),
    }
}
