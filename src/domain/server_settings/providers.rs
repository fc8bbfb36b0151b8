//! Identity providers (LDAP, Kerberos). The server copies them from its configuration file at its first start only; after that its
//! database decides. So a change of the spec is written through the API.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

use crate::api::{DittoServer, IdentityProviderStatus, KerberosSpec, LdapSpec, MachineAccountSpec};
use crate::domain::observed::Observed;
use crate::domain::paths as server_files;
use crate::domain::secrets::Confidential;
use crate::domain::secrets::{Purpose, uses};

/// `ldap` in the API and in the status.
pub const LDAP: &str = "ldap";
/// `kerberos` in the API and in the status.
pub const KERBEROS: &str = "kerberos";

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
    /// Fingerprint of the password that was sent last.
    pub known_secret: Option<String>,
    /// Start of the process that does not use what was written last.
    pub waits_for_start_after: Option<Time>,
}

impl Provider {
    /// Whether a comparison with `before` shows nothing new. What was sent meanwhile is no reason to look again.
    #[must_use]
    pub fn is_same(&self, before: &Self) -> bool {
        self.kind == before.kind && self.fields == before.fields && self.secret == before.secret
    }

    /// The start of the process that does not use the configuration, after a comparison with the process that started at `started`.
    #[must_use]
    pub fn waits(&self, started: Option<Timestamp>, is_written: bool) -> Option<Time> {
        let started = started.map(Time);
        let is_waiting = is_written || self.waits_for_start_after == started;
        started.filter(|_| self.kind == KERBEROS && is_waiting)
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
#[must_use]
pub fn declared(observed: &Observed) -> Vec<Provider> {
    let server = observed.server.as_ref();
    let ldap = server.spec.ldap().map(ldap_fields);
    let kerberos = server
        .spec
        .kerberos()
        .map(|kerberos| kerberos_fields(kerberos, server.spec.machine_account()));
    let password = |purpose| {
        let all = uses(server);
        let password = all.iter().find(|used| used.purpose == purpose)?;
        Some(Confidential(observed.value(password)?.into()))
    };
    let provider = |kind, fields: Option<Value>, purpose, secret_path| {
        let known = known(server, kind);
        let fields = match fields {
            Some(fields) => fields,
            None => known.map(|_| json!({"enabled": false}))?,
        };
        Some(Provider {
            kind,
            fields,
            secret: password(purpose),
            secret_path,
            known_secret: known.and_then(|known| known.secret_fingerprint.clone()),
            waits_for_start_after: known.and_then(|known| known.server_started.clone()),
        })
    };
    [
        provider(LDAP, ldap, Purpose::LdapBindPassword, &["bind_password"]),
        provider(
            KERBEROS,
            kerberos,
            Purpose::MachineAccountSecret,
            &["machine_account", "secret"],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn known<'a>(server: &'a DittoServer, kind: &str) -> Option<&'a IdentityProviderStatus> {
    let providers = &server.status.as_ref()?.identity_providers;
    providers.iter().find(|provider| provider.r#type == kind)
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

fn kerberos_fields(kerberos: &KerberosSpec, account: Option<&MachineAccountSpec>) -> Value {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let krb5_conf = match kerberos.krb5_conf_ref() {
        Some(_) => server_files::krb5_conf(),
        None => text(&kerberos.krb5_conf),
    };
    let mut fields = json!({
        "enabled": true,
        "keytab_path": kerberos.keytab_ref().map(|_| server_files::keytab()).unwrap_or_default(),
        "service_principal": text(&kerberos.service_principal),
        "krb5_conf": krb5_conf,
        "machine_account": {"enabled": account.is_some()},
    });
    // The server derives these from the principal where they are absent.
    for (key, value) in [
        ("realm", &kerberos.realm),
        ("netbios_domain", &kerberos.netbios_domain),
        ("dns_domain", &kerberos.dns_domain),
    ] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            fields[key] = json!(value);
        }
    }
    if let Some(account) = account {
        fields["machine_account"] = json!({
            "enabled": true,
            "account_name": text(&account.account_name),
            "keytab_path": account.keytab_ref().map(|_| server_files::machine_keytab()).unwrap_or_default(),
            "dc_address": account.dc_address,
        });
    }
    fields
}

/// Whether `live` has every wanted value. An absent field equals an empty one.
fn holds(live: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(fields) => fields
            .iter()
            .all(|(key, wanted)| holds(&live[key.as_str()], wanted)),
        _ => live == wanted || (is_empty(live) && is_empty(wanted)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(true) | Value::Number(_) => false,
    }
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
mod tests {
    use super::*;
    use crate::api::DittoServerStatus;
    use crate::domain::testing;

    const LDAP_SPEC: &str = "identity: {ldap: {enabled: true, url: 'ldaps://d', baseDN: dc=x, bindDN: cn=y, bindPasswordSecretRef: {name: d, key: p}}}";

    fn only(spec: &str) -> Provider {
        let providers = declared(&testing::ready(spec));
        let [provider] = <[Provider; 1]>::try_from(providers).unwrap();
        provider
    }

    #[test]
    fn a_field_at_its_default_and_a_hidden_password_are_no_difference() {
        let provider = only(LDAP_SPEC);
        let mut live = json!({
            "enabled": true, "url": "ldaps://d", "base_dn": "dc=x", "bind_dn": "cn=y", "bind_password": "********",
            "user_attr": "sAMAccountName", "idmap": "rfc2307", "timeout": "10s", "max_group_results": 200,
        });
        assert!(!provider.differs(Some(&live)));
        live["user_attr"] = json!("uid");
        assert!(provider.differs(Some(&live)));
        assert!(provider.differs(None));
    }

    #[test]
    fn kerberos_that_was_written_waits_for_another_process_and_ldap_does_not() {
        let process = |second| Timestamp::from_second(second).ok();
        let mut kerberos = only("identity: {kerberos: {enabled: true, servicePrincipal: nfs/files@X}}");
        assert_eq!(kerberos.waits(process(1), false), None);
        kerberos.waits_for_start_after = kerberos.waits(process(1), true);
        assert_eq!(kerberos.waits_for_start_after, process(1).map(Time));
        assert_eq!(kerberos.waits(process(1), false), process(1).map(Time));
        assert_eq!(kerberos.waits(process(2), false), None);
        assert_eq!(only(LDAP_SPEC).waits(process(1), true), None);
    }

    #[test]
    fn a_request_keeps_the_fields_that_the_spec_does_not_know_and_has_the_password_only_when_it_must() {
        let provider = only(LDAP_SPEC);
        let live = json!({"timeout": "20s", "bind_password": "********", "user_attr": "uid"});
        let request = provider.request(Some(&live), false);
        assert_eq!(
            (&request["timeout"], &request["bind_password"]),
            (&json!("20s"), &json!("********"))
        );
        assert_eq!(request["user_attr"], "sAMAccountName");
        let request = provider.request(None, true);
        assert_eq!(request["bind_password"], "value of LdapBindPassword");
    }

    #[test]
    fn a_provider_that_leaves_the_spec_is_switched_off_only_if_this_operator_wrote_it() {
        let mut observed = testing::ready("");
        assert_eq!(declared(&observed), []);
        let mut server = (*observed.server).clone();
        server.status = Some(DittoServerStatus {
            identity_providers: vec![IdentityProviderStatus {
                r#type: LDAP.into(),
                applied: true,
                ..IdentityProviderStatus::default()
            }],
            ..DittoServerStatus::default()
        });
        observed.server = server.into();
        let providers = declared(&observed);
        assert!(providers[0].differs(Some(&json!({"enabled": true}))));
        assert!(!providers[0].differs(Some(&json!({"enabled": false, "url": "x"}))));
        assert!(!providers[0].differs(None));
    }
}
