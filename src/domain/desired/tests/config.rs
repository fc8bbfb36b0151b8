//! `config.yaml`: its keys, and that no text can break out of its value.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::manifests::EVERYTHING;
use crate::domain::desired::config::render;
use crate::domain::testing;

fn parsed(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).expect("the configuration is YAML")
}

fn config(spec: &str) -> Value {
    parsed(&render(&testing::server(spec).spec, false).expect("a configuration"))
}

#[test]
fn the_keys_of_a_minimal_configuration_stand_in_the_order_of_the_contract() {
    let yaml = render(&testing::server("").spec, false).unwrap();
    let top: Vec<&str> = yaml
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(key)
        .collect();
    assert_eq!(
        top,
        ["logging", "shutdown_timeout", "database", "controlplane", "admin"]
    );
    assert_eq!(
        parsed(&yaml),
        json!({
            "logging": {"level": "INFO", "format": "json", "output": "stdout"},
            "shutdown_timeout": "30s",
            "database": {"type": "sqlite", "sqlite": {"path": "/data/controlplane/controlplane.db"}},
            "controlplane": {
                "host": "0.0.0.0",
                "port": 8080,
                "jwt": {"access_token_duration": "15m", "refresh_token_duration": "168h"},
            },
            "admin": {"username": "admin"},
        })
    );
}

#[test]
fn postgresql_has_no_placeholders() {
    for spec in [
        "percona: {enabled: true}",
        "database: {postgresSecretRef: {name: pg, key: host}}",
    ] {
        assert_eq!(config(spec)["database"], json!({"type": "postgres"}), "{spec}");
    }
}

#[test]
fn tls_names_the_mounted_files() {
    let tls = |spec: &str| config(spec)["controlplane"]["tls"].take();
    assert_eq!(tls("controlPlane: {clientCASecretName: ca}"), Value::Null);
    let cert = json!({"cert_file": "/tls/tls.crt", "key_file": "/tls/tls.key"});
    assert_eq!(tls("controlPlane: {certSecretName: c}"), cert);
    assert_eq!(
        tls("controlPlane: {certSecretName: c, clientCASecretName: ca}")["client_ca"],
        "/tls-client-ca/ca.crt"
    );
}

#[test]
fn metrics_ask_for_a_token_only_if_there_is_one() {
    let open = json!({"enabled": true, "host": "0.0.0.0", "port": 9090, "path": "/metrics", "auth": "none"});
    assert_eq!(config("metrics: {enabled: true}")["metrics"], open);
    let closed = config("metrics: {enabled: true, bearerTokenSecret: {name: s, key: t}}")["metrics"].take();
    assert_eq!(
        (&closed["auth"], &closed["token_file"]),
        (&json!("token"), &json!("/metrics-token/token"))
    );
    assert_eq!(config("metrics: {enabled: false}").get("metrics"), None);
}

#[test]
fn a_disabled_ldap_block_is_rendered_and_a_disabled_kerberos_block_is_not() {
    let config =
        config("identity: {ldap: {url: u, baseDN: b, bindDN: d}, kerberos: {enabled: false, realm: R}}");
    assert_eq!(
        config["ldap"],
        json!({"enabled": false, "url": "u", "base_dn": "b", "bind_dn": "d"})
    );
    assert_eq!(config.get("kerberos"), None);
}

#[test]
fn a_kerberos_configuration_from_a_secret_wins_over_a_path() {
    let kerberos = |spec: &str| {
        config(&format!(
            "identity: {{kerberos: {{enabled: true, krb5Conf: /own, {spec}}}}}"
        ))
    };
    assert_eq!(kerberos("")["kerberos"]["krb5_conf"], "/own");
    let secret = kerberos("krb5ConfSecretRef: {name: s, key: k}");
    assert_eq!(secret["kerberos"]["krb5_conf"], "/kerberos-krb5/krb5.conf");
}

#[test]
fn every_text_is_quoted() {
    let yaml = render(&testing::server(EVERYTHING).spec, false).unwrap();
    for line in yaml.lines() {
        let item = line.trim_start().strip_prefix("- ");
        let value = item
            .or_else(|| Some(line.split_once(':')?.1.trim()))
            .unwrap_or(line);
        let is_bare = value.is_empty() || value == "true" || value == "false" || value.parse::<u16>().is_ok();
        assert!(is_bare || value.starts_with(['\'', '"']), "{line}");
    }
}

/// Number of texts in a configuration.
const TEXTS: usize = 19;

