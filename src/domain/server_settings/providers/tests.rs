use std::sync::Arc;

use super::*;
use crate::api::DittoServerStatus;
use crate::domain::observed::Read;
use crate::domain::testing;

const LDAP_SPEC: &str = "identity: {ldap: {enabled: true, url: 'ldaps://d', baseDN: dc=x, bindDN: cn=y, bindPasswordSecretRef: {name: d, key: p}}}";

fn only(spec: &str) -> Provider {
    let providers = declared(&testing::ready(spec), || false);
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

const KERBEROS_SPEC: &str = "identity: {kerberos: {enabled: true, servicePrincipal: nfs/files@X.ORG, keytabSecretRef: {name: k, key: k}}}";

/// What a server has that was started with [`KERBEROS_SPEC`].
fn seeded() -> Value {
    json!({
        "enabled": true, "keytab_path": "/another/mount/of/this/keytab", "service_principal": "nfs/files@X.ORG", "realm": "X.ORG",
        "netbios_domain": "", "dns_domain": "x.org", "krb5_conf": "", "max_clock_skew": "5m0s", "machine_account": {},
    })
}

fn process(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

#[test]
fn a_new_server_uses_kerberos_as_it_was_started() {
    let kerberos = only(KERBEROS_SPEC);
    assert!(!kerberos.is_used_later(Some(&seeded())));
    let found = kerberos.applied(process(1), false);
    assert_eq!((&found.server_started, &found.message), (&None, &None));
    let fingerprint = found.applied_fingerprint.unwrap();
    let spec = testing::server(KERBEROS_SPEC);
    assert_eq!(
        kerberos::in_config_hash(&spec),
        Some(fingerprint),
        "no restart follows"
    );
    assert_eq!(
        only(LDAP_SPEC).applied(process(1), true).applied_fingerprint,
        None
    );
}

#[test]
fn a_change_of_kerberos_has_another_fingerprint_and_waits_for_another_process() {
    let before = only(KERBEROS_SPEC).applied(process(1), false);
    let mut kerberos = only(&KERBEROS_SPEC.replace("nfs/files", "nfs/other"));
    kerberos.known = Some(before.clone());
    assert!(kerberos.is_used_later(Some(&seeded())));
    let written = kerberos.applied(process(1), true);
    assert_ne!(written.applied_fingerprint, before.applied_fingerprint);
    assert_eq!(written.server_started, process(1).map(Time));
    assert_eq!(written.message.as_deref(), Some(USED_AFTER_ROLLOUT));
    kerberos.known = Some(written.clone());
    kerberos.is_outdated = true;
    assert_eq!(kerberos.applied(process(1), false), written, "it waits");
    kerberos.is_outdated = false;
    let used = kerberos.applied(process(2), false);
    assert_eq!((&used.server_started, &used.message), (&None, &None));
    assert_eq!(
        used.applied_fingerprint, written.applied_fingerprint,
        "no other restart"
    );
}

#[test]
fn a_change_that_the_server_has_already_needs_another_process_too() {
    let mut kerberos = only(&KERBEROS_SPEC.replace("nfs/files", "nfs/other"));
    kerberos.known = Some(only(KERBEROS_SPEC).applied(process(1), false));
    let mut live = seeded();
    live["service_principal"] = json!("nfs/other@X.ORG");
    assert!(!kerberos.differs(Some(&live)) || kerberos.differences(Some(&live)) == ["keytab_path"]);
    assert!(kerberos.is_used_later(Some(&live)));
}

#[test]
fn a_server_that_has_read_the_database_of_an_earlier_one_is_restarted_once() {
    let mut kerberos = only(KERBEROS_SPEC);
    let mut live = seeded();
    live["enabled"] = json!(false);
    assert!(kerberos.is_used_later(Some(&live)) && kerberos.is_used_later(None));
    let written = kerberos.applied(process(1), true);
    let plain = kerberos::in_config_hash(&testing::server(KERBEROS_SPEC));
    assert_ne!(written.applied_fingerprint, plain, "the config hash changes");
    assert_eq!(written.message.as_deref(), Some(USED_AFTER_ROLLOUT));
    kerberos.known = Some(written.clone());
    let used = kerberos.applied(process(2), false);
    assert_eq!(used.applied_fingerprint, written.applied_fingerprint);
    kerberos.known = None;
    kerberos.is_outdated = true;
    let written = kerberos.applied(process(1), true);
    assert_eq!(
        written.applied_fingerprint, plain,
        "the rollout that follows is enough"
    );
}

#[test]
fn kerberos_that_was_written_before_the_operator_died_still_brings_a_restart() {
    let mut kerberos = only(KERBEROS_SPEC);
    let announced = kerberos.announced(process(1), kerberos.is_used_later(None));
    assert!(!announced.applied && announced.applied_fingerprint.is_none());
    kerberos.known = Some(announced);
    assert!(!kerberos.is_used_later(Some(&seeded())), "it is written");
    let plain = kerberos::in_config_hash(&testing::server(KERBEROS_SPEC));
    let found = kerberos.applied(process(1), false);
    assert_ne!(found.applied_fingerprint, plain, "the config hash changes");
    let found = kerberos.applied(process(2), false);
    assert_eq!(found.applied_fingerprint, plain, "another process has read it");
}

#[test]
fn kerberos_that_may_have_been_written_is_switched_off_before_its_keytab_goes() {
    let mut observed = testing::ready("");
    let serving = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    observed.pods = Read::Found(vec![Arc::new(serde_json::from_value(serving).unwrap())]);
    assert!(!kerberos::is_switched_off_first(&observed));
    let server = Arc::make_mut(&mut observed.server);
    let status = server.status.get_or_insert_default();
    status.identity_providers = vec![only(KERBEROS_SPEC).announced(process(1), true)];
    assert!(kerberos::is_switched_off_first(&observed));
}

#[test]
fn kerberos_that_was_changed_on_the_server_is_put_back_without_a_restart() {
    let mut kerberos = only(KERBEROS_SPEC);
    let before = kerberos.applied(process(1), false);
    kerberos.known = Some(before.clone());
    let mut live = seeded();
    live["realm"] = json!("Y.ORG");
    live["keytab_path"] = json!("/kerberos/dittofs.keytab");
    assert_eq!(kerberos.differences(Some(&live)), ["realm"]);
    assert!(kerberos.is_used_later(Some(&live)));
    let corrected = kerberos.applied(process(1), true);
    assert_eq!(corrected.applied_fingerprint, before.applied_fingerprint);
    assert_eq!(corrected.message.as_deref(), Some(USED_LATER));
}

#[test]
fn other_domain_controllers_need_no_other_process() {
    let account = |controller: &str| {
        let account = format!(
            "machineAccount: {{enabled: true, accountName: F$, dcAddress: [{controller}], secretRef: {{name: m, key: p}}}}"
        );
        KERBEROS_SPEC.replace("keytabSecretRef", &format!("{account}, keytabSecretRef"))
    };
    let mut kerberos = only(&account("dc1"));
    let live = kerberos.fields.clone();
    kerberos.known = Some(kerberos.applied(process(1), false));
    let mut other = only(&account("dc2"));
    other.known = kerberos.known;
    assert!(other.differs(Some(&live)));
    assert!(!other.is_used_later(Some(&live)));
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
    assert_eq!(declared(&observed, || false), []);
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
    let providers = declared(&observed, || false);
    assert!(providers[0].differs(Some(&json!({"enabled": true}))));
    assert!(!providers[0].differs(Some(&json!({"enabled": false, "url": "x"}))));
    assert!(!providers[0].differs(None));
}
