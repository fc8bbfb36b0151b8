//! What admission accepts, validation accepts: each rule exists in CEL and, for objects stored before it, in Rust.

use kube::ResourceExt;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::api::rules::{NAME_MAX, NAME_MAX_WITH_PERCONA};
use crate::api::{Admission, DittoServer, quantity, reasons};
use crate::domain::testing;
use crate::domain::validate::{Severity, validate};

fn is_admitted(admission: &Admission, manifest: &Value) -> bool {
    admission.violations(manifest, None).is_empty()
}

fn manifest(name: &str, spec: &Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "storage"}, "spec": spec})
}

/// What validation refuses in the spec itself. What it says about Secrets and the database is not about admission.
fn refusals(manifest: &Value) -> Vec<String> {
    let server: DittoServer =
        serde_json::from_value(manifest.clone()).expect("what admission accepts, parses");
    let mut observed = testing::nothing("");
    let mut observed_server = observed.server.as_ref().clone();
    observed_server.metadata.name = Some(server.name_any());
    observed_server.spec = server.spec;
    observed.server = observed_server.into();
    let about_the_spec = [
        reasons::INVALID_NAME,
        reasons::INVALID_SPEC,
        reasons::CONFLICTING_DATABASES,
    ];
    let verdict = validate(&observed);
    let refusals = verdict.violations.into_iter().filter(|violation| {
        violation.severity == Severity::Terminal && about_the_spec.contains(&violation.reason)
    });
    refusals.map(|violation| violation.message).collect()
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(values.to_vec())
}

/// Mostly present: rules say little about absent fields.
fn some<S: Strategy>(strategy: S) -> impl Strategy<Value = Option<S::Value>> {
    prop::option::weighted(0.8, strategy)
}

/// An object of the fields that have a value.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let present = fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

fn name() -> impl Strategy<Value = String> {
    let length = one_of(&[
        1,
        NAME_MAX_WITH_PERCONA,
        NAME_MAX_WITH_PERCONA + 1,
        NAME_MAX,
        NAME_MAX + 1,
    ]);
    prop_oneof![length.prop_map(|length| "x".repeat(length)), "[a-z0-9A-Z.-]{1,8}",]
}

fn ldap() -> impl Strategy<Value = Value> {
    let scheme = one_of(&["ldaps", "LDAPS", "LdapS", "ldap", "LDAP", "http", ""]);
    let rest = one_of(&[
        "://host",
        "://host:636",
        "://host/dc=x",
        "://",
        ":/host",
        "://a b",
    ]);
    let reference =
        some(one_of(&["", "bind", "bind"]).prop_map(|name| json!({"name": name, "key": "password"})));
    let flag = || some(any::<bool>().prop_map(Value::from));
    (
        flag(),
        scheme,
        rest,
        reference,
        flag(),
        flag(),
        one_of(&["", "dc=x"]),
    )
        .prop_map(
            |(enabled, scheme, rest, reference, start_tls, allow_plaintext, dn)| {
                object([
                    ("enabled", enabled),
                    ("url", Some(format!("{scheme}{rest}").into())),
                    ("bindPasswordSecretRef", reference),
                    ("startTLS", start_tls),
                    ("allowPlaintext", allow_plaintext),
                    ("baseDN", Some(dn.into())),
                    ("bindDN", Some("cn=x".into())),
                ])
            },
        )
}

fn jwt() -> impl Strategy<Value = Value> {
    let duration = || {
        some(prop_oneof![
            one_of(&[
                "",
                "0",
                "0s",
                "15m",
                "1h30m",
                "+5m",
                "-5m",
                ".5s",
                "5.s",
                "1d",
                "9223372037s",
                "2562047h",
                "2562048h",
                "3\u{b5}s",
                "3\u{3bc}s",
                "1e3s"
            ])
            .prop_map(Value::from),
            "[+-]?[0-9.]{0,4}[a-zµ]{0,2}".prop_map(Value::from),
        ])
    };
    (duration(), duration()).prop_map(|(access, refresh)| {
        object([
            ("secretRef", Some(json!({"name": "", "key": "k"}))),
            ("accessTokenDuration", access),
            ("refreshTokenDuration", refresh),
        ])
    })
}

fn ports() -> impl Strategy<Value = (Option<Value>, Option<Value>)> {
    let port = || some(one_of(&[1, 8080, 9090, 12049, 65535]).prop_map(Value::from));
    let enabled = some(any::<bool>().prop_map(Value::from));
    (some(port()), some((enabled, port()))).prop_map(|(api, metrics)| {
        (
            api.map(|port| object([("port", port)])),
            metrics.map(|(enabled, port)| object([("enabled", enabled), ("port", port)])),
        )
    })
}

fn database() -> impl Strategy<Value = (Option<Value>, Option<Value>)> {
    let reference = some(one_of(&["", "pg"]).prop_map(|name| json!({"name": name, "key": "host"})));
    let type_ = some(one_of(&["sqlite", "postgres"]).prop_map(Value::from));
    let percona = some(any::<bool>().prop_map(|enabled| json!({"enabled": enabled})));
    (some((type_, reference)), percona).prop_map(|(database, percona)| {
        let database =
            database.map(|(type_, reference)| object([("type", type_), ("postgresSecretRef", reference)]));
        (database, percona)
    })
}

/// Compiling the rules takes longer than a case, so all cases share them.
const CASES: u32 = 128;

#[test]
fn what_admission_accepts_validation_accepts() {
    let admission = Admission::new();
    let parts = (name(), some(ldap()), some(jwt()), ports(), database());
    proptest!(ProptestConfig::with_cases(CASES), |((name, ldap, jwt, (control_plane, metrics), (database, percona)) in parts)| {
        let spec = object([
            ("storage", Some(json!({"metadataSize": "1Gi"}))),
            ("identity", Some(object([("ldap", ldap), ("jwt", jwt)]))),
            ("controlPlane", control_plane),
            ("metrics", metrics),
            ("database", database),
            ("percona", percona),
        ]);
        // Each part alone as well: one that admission refuses would hide the others.
        for part in ["identity", "controlPlane", "metrics", "database", "percona", "all"] {
            let mut spec = spec.clone();
            if part != "all" {
                spec.as_object_mut().expect("a spec").retain(|key, _| key == "storage" || key == part);
            }
            let manifest = manifest(if part == "all" { &name } else { "files" }, &spec);
            if is_admitted(&admission, &manifest) {
                prop_assert_eq!(refusals(&manifest), [""; 0], "{}", manifest);
            }
        }
    });
}

#[test]
fn every_quantity_that_admission_accepts_parses() {
    let admission = Admission::new();
    let quantity = "[-+]?([0-9]{1,17}([.][0-9]{0,5})?|[.][0-9]{1,5})([KMGTPE]i?|[numk]|[eE][-+]?[0-9]{1,3})?";
    proptest!(ProptestConfig::with_cases(CASES), |(text in quantity)| {
        let percona = json!({"storage": {"metadataSize": "1Gi"}, "percona": {"storageSize": text}});
        let volume = json!({"storage": {"metadataSize": text}});
        for spec in [percona, volume] {
            if is_admitted(&admission, &manifest("files", &spec)) {
                prop_assert!(quantity::nanos(&text).is_some_and(|nanos| nanos > 0), "{}", text);
            }
        }
    });
}
