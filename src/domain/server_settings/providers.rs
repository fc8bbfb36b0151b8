//! Identity providers (LDAP, Kerberos). The server copies them from its configuration file at its first start only; after that its
//! database decides. So a change of the spec is written through the API.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

use super::kerberos;
pub use super::provider_values::{KERBEROS, LDAP};
use super::provider_values::{different, holds, known};
use crate::api::{IdentityProviderStatus, LdapSpec};
use crate::domain::observed::Observed;
use crate::domain::paths as server_files;
use crate::domain::secrets::Confidential;
use crate::domain::secrets::{Purpose, uses};

/// Of a provider that the server uses after a start that follows by itself.
const USED_AFTER_ROLLOUT: &str = "the server uses it after its next start. The operator replaces the pod for that; if something blocks it, the condition Progressing says what";
/// Of a provider that was not as the spec declares it, although the server had been started with it.
const USED_LATER: &str = "the server had other values than the spec, and uses those of the spec after its next start. No rollout follows: if the server was started with the other values, delete the pod at a convenient time";

/// One identity provider as the spec declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// `ldap` or `kerberos`.
    pub kind: &'static str,
    /// The fields that the spec decides, each with its value or its default. Without the password.
    pub fields: Value,
    /// The password.
    pub secret: Option<Confidential>,
    /// Where the password is in a request.
    pub secret_path: &'static [&'static str],
    /// What the status holds of it. `None` if the operator has not compared it yet.
    pub known: Option<IdentityProviderStatus>,
    /// Whether the spec declares it. Otherwise it is switched off, once.
    pub is_declared: bool,
    /// Whether the process that runs was started for another pod template or configuration, so that a rollout follows anyway.
    pub is_outdated: bool,
}

impl Provider {
    /// Whether a comparison with `before` shows nothing new. What was sent meanwhile is no reason to look again.
    #[must_use]
    pub fn is_same(&self, before: &Self) -> bool {
        self.kind == before.kind && self.fields == before.fields && self.secret == before.secret
    }

    /// Whether a process that has read `live` at its start needs another one to use the provider.
    #[must_use]
    pub fn is_used_later(&self, live: Option<&Value>) -> bool {
        if self.kind != KERBEROS {
            return false;
        }
        let known = self.known_fingerprint();
        kerberos::is_used_later(&self.fields, live)
            || known.is_some_and(|known| known != kerberos::applied(&self.fields, Some(known), None))
    }

    fn known_fingerprint(&self) -> Option<&str> {
        self.known.as_ref()?.applied_fingerprint.as_deref()
    }

    /// The status of a provider that the server has as declared, after a comparison with the process that started at `started`.
    #[must_use]
    pub fn applied(&self, started: Option<Timestamp>, is_used_later: bool) -> IdentityProviderStatus {
        let before = self.known_fingerprint();
        // The process read its database before the operator wrote to it for the first time, and no rollout follows.
        let is_first = before.is_none() && !self.is_outdated;
        let is_misled = is_first && (is_used_later || self.waits_for(started));
        let applied_fingerprint = (self.kind == KERBEROS && self.is_enabled())
            .then(|| kerberos::applied(&self.fields, before, started.filter(|_| is_misled)));
        let is_new = before.is_some() && applied_fingerprint.as_deref() != before;
        let is_waiting = is_used_later || self.waits_for(started);
        let message = if self.is_outdated || is_misled || is_new {
            USED_AFTER_ROLLOUT
        } else {
            USED_LATER
        };
        IdentityProviderStatus {
            r#type: self.kind.to_owned(),
            applied: true,
            applied_fingerprint,
            server_started: started.filter(|_| is_waiting).map(Time),
            message: is_waiting.then(|| message.to_owned()),
            ..IdentityProviderStatus::default()
        }
    }

    /// Whether the status says that the process that started at `started` does not use the configuration yet.
    fn waits_for(&self, started: Option<Timestamp>) -> bool {
        let waited = self
            .known
            .as_ref()
            .and_then(|known| known.server_started.as_ref());
        waited.is_some_and(|waited| Some(waited.0) == started)
    }

    /// The status of a provider that the operator is about to write for the first time, to the process that started at `started`. It
    /// is written once the status holds this: if the operator dies between the two, the next one still knows that the provider is to
    /// be switched off when it leaves the spec, and which process has read other values.
    #[must_use]
    pub fn announced(&self, started: Option<Timestamp>, is_used_later: bool) -> IdentityProviderStatus {
        IdentityProviderStatus {
            r#type: self.kind.to_owned(),
            server_started: started.filter(|_| is_used_later).map(Time),
            ..IdentityProviderStatus::default()
        }
    }

