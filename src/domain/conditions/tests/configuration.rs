//! A ConfigMap that is not changed because the pod is not, and notes about a valid configuration.

use super::*;
use crate::api::names;

// invariant: 20
#[test]
fn a_configuration_that_waits_for_its_stateful_set_says_what_is_wrong_with_that() {
    let (observed, mut applied) = of_running("");
    applied.config_map = Read::Found(Arc::new(config_map(&observed.server, "older")));
    applied.steps.push(step("StatefulSet", "files", failed()));
    let conditions = judged(&observed, &applied);
    let summary = condition(&conditions, CONFIG_READY);
    assert_eq!(
        (summary.reason.as_str(), summary.message.as_str()),
        (
            "ConfigOutdated",
            "ConfigMap files-config does not have the configuration that the spec asks for: it is not changed until the pod can be updated with it. Failed to reconcile StatefulSet files: create failed: Forbidden (HTTP 403)"
        )
    );
}

#[test]
fn the_configuration_may_differ_from_the_spec_while_the_pod_must_not_be_changed() {
    let (observed, mut applied) = of_running("");
    applied.config_map = Read::Found(Arc::new(config_map(&observed.server, "older")));
    let desired = Some(Desired {
        config_map: None,
        ..built(&observed)
    });
    let verdict = validate(&observed);
    let inputs = Inputs::new(&observed, &verdict, Ok(&desired), &applied, Progress::default());
    assert_eq!(
        condition(&conditions(&inputs, &[], 3, at(0)), CONFIG_READY).status,
        "True"
    );
}

#[test]
fn a_deleted_first_password_is_mentioned_and_the_configuration_stays_valid() {
    let (mut observed, applied) = of_running("");
    let secret = "files-admin-bootstrap-credentials";
    observed.secrets.insert(secret.into(), Read::Missing);
    let conditions = judged(&observed, &applied);
    assert_eq!(
        one(&conditions, CONFIG_READY),
        "True ConfigValid: ConfigMap valid and contains configuration. Secret files-admin-bootstrap-credentials with the first admin password does not exist. A server that was started once does not need it"
    );
    assert_eq!(condition(&conditions, READY).status, "True");
}

#[test]
fn an_unknown_value_of_an_annotation_is_named_whatever_else_is_said_of_the_configuration() {
    let (mut observed, applied) = of_running("");
    let annotation = (names::DELETION_PROTECTION_ANNOTATION.to_owned(), "on".to_owned());
    Arc::make_mut(&mut observed.server).metadata.annotations = Some([annotation].into());
    let valid = judged(&observed, &applied);
    assert_eq!(
        one(&valid, CONFIG_READY),
        "True ConfigValid: ConfigMap valid and contains configuration. The annotation dittofs.dittofs.com/deletion-protection has the unknown value \"on\", which has the effect of \"enabled\": the server is protected from deletion, if the policy is installed. Set it to \"enabled\" or \"false\", or remove it"
    );
    assert_eq!(condition(&valid, READY).status, "True");

    let mut failing = applied;
    failing.config_map = Read::Missing;
    let failing = judged(&observed, &failing);
    let message = one(&failing, CONFIG_READY);
    assert!(message.starts_with("False ConfigMapNotFound: "), "{message}");
    assert!(message.contains("the unknown value \"on\""), "{message}");
}
