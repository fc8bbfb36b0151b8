//! The Secrets with which the server of a combination can start.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, SecretVolumeSource};
use kube::api::ObjectMeta;
use local_control_plane::postgres::Postgres;

use super::combinations::Combination;
use crate::files::tls::Authority;

/// Long enough for a signing key, short enough for a password.
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const KRB5_CONF: &str = "[libdefaults]\n  default_realm = EXAMPLE.COM\n";
/// The beginning of the variables with the connection to PostgreSQL.
const DATABASE: &str = "DITTOFS_DATABASE_POSTGRES_";

/// By Secret and key.
type Data = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// What the values of Secrets come from.
pub struct Values {
    pub postgres: Option<Postgres>,
    pub authority: Authority,
}

impl Values {
    /// Every Secret that the pod of a server reads.
    pub fn secrets(&self, combination: &Combination) -> Vec<Secret> {
        let mut data = Data::new();
        for variable in combination.container().env.iter().flatten() {
            let source = variable.value_from.as_ref();
            if let Some(of) = source.and_then(|source| source.secret_key_ref.as_ref()) {
                let value = self.variable(&variable.name, &combination.name);
                let keys = data.entry(of.name.clone()).or_default();
                keys.insert(of.key.clone(), value.into_bytes());
            }
        }
        for volume in combination.pod().volumes.iter().flatten() {
            if let Some(source) = &volume.secret {
                let name = source.secret_name.clone().expect("a name");
                data.entry(name)
                    .or_default()
                    .extend(self.files(&volume.name, source));
            }
        }
        data.into_iter().map(|(name, keys)| secret(name, keys)).collect()
    }

    fn variable(&self, variable: &str, database: &str) -> String {
        let Some(part) = variable.strip_prefix(DATABASE) else {
            return SECRET.to_owned();
        };
        if part == "SSLMODE" {
            return "require".to_owned();
        }
        let postgres = self.postgres.as_ref().expect("PostgreSQL runs");
        let key = part.to_lowercase();
        let mut values = postgres.secret_of(database).into_iter();
        let found = values.find(|(known, _)| *known == key);
        found.unwrap_or_else(|| panic!("no value for {part}")).1
    }

    fn files(&self, volume: &str, source: &SecretVolumeSource) -> Vec<(String, Vec<u8>)> {
        let Some(items) = &source.items else {
            return self.certificate();
        };
        let file = |path: &str| match path {
            "token" => SECRET.into(),
            "dittofs.keytab" | "machine.keytab" => keytab(),
            "krb5.conf" => KRB5_CONF.into(),
            "ca.crt" if volume == "postgres-ca" => {
                let postgres = self.postgres.as_ref().expect("PostgreSQL runs");
                postgres.ca().into()
            }
            "ca.crt" => self.authority.pem().into(),
            other => panic!("no content for {other}"),
        };
        items
            .iter()
            .map(|item| (item.key.clone(), file(&item.path)))
            .collect()
    }

    /// A certificate, its key and the CA.
    fn certificate(&self) -> Vec<(String, Vec<u8>)> {
        let issued = self.authority.issue("any", Ipv4Addr::LOCALHOST);
        let keys = issued.string_data.into_iter().flatten();
        keys.map(|(key, value)| (key, value.into_bytes())).collect()
    }
}

fn secret(name: String, keys: BTreeMap<String, Vec<u8>>) -> Secret {
    let data = keys.into_iter().map(|(key, value)| (key, ByteString(value)));
    Secret {
        metadata: ObjectMeta {
            name: Some(name),
            ..ObjectMeta::default()
        },
        data: Some(data.collect()),
        ..Secret::default()
    }
}

/// A keytab with one random key, in the format of MIT Kerberos, version 2: all numbers are big-endian, and each text has its
/// length in front.
pub fn keytab() -> Vec<u8> {
    const NT_PRINCIPAL: u32 = 1;
    const VERSION_OF_KEY: u8 = 1;
    const AES256_CTS_HMAC_SHA1_96: u16 = 18;
    let mut key = [0; 32];
    getrandom::fill(&mut key).expect("random numbers");
    let text = |text: &[u8]| {
        [
            &u16::try_from(text.len()).expect("a short text").to_be_bytes(),
            text,
        ]
        .concat()
    };
    let now = u32::try_from(Timestamp::now().as_second()).expect("a time before 2106");
    let components: u16 = 2;
    let entry = [
        components.to_be_bytes().to_vec(),
        text(b"EXAMPLE.COM"),
        text(b"nfs"),
        text(b"h"),
        NT_PRINCIPAL.to_be_bytes().to_vec(),
        now.to_be_bytes().to_vec(),
        vec![VERSION_OF_KEY],
        AES256_CTS_HMAC_SHA1_96.to_be_bytes().to_vec(),
        text(&key),
    ]
    .concat();
    let length = i32::try_from(entry.len()).expect("a short entry");
    [&[5, 2], length.to_be_bytes().as_slice(), entry.as_slice()].concat()
}