    /// The status of a provider that could not be read or written.
    #[must_use]
    pub fn failed(&self, message: String) -> IdentityProviderStatus {
        IdentityProviderStatus {
            r#type: self.kind.to_owned(),
            applied: false,
            message: Some(message),
            ..self.known.clone().unwrap_or_default()
        }
    }

    /// Whether the provider is to be on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.fields["enabled"] == json!(true)
    }

    /// Whether the server has other values. `live` is `None` where the server has no configuration of the provider.
    #[must_use]
    pub fn differs(&self, live: Option<&Value>) -> bool {
        match live {
            None => self.is_enabled(),
            // A provider that is off is not compared: the server does not use its fields.
            Some(live) if !self.is_enabled() => live["enabled"] == json!(true),
            Some(live) => !holds(live, &self.fields),
        }
    }

    /// The names of the fields that are different on the server.
    #[must_use]
    pub fn differences(&self, live: Option<&Value>) -> Vec<String> {
        let mut names = Vec::new();
        different(live.unwrap_or(&Value::Null), &self.fields, "", &mut names);
        names
    }

    /// The whole configuration to write: a field that is left out would go to its default. `with_secret` adds the password; without
    /// it the server keeps the one that it has.
    #[must_use]
    pub fn request(&self, live: Option<&Value>, with_secret: bool) -> Value {
        let mut body = live.cloned().unwrap_or_else(|| json!({}));
        overlay(&mut body, &self.fields);
        if let Some(secret) = self.secret.as_ref().filter(|_| with_secret) {
            let mut place = &mut body;
            for key in self.secret_path {
                place = &mut place[*key];
            }
            *place = json!(String::from_utf8_lossy(&secret.0));
        }
        body
    }
}

/// The providers of a server. One that the spec does not declare any more is switched off if this operator wrote it.
/// `is_outdated`: whether the pod that serves has another configuration than it must have; asked only with Kerberos.
#[must_use]
pub fn declared(observed: &Observed, is_outdated: impl Fn() -> bool) -> Vec<Provider> {
    let server = observed.server.as_ref();
    let ldap = server.spec.ldap().map(ldap_fields);
    let password = |purpose| {
        let all = uses(server);
        let password = all.iter().find(|used| used.purpose == purpose)?;
        Some(Confidential(observed.value(password)?.into()))
    };
    let provider = |kind, fields: Option<Value>, purpose, secret_path| {
        let known = known(server.status.as_ref(), kind).cloned();
        let is_declared = fields.is_some();
        let fields = match fields {
            Some(fields) => fields,
            None => known.as_ref().map(|_| json!({"enabled": false}))?,
        };
        Some(Provider {
            kind,
            fields,
            secret: password(purpose),
            secret_path,
            known,
            is_declared,
            is_outdated: kind == KERBEROS && is_outdated(),
        })
    };
    [
        provider(LDAP, ldap, Purpose::LdapBindPassword, &["bind_password"]),
        provider(
            KERBEROS,
            kerberos::of_spec(server),
            Purpose::MachineAccountSecret,
            &["machine_account", "secret"],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn ldap_fields(ldap: &LdapSpec) -> Value {
    let idmap = ldap.idmap.unwrap_or_default();
    json!({
        "enabled": ldap.enabled,
        "url": ldap.url,
        "start_tls": ldap.start_tls,
        "allow_plaintext": ldap.allow_plaintext,
        "base_dn": ldap.base_dn,
        "bind_dn": ldap.bind_dn,
        "user_attr": ldap.user_attr.as_deref().filter(|attr| !attr.is_empty()).unwrap_or("sAMAccountName"),
        "realm": ldap.realm.as_deref().unwrap_or_default(),
        "idmap": json!(idmap),
        "nested_groups": ldap.nested_groups,
        "tls": {
            "ca_cert_file": server_files::ldap_ca_file(ldap).unwrap_or_default(),
            "insecure_skip_verify": ldap.insecure_skip_verify,
        },
    })
}

fn overlay(target: &mut Value, fields: &Value) {
    let Value::Object(fields) = fields else {
        *target = fields.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (key, value) in fields {
        overlay(&mut target[key.as_str()], value);
    }
}

#[cfg(test)]
mod tests;
