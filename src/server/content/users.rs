//! Groups and users.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Fault, Log, conclude, gone, known, left_behind, list, unlisted};
use crate::api::{GroupSpec, GroupStatus, UserStatus};
use crate::domain::content::users::{LiveGroup, LiveUser, User, group_creation, group_update};
use crate::domain::content::{CONFLICT, Content, DEPENDENCY_NOT_READY, SECRET_NOT_USABLE, digest};
use crate::server::administrator::Server;
use crate::server::client::Error;
use crate::server::url::encoded;

/// Makes the groups.
pub(super) async fn groups(server: &Server<'_>, content: &Content, log: &mut Log) -> Vec<GroupStatus> {
    let known_groups = &content.known.groups;
    if content.groups.is_empty() && known_groups.is_empty() {
        return Vec::new();
    }
    let live: Vec<LiveGroup> = match list(server, "groups").await {
        Ok(live) => live,
        Err(error) => {
            let names = content.groups.iter().map(|group| group.name.clone());
            return unlisted(known_groups, names, error, log);
        }
    };
    let mut states = Vec::new();
    for group in &content.groups {
        let mut state = known(known_groups, &group.name);
        let outcome = write_group(server, group, &live, log).await;
        if conclude(&mut state, outcome, log) {
            state.applied = Some(digest(group));
        }
        states.push(state);
    }
    let present = live.iter().map(|live| (live.name.as_str(), true));
    left_behind(known_groups, present, &mut states);
    states
}

async fn write_group(
    server: &Server<'_>,
    group: &GroupSpec,
    live: &[LiveGroup],
    log: &mut Log,
) -> Result<(), Fault> {
    let holder = live
        .iter()
        .find(|live| live.name != group.name && live.gid.is_some() && live.gid == group.gid);
    if let (Some(gid), Some(holder)) = (group.gid, holder) {
        let message = format!(
            "gid {gid} belongs to group {} on the server: choose another gid, or give that group another one first",
            holder.name
        );
        return Err(Fault::new(CONFLICT, message));
    }
    let Some(live) = live.iter().find(|live| live.name == group.name) else {
        server
            .call(Method::POST, "groups", Some(&group_creation(group)))
            .await?;
        log.written.push(format!("group {}", group.name));
        return Ok(());
    };
    if let Some(body) = group_update(group, live) {
        let path = format!("groups/{}", encoded(&group.name));
        server.call(Method::PUT, &path, Some(&body)).await?;
        log.written.push(format!("group {}", group.name));
    }
    Ok(())
}

/// Makes the users. Also returns those of the server.
pub(super) async fn users(
    server: &Server<'_>,
    content: &Content,
    log: &mut Log,
) -> (Vec<UserStatus>, Vec<LiveUser>) {
    let known_users = &content.known.users;
    if content.users.is_empty() && known_users.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut live: Vec<LiveUser> = match list(server, "users").await {
        Ok(live) => live,
        Err(error) => {
            let names = content.users.iter().map(|user| user.name.clone());
            return (unlisted(known_users, names, error, log), Vec::new());
        }
    };
    let mut states = Vec::new();
    let mut made = Vec::new();
    for user in &content.users {
        let mut state: UserStatus = known(known_users, &user.name);
        let outcome = write(server, user, &live, &mut state, log).await;
        if conclude(&mut state, outcome, log) {
            state.applied = Some(user.digest.clone());
            made.push(user.name.clone());
        }
        states.push(state);
    }
    let present = live.iter().map(|live| (live.username.as_str(), live.enabled));
    left_behind(known_users, present, &mut states);
    made.retain(|name| !live.iter().any(|live| live.username == *name));
    live.extend(made.into_iter().map(|username| LiveUser {
        username,
        ..LiveUser::default()
    }));
    (states, live)
}

async fn write(
    server: &Server<'_>,
    user: &User,
    live: &[LiveUser],
    state: &mut UserStatus,
    log: &mut Log,
) -> Result<(), Fault> {
    let holder = live
        .iter()
        .find(|live| live.username != user.name && live.uid.is_some() && live.uid == user.uid);
    if let (Some(uid), Some(holder)) = (user.uid, holder) {
        let message = format!(
            "uid {uid} belongs to user {} on the server: choose another uid, or give that user another one first",
            holder.username
        );
        return Err(Fault::new(CONFLICT, message));
    }
    let Some(live) = live.iter().find(|live| live.username == user.name) else {
        return create(server, user, state, log).await;
    };
    if let Some(body) = user.update(live) {
        let path = format!("users/{}", encoded(&user.name));
        server.call(Method::PUT, &path, Some(&body)).await?;
        log.written.push(format!("user {}", user.name));
    }
    memberships(server, user, live, state, log).await?;
    let password = user.password.as_ref();
    let password = password.map_err(|why| Fault::new(SECRET_NOT_USABLE, why))?;
    if !user.is_password_sent(state.password_version.as_ref()) {
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
    log: &mut Log,
) -> Result<(), Fault> {
    let password = user.password.as_ref();
    let password = password.map_err(|why| Fault::new(SECRET_NOT_USABLE, why))?;
    let body = user.creation(&String::from_utf8_lossy(&password.value.0));
    server.call(Method::POST, "users", Some(&body)).await?;
    log.written.push(format!("user {}", user.name));
    state.password_version = Some(password.version.clone());
    memberships(server, user, &LiveUser::default(), state, log).await
}

/// Puts the user into the declared groups, and takes the user out of those into which the operator put it and that left the spec.
async fn memberships(
    server: &Server<'_>,
    user: &User,
    live: &LiveUser,
    state: &mut UserStatus,
    log: &mut Log,
) -> Result<(), Fault> {
    let (named, new): (Vec<&String>, Vec<&String>) = user
        .groups
        .iter()
        .filter(|group| !live.is_in(group))
        .partition(|group| state.groups.contains(*group));
    for group in named {
        let path = format!("groups/{}/members", encoded(group));
        let body = json!({"username": user.name});
        let added = server.call(Method::POST, &path, Some(&body)).await;
        added.map_err(|error| without_group(error, group))?;
        log.written.push(format!("group {group} of user {}", user.name));
    }
    let made = state.groups.clone();
    for group in made.iter().filter(|group| !user.groups.contains(*group)) {
        if live.is_in(group) {
            let path = format!("groups/{}/members/{}", encoded(group), encoded(&user.name));
            gone(server.call(Method::DELETE, &path, None).await)?;
        }
        state.groups.retain(|known| known != group);
    }
    if new.is_empty() {
        return Ok(());
    }
    state.groups.extend(new.into_iter().cloned());
    Err(log.announced("the memberships of groups"))
}

/// The server has the user, so it is the group that it does not have.
fn without_group(error: Error, group: &str) -> Fault {
    if error.status() != Some(StatusCode::NOT_FOUND) {
        return error.into();
    }
    let message = format!("it waits for the group {group}, which the server does not have");
    Fault::new(DEPENDENCY_NOT_READY, message)
}
