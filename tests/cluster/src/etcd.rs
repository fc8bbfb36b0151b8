//! What an administrator does when etcd is out of space.

use kube::Client;
use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::error::Error;

impl ControlPlane {
    /// Gives etcd its space back after it was full: drops its history, makes its file smaller, and ends the alarms. What is stored must
    /// have been deleted before.
    ///
    /// # Errors
    /// When etcd does not run, or refuses.
    pub async fn reclaim_space(&self) -> Result<(), Error> {
        let etcd = self.etcd()?;
        let status = call(&etcd, "maintenance/status", &json!({})).await?;
        let history = json!({"revision": status["header"]["revision"], "physical": true});
        call(&etcd, "kv/compaction", &history).await?;
        call(&etcd, "maintenance/defragment", &json!({})).await?;
        let raised = call(&etcd, "maintenance/alarm", &json!({"action": "GET"})).await?;
        for alarm in raised["alarms"].as_array().into_iter().flatten() {
            let end = json!({"action": "DEACTIVATE", "memberID": alarm["memberID"], "alarm": alarm["alarm"]});
            call(&etcd, "maintenance/alarm", &end).await?;
        }
        Ok(())
    }
}

async fn call(etcd: &Client, path: &str, body: &Value) -> Result<Value, Error> {
    let request = http::Request::post(format!("/v3/{path}"))
        .header("Content-Type", "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| Error::Etcd(Box::new(kube::Error::HttpError(error))))?;
    let answer = etcd.request(request).await;
    answer.map_err(|error| Error::Etcd(Box::new(error)))
}
