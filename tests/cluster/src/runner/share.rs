//! A share on a real server, made through its API: what an administrator does before anybody has files.

use http::Method;
use serde_json::{Value, json};

use super::{CallFailed, PodRunner};

/// The user that owns the share, by number. NFS knows no other name.
pub const UID: u32 = 1000;
/// Its name. SMB asks for the password too.
pub const USER: &str = "user";
/// The share.
pub const SHARE: &str = "/export";

impl PodRunner {
    /// Makes stores, the user [`USER`] and the share [`SHARE`] on the server in a pod, unless they are there. Everybody may
    /// write to it.
    ///
    /// # Errors
    /// When the server has no API yet, or refuses it.
    pub async fn make_share(&self, namespace: &str, pod: &str, password: &str) -> Result<(), CallFailed> {
        let api = self.api(namespace, pod).ok_or_else(CallFailed::no_api)?;
        let shares = api.call(Method::GET, "/shares", None).await?;
        let mut known = shares.as_array().into_iter().flatten();
        if known.any(|share| share["name"] == SHARE) {
            return Ok(());
        }
        let path = |path| {
            let path = self
                .path(namespace, pod, path)
                .ok_or_else(CallFailed::no_volume)?;
            Ok(json!({"path": path}).to_string())
        };
        for (at, body) in calls(
            &path("/data/store/metadata/meta")?,
            &path("/data/store/block/local")?,
            password,
        ) {
            api.call(Method::POST, at, Some(&body)).await?;
        }
        Ok(())
    }
}

fn calls(metadata: &str, content: &str, password: &str) -> [(&'static str, Value); 4] {
    [
        (
            "/store/metadata",
            json!({"name": "meta", "type": "badger", "config": metadata}),
        ),
        (
            "/store/block/local",
            json!({"name": "local", "type": "fs", "config": content}),
        ),
        (
            "/users",
            json!({"username": USER, "password": password, "uid": UID, "gid": UID}),
        ),
        (
            "/shares",
            json!({
                "name": SHARE, "metadata_store_id": "meta", "local_block_store": "local",
                "owner": USER, "default_permission": "read-write",
            }),
        ),
    ]
}
