use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::domain::testing;
use crate::domain::validate::validate;

#[test]
fn the_address_is_that_of_the_api_service() {
    let url = |spec, template: Option<&str>| {
        let settings = Settings {
            server_url_template: template.map(str::to_owned),
            cluster_domain: Some("example.org".to_owned()),
            ..Settings::default()
        };
        super::url(&testing::server(spec), &settings)
    };
    assert_eq!(url("", None), "http://files-api.storage.svc:8080");
    assert_eq!(
        url("controlPlane: {port: 8443, certSecretName: cert}", None),
        "https://files-api.storage.svc:8443"
    );
    let template = Some("http://127.0.0.1:9/{namespace}/{name}/{port}.{domain}");
    assert_eq!(
        url("", template),
        "http://127.0.0.1:9/storage/files/8080.example.org"
    );
}

/// A server whose pod is ready.
fn serving(spec: &str) -> Observed {
    let mut observed = testing::running(spec);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "files-0", "uid": "pod"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }))
    .unwrap();
    observed.pods = Read::Found(vec![Arc::new(pod)]);
    observed
}

fn target(observed: &Observed) -> Read<Target> {
    super::target(&validate(observed), observed, &Settings::default())
}

fn found(observed: &Observed) -> Target {
    match target(observed) {
        Read::Found(target) => target,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_certificate_secret_that_cannot_be_read_keeps_the_last_target() {
    const SPEC: &str =
        "controlPlane: {certSecretName: cert, clientCASecretName: ca, operatorCertSecretName: own}";
    let mut known = serving(SPEC);
    for (name, key) in [
        ("cert", CA_KEY),
        ("own", TLS_CERTIFICATE_KEY),
        ("own", TLS_PRIVATE_KEY_KEY),
    ] {
        testing::set(&mut known, name, key, b"PEM");
    }
    let trust = found(&known).trust.unwrap();
    assert!(trust.ca.is_some() && trust.client.is_some());
    for name in ["cert", "own"] {
        for read in [Read::Unreadable("403".to_owned()), Read::Missing] {
            let mut unknown = serving(SPEC);
            unknown.secrets.clone_from(&known.secrets);
            unknown.secrets.insert(name.to_owned(), read);
            assert!(
                matches!(target(&unknown), Read::Unreadable(named) if named == name),
                "neither another CA nor none is a substitute"
            );
        }
    }
}

#[test]
fn pods_that_cannot_be_read_keep_the_last_target_and_a_pod_that_is_not_ready_has_none() {
    let mut observed = serving("");
    observed.pods = Read::Unreadable("403".into());
    assert!(matches!(target(&observed), Read::Unreadable(_)));
    observed.pods = Read::Found(Vec::new());
    assert!(matches!(target(&observed), Read::Missing));
}

#[test]
fn a_spec_that_is_refused_and_a_paused_server_send_nothing_to_the_server() {
    const POLICIES: &str = "snapshotPolicies: [{share: /archive, interval: '@daily', keepLast: 7}]";
    let accepted = serving(POLICIES);
    assert_eq!(found(&accepted).declared.policies.len(), 1);

    let mut refused = serving(POLICIES);
    testing::edit(
        &mut refused,
        &format!("{POLICIES}\nresources: {{requests: {{cpu: 2}}, limits: {{cpu: 1}}}}"),
    );
    assert!(
        found(&refused).declared.is_empty(),
        "only its adapters are asked for"
    );

    let mut paused = serving(POLICIES);
    let mut server = (*paused.server).clone();
    server
        .annotations_mut()
        .insert(names::PAUSED_ANNOTATION.into(), "true".into());
    paused.server = Arc::new(server);
    assert!(found(&paused).declared.is_empty());
}
