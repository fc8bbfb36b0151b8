use serde_json::{Value, json};

use super::super::{Admission, duration};
use super::*;
use crate::api::defaults::SQLITE_PATH;
use crate::api::{DatabaseBackend, PerconaBackupSpec, PerconaSpec};

fn spec(value: Value) -> DittoServerSpec {
    serde_json::from_value(value).unwrap()
}

fn reference(name: &str) -> Value {
    json!({"name": name, "key": "k"})
}

/// Checks the values of a server whose spec has only a size.
fn assert_plain(server: &DittoServerSpec) {
    assert_eq!(server.image(), "marmos91c/dittofs:latest");
    assert_eq!(server.desired_replicas(), 1);
    assert_eq!(server.termination_grace_period_seconds(), 105);
    assert_eq!(
        (server.log_level(), server.log_format(), server.log_output()),
        (LogLevel::Info, LogFormat::Json, "stdout")
    );
    assert_eq!(
        (server.api_port(), server.metrics_port(), server.metrics_path()),
        (8080, 9090, "/metrics")
    );
    assert_eq!(server.service_type(), ServiceType::ClusterIP);
    assert_eq!(server.adapter_service_type("nfs"), ServiceType::LoadBalancer);
    assert_eq!(server.polling_interval(), Duration::from_secs(30));
    assert_eq!(
        (server.access_token_duration(), server.refresh_token_duration()),
        ("15m", "168h")
    );
    assert_eq!(server.admin_username(), "admin");
    assert_eq!(server.storage.control_plane_size(), "1Gi");
    assert_eq!(
        server.database_backend(),
        DatabaseBackend::Sqlite {
            path: "/data/controlplane/controlplane.db"
        }
    );
    assert!(!server.metrics_enabled() && !server.percona_enabled() && !server.api_over_https());
    assert_eq!(
        (server.jwt_secret_ref(), server.admin_password_ref()),
        (None, None)
    );
}

#[test]
fn an_absent_block_and_a_defaulted_one_have_the_same_effect() {
    let absent = spec(json!({"storage": {"metadataSize": "1Gi"}}));
    let blocks = json!({
        "storage": {"metadataSize": "1Gi"}, "database": {"sqlite": {}}, "controlPlane": {},
        "identity": {"jwt": {"secretRef": {"key": ""}}, "admin": {}}, "adapterDiscovery": {},
        "adapterServices": {}, "service": {}, "metrics": {}, "logging": {}, "percona": {"backup": {}},
    });
    let defaulted = spec(Admission::new().with_defaults(&json!({"spec": blocks}))["spec"].take());
    assert_eq!(
        defaulted.control_plane.as_ref().and_then(|api| api.port),
        Some(8080),
        "defaults were applied"
    );
    assert_plain(&absent);
    assert_plain(&defaulted);
    let percona = defaulted.percona.unwrap();
    for percona in [&percona, &PerconaSpec::default()] {
        assert_eq!(
            (
                percona.replicas(),
                percona.storage_size(),
                percona.database_name()
            ),
            (1, "10Gi", "dittofs")
        );
        assert_eq!(percona.postgres_version(), 17);
    }
    for backup in [&percona.backup.unwrap(), &PerconaBackupSpec::default()] {
        assert_eq!((backup.region(), backup.retention_days()), ("eu-west-1", 7));
        assert_eq!(
            (backup.full_schedule(), backup.incr_schedule()),
            ("0 2 * * *", "0 * * * *")
        );
    }
}

#[test]
fn percona_has_priority_over_an_own_secret_which_has_priority_over_the_type() {
    let own = json!({"type": "sqlite", "postgresSecretRef": reference("pg")});
    let storage = json!({"metadataSize": "1Gi"});
    let both = spec(json!({"storage": storage, "database": own, "percona": {"enabled": true}}));
    assert!(matches!(both.database_backend(), DatabaseBackend::Percona(_)));
    let secret = spec(json!({"storage": storage, "database": own, "percona": {"enabled": false}}));
    assert!(matches!(secret.database_backend(), DatabaseBackend::OwnPostgres(secret) if secret.name == "pg"));
}

#[test]
fn a_stored_server_of_type_postgres_without_database_keeps_the_file_it_ran_on() {
    let server = spec(json!({
        "storage": {"metadataSize": "1Gi"},
        "database": {"type": "postgres", "sqlite": {"path": "/data/controlplane/other.db"}},
    }));
    assert_eq!(
        server.database_backend(),
        DatabaseBackend::Sqlite { path: SQLITE_PATH }
    );
}

#[test]
fn client_certificates_have_an_effect_only_with_a_server_certificate() {
    let server = |tls: Value| spec(json!({"storage": {"metadataSize": "1Gi"}, "controlPlane": tls}));
    assert_eq!(
        server(json!({"clientCASecretName": "ca"})).client_ca_secret_name(),
        None
    );
    let both = server(json!({"clientCASecretName": "ca", "certSecretName": "tls"}));
    assert_eq!(
        (both.client_ca_secret_name(), both.cert_secret_name()),
        (Some("ca"), Some("tls"))
    );
    assert!(both.api_over_https());
    assert!(server(json!({"tls": true})).api_over_https());
}

#[test]
fn a_disabled_block_has_no_effect() {
    let server = spec(json!({
        "storage": {"metadataSize": "1Gi"},
        "metrics": {"bearerTokenSecret": reference("t"), "serviceMonitor": {"enabled": true}},
        "identity": {"kerberos": {"machineAccount": {"enabled": true}}},
    }));
    assert_eq!(
        (server.metrics_token_ref(), server.service_monitor()),
        (None, None)
    );
    assert_eq!((server.kerberos(), server.machine_account()), (None, None));
}

#[test]
fn defaults_apply_to_a_port_of_zero_and_an_invalid_interval() {
    let server = spec(json!({
        "storage": {"metadataSize": "1Gi"},
        "controlPlane": {"port": 0},
        "adapterDiscovery": {"pollingInterval": "often"},
    }));
    assert_eq!(
        (server.api_port(), server.polling_interval()),
        (8080, Duration::from_secs(30))
    );
}

#[test]
fn an_interval_of_polling_has_a_least_and_a_greatest_value() {
    for (text, effective) in [
        ("1ns", Duration::from_millis(100)),
        ("100ms", Duration::from_millis(100)),
        ("24h", Duration::from_secs(86_400)),
        ("2562047h", Duration::from_secs(86_400)),
    ] {
        let server = spec(json!({
            "storage": {"metadataSize": "1Gi"},
            "adapterDiscovery": {"pollingInterval": text},
        }));
        assert_eq!(server.polling_interval(), effective, "{text}");
    }
}

#[test]
fn the_default_interval_is_the_one_in_the_schema() {
    assert_eq!(
        duration::parse_go(super::super::defaults::POLLING_INTERVAL),
        Some(Duration::from_secs(30))
    );
}
