//! Volumes of the pod and their mounts, in the order of contract section 2.3.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount,
};
use kube::ResourceExt;

use super::database_tls::DatabaseTls;
use super::security;
use crate::api::{DittoServer, DittoServerSpec, names};
use crate::domain::paths;
use crate::domain::secrets::{CA_KEY, Purpose, SecretUse};

/// Name of the volume of the ConfigMap.
const CONFIG_VOLUME: &str = "config";
/// Name of the volume of the server's certificate.
const TLS_VOLUME: &str = "tls-cert";
/// Name of the volume of the CA of client certificates.
const CLIENT_CA_VOLUME: &str = "tls-client-ca";
/// Name of the volume for temporary files.
const TEMPORARY_VOLUME: &str = "server-tmp";
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

const SECRET_FILES: [SecretFile; 5] = [
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
    SecretFile {
        purpose: Purpose::LdapCa,
        volume: "ldap-ca",
        mount: paths::LDAP_CA,
        file: CA_KEY,
        mode: None,
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

    /// A place for temporary files, if the server cannot write to the file system of its image. A mount of the user comes first.
    pub(super) fn add_temporary(&mut self, spec: &DittoServerSpec) {
        let of_user = spec
            .pod_template
            .iter()
            .flat_map(|template| &template.volume_mounts);
        let is_mounted = of_user
            .map(|mount| mount.mount_path.trim_end_matches('/'))
            .any(|path| path == paths::TEMPORARY);
        if !security::is_read_only(spec) || is_mounted {
            return;
        }
        self.volumes.push(Volume {
            name: TEMPORARY_VOLUME.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        });
        self.mounts.push(mount(TEMPORARY_VOLUME, paths::TEMPORARY));
    }

    /// The whole Secrets: the kubelet updates a mounted Secret, and the server reloads its certificate.
    fn add_tls(&mut self, server: &DittoServer) {
        if let Some(secret) = server.spec.cert_secret_name() {
            self.add_secret(TLS_VOLUME, paths::TLS, secret, None);
        }
        if let Some(secret) = server.spec.client_ca_secret_name() {
            self.add_secret(CLIENT_CA_VOLUME, paths::TLS_CLIENT_CA, secret, None);
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

/// The volumes that a pod template may name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let of_secrets = SECRET_FILES.iter().chain([&POSTGRES_CA]).map(|file| file.volume);
    [CONFIG_VOLUME, TLS_VOLUME, CLIENT_CA_VOLUME, TEMPORARY_VOLUME]
        .into_iter()
        .chain(of_secrets)
}

/// Where a container may mount them.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    let of_secrets = SECRET_FILES.iter().chain([&POSTGRES_CA]).map(|file| file.mount);
    [
        paths::CONFIG,
        paths::CONTROL_PLANE,
        paths::METADATA,
        paths::CONTENT,
        paths::TLS,
        paths::TLS_CLIENT_CA,
    ]
    .into_iter()
    .chain(of_secrets)
}

fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}
