//! Volumes of the pod and their mounts, in the order of contract section 2.3.

use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount};
use kube::ResourceExt;

use super::database_tls::DatabaseTls;
use super::paths;
use crate::api::{DittoServer, names};
use crate::domain::secrets::{CA_KEY, Purpose, SecretUse};

/// Name of the volume of the ConfigMap.
const CONFIG_VOLUME: &str = "config";
/// Readable by the owner and by `fsGroup`, the group of the server. Kerberos libraries refuse a keytab that others can read.
const KEYTAB_MODE: i32 = 0o440;

/// A Secret's key that is mounted as a file.
struct SecretFile {
    purpose: Purpose,
    volume: &'static str,
    mount: &'static str,
    file: &'static str,
    mode: Option<i32>,
}

const SECRET_FILES: [SecretFile; 4] = [
    SecretFile {
        purpose: Purpose::MetricsToken,
        volume: "metrics-token",
        mount: paths::METRICS_TOKEN,
        file: paths::METRICS_TOKEN_FILE,
        mode: None,
    },
    SecretFile {
        purpose: Purpose::Keytab,
        volume: "kerberos-keytab",
        mount: paths::KEYTAB,
        file: paths::KEYTAB_FILE,
        mode: Some(KEYTAB_MODE),
    },
    SecretFile {
        purpose: Purpose::Krb5Conf,
        volume: "kerberos-krb5",
        mount: paths::KRB5_CONF,
        file: paths::KRB5_CONF_FILE,
        mode: None,
    },
    SecretFile {
        purpose: Purpose::MachineAccountKeytab,
        volume: "kerberos-machine-keytab",
        mount: paths::MACHINE_KEYTAB,
        file: paths::MACHINE_KEYTAB_FILE,
        mode: Some(KEYTAB_MODE),
    },
];

/// CA of the database. Mounted only where the server verifies the database with it.
const POSTGRES_CA: SecretFile = SecretFile {
    purpose: Purpose::DatabaseCa,
    volume: "postgres-ca",
    mount: paths::POSTGRES_CA,
    file: CA_KEY,
    mode: None,
};

/// Volumes of a pod, and where its container mounts them.
pub(super) struct Mounts {
    /// Volumes of the pod template. The StatefulSet adds those of the claims.
    pub(super) volumes: Vec<Volume>,
    /// Mounts of all volumes.
    pub(super) mounts: Vec<VolumeMount>,
}

impl Mounts {
    /// `has_content` says whether there is a claim for file content.
    pub(super) fn build(
        server: &DittoServer,
        uses: &[SecretUse],
        tls: DatabaseTls,
        has_content: bool,
    ) -> Self {
        let mut all = Self {
            volumes: Vec::new(),
            mounts: Vec::new(),
        };
        all.mounts
            .push(mount(names::CONTROL_PLANE_VOLUME, paths::CONTROL_PLANE));
        all.mounts.push(mount(names::METADATA_VOLUME, paths::METADATA));
        all.add_config(server);
        if has_content {
            all.mounts.push(mount(names::CONTENT_VOLUME, paths::CONTENT));
        }
        all.add_tls(server);
        let database_ca = tls.has_ca.then_some(&POSTGRES_CA);
        for file in SECRET_FILES.iter().chain(database_ca) {
            if let Some(used) = uses.iter().find(|used| used.purpose == file.purpose) {
                all.add_secret_file(file, used);
            }
        }
        all
    }

    fn add_config(&mut self, server: &DittoServer) {
        let source = ConfigMapVolumeSource {
            name: names::config_map(&server.name_any()),
            ..ConfigMapVolumeSource::default()
        };
        self.volumes.push(Volume {
            name: CONFIG_VOLUME.to_owned(),
            config_map: Some(source),
            ..Volume::default()
        });
        self.mounts.push(mount(CONFIG_VOLUME, paths::CONFIG));
    }

    /// The whole Secrets: the kubelet updates a mounted Secret, and the server reloads its certificate.
    fn add_tls(&mut self, server: &DittoServer) {
        if let Some(secret) = server.spec.cert_secret_name() {
            self.add_secret("tls-cert", paths::TLS, secret, None);
        }
        if let Some(secret) = server.spec.client_ca_secret_name() {
            self.add_secret("tls-client-ca", paths::TLS_CLIENT_CA, secret, None);
        }
    }

    fn add_secret_file(&mut self, file: &SecretFile, used: &SecretUse) {
        let item = KeyToPath {
            key: used.key.clone(),
            path: file.file.to_owned(),
            mode: file.mode,
        };
        self.add_secret(file.volume, file.mount, &used.secret, Some(vec![item]));
    }

    fn add_secret(&mut self, volume: &str, path: &str, secret: &str, items: Option<Vec<KeyToPath>>) {
        let source = SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            items,
            ..SecretVolumeSource::default()
        };
        self.volumes.push(Volume {
            name: volume.to_owned(),
            secret: Some(source),
            ..Volume::default()
        });
        self.mounts.push(VolumeMount {
            read_only: Some(true),
            ..mount(volume, path)
        });
    }
}

fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}
