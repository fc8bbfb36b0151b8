//! What the demo says of the files on its real servers: the commands that put a file and read it back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::percona::scram;
use crate::runner::{PodRunner, SHARE, USER};

/// The key of the password in the Secret, as Secrets of the type `kubernetes.io/basic-auth` have it.
const KEY: &str = "password";

/// What leads to the files.
pub(super) struct Files {
    pub client: Client,
    pub kubeconfig: PathBuf,
    pub runner: PodRunner,
}

impl Files {
    /// The commands. What is not possible yet is an error.
    pub(super) async fn commands(&self, namespace: &str, name: &str) -> Result<Vec<String>, String> {
        let pod = format!("{name}-0");
        let api = self.runner.api(namespace, &pod).ok_or("the server has no API")?;
        let address = self.runner.address(namespace, &pod);
        let file = async |adapter: &str| {
            let port = api.port(adapter).await.map_err(|error| error.to_string())?;
            let port = port.ok_or_else(|| format!("the server does not serve {adapter} yet"))?;
            Ok::<_, String>(format!("{address}:{port}{SHARE}/hello.txt"))
        };
        let (nfs, smb) = (file("nfs").await?, file("smb").await?);
        let kubectl = format!(
            "kubectl --kubeconfig {} -n {namespace}",
            self.kubeconfig.display()
        );
        Ok(text(&program(), &kubectl, name, &nfs, &smb))
    }

    /// Makes the Secret with the password of the user, unless it exists.
    pub(super) async fn make_password(&self, namespace: &str, name: &str) -> Result<(), String> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), namespace);
        let failed = |error: kube::Error| format!("the Secret of the user: {error}");
        if secrets
            .get_opt(&secret_name(name))
            .await
            .map_err(failed)?
            .is_some()
        {
            return Ok(());
        }
        let password = scram::password().map_err(|_| "no random numbers")?;
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(secret_name(name)),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/basic-auth".to_owned()),
            string_data: Some(BTreeMap::from([
                ("username".to_owned(), USER.to_owned()),
                (KEY.to_owned(), password),
            ])),
            ..Secret::default()
        };
        secrets
            .create(&PostParams::default(), &secret)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

fn secret_name(server: &str) -> String {
    format!("{server}-{USER}")
}

fn text(program: &str, kubectl: &str, name: &str, nfs: &str, smb: &str) -> Vec<String> {
    let secret = secret_name(name);
    let password = format!("{kubectl} get secret {secret} -o jsonpath='{{.data.{KEY}}}' | base64 -d");
    vec![
        String::new(),
        format!(
            "{name} has a user and the share {SHARE}, as its manifest declares. Put a file over NFS, and read it back over SMB and NFS:"
        ),
        format!("  echo hello | {program} nfs put {nfs}"),
        format!("  SMB_PASSWORD=\"$({password})\" {program} smb get {smb}"),
        format!("  {program} nfs get {nfs}"),
        "The file is kept when the pod is deleted:".to_owned(),
        format!("  {kubectl} delete pod {name}-0"),
        "On a cluster, this prints how to mount the share:".to_owned(),
        format!(
            "  kubectl dittofs mount {name} --share {}",
            SHARE.trim_start_matches('/')
        ),
    ]
}

/// This executable, as it can be typed in every directory.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| "local-control-plane".into());
    let path = path.display().to_string();
    let is_plain = |symbol: char| symbol.is_ascii_alphanumeric() || "/._-".contains(symbol);
    if path.chars().all(is_plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}
