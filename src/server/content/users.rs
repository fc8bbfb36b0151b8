//! Groups and users.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Fault, Log, conclude, gone, known, left_behind, list, unlisted};
use crate::api::{GroupSpec, GroupStatus, UserStatus};
use crate::domain::content::users::{LiveGroup, LiveUser, User, group_creation, group_update};
use crate::domain::content::{CONFLICT, Content, DEPENDENCY_NOT_READY, SECRET_NOT_USABLE, Versioned, digest};
use crate::domain::secrets::Confidential;
use crate::server::administrator::Server;
use crate::server::client::Error;
use crate::server::url::segment;

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
        let path = format!("groups/{}", segment(&group.name));
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
            made.push(user);
        }
        states.push(state);
    }
    let present = live.iter().map(|live| (live.username.as_str(), live.enabled));
    left_behind(known_users, present, &mut states);
    // What is as declared now is so also if the list is from before.
    live.retain(|live| !made.iter().any(|user| user.name == live.username));
    live.extend(made.into_iter().map(|user| LiveUser {
        username: user.name.clone(),
        uid: user.uid,
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
    let number = match (user.uid, holder) {
        (Some(uid), Some(holder)) => Err(Fault::new(
            CONFLICT,
            format!(
                "uid {uid} belongs to user {} on the server: choose another uid, or give that user another one first",
                holder.username
            ),
        )),
        _ => Ok(()),
    };
    let present = live.iter().find(|live| live.username == user.name).cloned();
    let live = if let Some(present) = present {
        present
    } else {
        number.clone()?;
        create(server, user, state, log).await?
    };
    // Each step is made, whatever becomes of the others: a number that is taken must not keep somebody who is to be locked out.
    let fields = update(server, user, &live, number.is_ok(), log).await;
    let groups = memberships(server, user, &live, state, log).await;
    let password = send_password(server, user, state).await;
    number.and(fields).and(groups).and(password)
}

/// Makes the user. Returns it as the server made it, which may differ: it does not make a user that is not enabled.
async fn create(
    server: &Server<'_>,
    user: &User,
    state: &mut UserStatus,
    log: &mut Log,
) -> Result<LiveUser, Fault> {
    let password = usable_password(user)?;
    let body = user.creation(&String::from_utf8_lossy(&password.value.0));
    let made = server.read(Method::POST, "users", Some(&body)).await?;
    log.written.push(format!("user {}", user.name));
    state.password_version = Some(password.version.clone());
    Ok(made)
}

/// Writes the fields that differ.
async fn update(
    server: &Server<'_>,
    user: &User,
    live: &LiveUser,
    has_number: bool,
    log: &mut Log,
) -> Result<(), Fault> {
    let Some(body) = user.update(live, has_number) else {
        return Ok(());
    };
    let path = format!("users/{}", segment(&user.name));
    server.call(Method::PUT, &path, Some(&body)).await?;
    log.written.push(format!("user {}", user.name));
    Ok(())
}

async fn send_password(server: &Server<'_>, user: &User, state: &mut UserStatus) -> Result<(), Fault> {
    let password = usable_password(user)?;
    if user.is_password_sent(state.password_version.as_ref()) {
        return Ok(());
    }
    let path = format!("users/{}/password", segment(&user.name));
    let body = json!({"new_password": String::from_utf8_lossy(&password.value.0)});
    server.call(Method::POST, &path, Some(&body)).await?;
    state.password_version = Some(password.version.clone());
    Ok(())
}

fn usable_password(user: &User) -> Result<&Versioned<Confidential>, Fault> {
    let password = user.password.as_ref();
    password.map_err(|why| Fault::new(SECRET_NOT_USABLE, why))
}

/// Takes the user out of the groups into which the operator put it and that left the spec, and puts the user into the declared ones.
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
    let mut outcome = Ok(());
    let made = state.groups.clone();
    for group in made.iter().filter(|group| !user.groups.contains(*group)) {
        let path = format!("groups/{}/members/{}", segment(group), segment(&user.name));
        let left = if live.is_in(group) {
            gone(server.call(Method::DELETE, &path, None).await)
        } else {
            Ok(())
        };
        match left {
            Ok(()) => state.groups.retain(|known| known != group),
            Err(error) => outcome = outcome.and(Err(error.into())),
        }
    }
    for group in named {
        let path = format!("groups/{}/members", segment(group));
        let body = json!({"username": user.name});
        match server.call(Method::POST, &path, Some(&body)).await {
            Ok(_) => log.written.push(format!("group {group} of user {}", user.name)),
            Err(error) => outcome = outcome.and(Err(without_group(error, group))),
        }
    }
    if new.is_empty() {
        return outcome;
    }
    state.groups.extend(new.into_iter().cloned());
    let waits = log.announced("the memberships of groups");
    outcome.and(Err(waits))
}

/// The server has the user, so it is the group that it does not have.
fn without_group(error: Error, group: &str) -> Fault {
    if error.status() != Some(StatusCode::NOT_FOUND) {
        return error.into();
    }
    let message = format!("it waits for the group {group}, which the server does not have");
    Fault::new(DEPENDENCY_NOT_READY, message)
}