/// A spec in which every text of the configuration comes from `texts`.
fn spec_with(texts: &[String]) -> Value {
    let t = |index: usize| texts[index].clone();
    json!({
        "storage": {"metadataSize": "1Gi"},
        "logging": {"output": t(0)},
        "database": {"sqlite": {"path": t(1)}},
        "identity": {
            "jwt": {"secretRef": {"name": "", "key": "k"}, "accessTokenDuration": t(2), "refreshTokenDuration": t(3)},
            "admin": {"username": t(4)},
            "ldap": {
                "url": t(5), "baseDN": t(6), "bindDN": t(7), "userAttr": t(8), "realm": t(9), "caCertFile": t(10),
            },
            "kerberos": {
                "enabled": true, "servicePrincipal": t(11), "realm": t(12), "netbiosDomain": t(13),
                "dnsDomain": t(14), "krb5Conf": t(15),
                "machineAccount": {"enabled": true, "accountName": t(16), "dcAddress": [t(17)]},
            },
        },
        "metrics": {"enabled": true, "path": t(18)},
    })
}

fn config_with(texts: &[String]) -> Value {
    let t = |index: usize| texts[index].clone();
    json!({
        "logging": {"level": "INFO", "format": "json", "output": t(0)},
        "shutdown_timeout": "30s",
        "database": {"type": "sqlite", "sqlite": {"path": t(1)}},
        "controlplane": {
            "host": "0.0.0.0", "port": 8080,
            "jwt": {"access_token_duration": t(2), "refresh_token_duration": t(3)},
        },
        "admin": {"username": t(4)},
        "metrics": {"enabled": true, "host": "0.0.0.0", "port": 9090, "path": t(18), "auth": "none"},
        "ldap": {
            "enabled": false, "url": t(5), "base_dn": t(6), "bind_dn": t(7), "user_attr": t(8), "realm": t(9),
            "tls": {"ca_cert_file": t(10)},
        },
        "kerberos": {
            "enabled": true, "service_principal": t(11), "realm": t(12), "netbios_domain": t(13),
            "dns_domain": t(14), "krb5_conf": t(15),
            "machine_account": {"enabled": true, "account_name": t(16), "dc_address": [t(17)]},
        },
    })
}

fn rendered(texts: &[String]) -> String {
    render(&serde_json::from_value(spec_with(texts)).expect("a spec"), false).expect("a configuration")
}

fn key(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

/// Indentation and key of each line; for an item of a list, the indentation.
fn shape(yaml: &str) -> Vec<&str> {
    let end = |line: &str| {
        line.find(if line.trim_start().starts_with("- ") {
            '-'
        } else {
            ':'
        })
    };
    yaml.lines()
        .map(|line| &line[..end(line).unwrap_or(line.len())])
        .collect()
}

/// Characters that Go's reader refuses, takes for a line end, or drops, unless they are escaped.
fn must_be_escaped(character: char) -> bool {
    (character.is_control() && character != '\n')
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// Text of all kinds: anything, printable, and what means something in YAML.
fn text() -> impl Strategy<Value = String> {
    let telling = prop::sample::select(vec![
        "yes",
        "null",
        "~",
        "0x1F",
        "1e3",
        "012",
        "12:30:45",
        "2026-01-01",
        "- a",
        "a: b",
        "? a",
        "{a: b}",
        "[a]",
        "#",
        "a #b",
        "&a",
        "*a",
        "!!int 1",
        "|",
        ">",
        "%YAML",
        "---",
        "...",
        "'",
        "\"",
        "\\",
        "a\nb: c",
        "\n",
        " a",
        "a ",
        "\t",
        "\r\n",
        "\u{85}",
        "\u{2028}",
        "\u{feff}a",
        "\u{0}",
        "\u{7f}",
        "\u{ffff}",
        "it's",
        "'\"'",
        "${HOME}",
        "\nadmin:\n  username: 'eve'\n",
        "'\nadmin: {}\n#",
        "\"\nadmin: {}\n#",
    ]);
    prop_oneof![
        telling.prop_map(str::to_owned),
        any::<String>().prop_filter("an empty text has a default", |text| !text.is_empty()),
        "[ -~\n]{1,120}",
        (any::<char>(), "[a-z ]{80,200}").prop_map(|(first, rest)| format!("{first}{rest}")),
    ]
}

proptest! {
    #[test]
    fn any_text_survives_in_its_place_and_adds_nothing(texts in prop::collection::vec(text(), TEXTS)) {
        let yaml = rendered(&texts);
        prop_assert_eq!(parsed(&yaml), config_with(&texts));
        let plain: Vec<String> = (0..TEXTS).map(|index| format!("text{index}")).collect();
        let expected = rendered(&plain);
        prop_assert_eq!(shape(&yaml), shape(&expected), "{}", yaml);
        let raw: Vec<char> = yaml.chars().filter(|character| must_be_escaped(*character)).collect();
        prop_assert_eq!(raw, Vec::<char>::new(), "{}", yaml);
    }
}
