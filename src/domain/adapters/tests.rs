mod children;
mod unread;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::{ApiStatus, DittoServerStatus, reasons};
use crate::domain::desired::desired;
use crate::domain::observed::{Observed, Read};
use crate::domain::settings::Settings;
use crate::domain::testing;
use crate::domain::validate::PodGate;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn row(adapter_type: &str, port: u16, is_enabled: bool, is_healthy: bool) -> Row {
    Row {
        adapter_type: adapter_type.into(),
        is_enabled,
        port,
        is_healthy,
        message: (!is_healthy).then(|| "has not started yet".into()),
    }
}

fn failure(kind: FailureKind, text: &str) -> Failure {
    Failure {
        kind,
        message: text.into(),
    }
}

/// The report after these answers.
fn after(answers: &[Result<Vec<Row>, Failure>]) -> ServerReport {
    let (mut report, mut calls) = (ServerReport::default(), Calls::new(Duration::ZERO));
    for (second, answer) in (0..).zip(answers) {
        match answer {
            Ok(_) => calls.succeeded(at(second)),
            Err(_) => calls.failed(at(second)),
        }
        report = learn(&report, answer.clone().map(Listed::from), &calls, at(second));
    }
    report
}

fn observed(report: ServerReport) -> Observed {
    let mut observed = testing::running("");
    observed.report = Arc::new(report);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "files-0"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }))
    .unwrap();
    observed.pods = Read::Found(vec![Arc::new(pod)]);
    observed
}

/// Adds the objects that the operator would create.
fn applied(mut observed: Observed) -> Observed {
    let adapters = desired(&testing::valid(&observed, PodGate::Open), &Settings::default())
        .unwrap()
        .adapters;
    for service in adapters.services {
        let is_known = |known: &Arc<Service>| known.metadata.name == service.metadata.name;
        if let Read::Found(services) = &mut observed.services
            && !services.iter().any(is_known)
        {
            services.push(Arc::new(service));
        }
    }
    observed
}

fn services(observed: &Observed) -> Vec<(String, u16)> {
    let exposed = exposed(observed).exposed.into_iter();
    exposed
        .filter(|adapter| adapter.has_service)
        .map(|adapter| (adapter.adapter_type, adapter.port))
        .collect()
}

fn both() -> Vec<Row> {
    vec![row("nfs", 12049, true, true), row("smb", 1445, true, true)]
}

#[test]
fn the_ports_of_a_new_server_are_open_before_its_api_has_answered_and_its_services_come_when_it_serves() {
    let silent = observed(ServerReport::default());
    let open: Vec<_> = exposed(&silent).exposed;
    let open: Vec<_> = open
        .iter()
        .map(|adapter| (adapter.adapter_type.as_str(), adapter.port))
        .collect();
    assert_eq!(open, [("nfs", 12049), ("smb", 1445)]);
    assert_eq!(services(&silent), []);
    let starting = observed(after(&[Ok(vec![row("nfs", 12049, true, false)])]));
    assert_eq!(services(&starting), []);
    let serving = observed(after(&[Ok(both())]));
    assert_eq!(services(&serving), [("nfs".into(), 12049), ("smb".into(), 1445)]);
}

// invariant: 15
#[test]
fn only_two_answers_in_a_row_remove_a_service() {
    let without_smb = || Ok(vec![row("nfs", 12049, true, true)]);
    let disabled_smb = || {
        Ok(vec![
            row("nfs", 12049, true, true),
            row("smb", 1445, false, false),
        ])
    };
    let error = || Err(failure(FailureKind::Answer, "500"));
    let gone = |answers: &[Result<Vec<Row>, Failure>]| {
        let mut serving = applied(observed(after(&[Ok(both())])));
        serving.report = Arc::new(after(answers));
        exposed(&serving).gone
    };
    for (answers, wanted) in [
        (vec![Ok(both()), without_smb()], vec![]),
        (vec![Ok(both()), without_smb(), without_smb()], vec!["smb"]),
        (vec![Ok(both()), disabled_smb(), without_smb()], vec!["smb"]),
        (vec![Ok(both()), without_smb(), Ok(both()), without_smb()], vec![]),
        (vec![Ok(both()), Ok(vec![]), Ok(vec![]), Ok(vec![])], vec![]),
        (vec![Ok(both()), error(), error(), error(), error()], vec![]),
        (vec![without_smb()], vec![]),
        (vec![without_smb(), without_smb()], vec!["smb"]),
        (vec![], vec![]),
    ] {
        assert_eq!(gone(&answers), wanted, "{answers:?}");
    }
}

#[test]
fn an_adapter_that_does_not_serve_keeps_its_service_and_says_why() {
    let mut serving = applied(observed(after(&[Ok(both())])));
    let broken = Ok(vec![row("nfs", 12049, true, false), row("smb", 1445, true, true)]);
    serving.report = Arc::new(after(&[Ok(both()), broken]));
    assert_eq!(services(&serving).len(), 2);
    let endpoints = endpoints(&serving);
    assert_eq!(
        endpoints[0].message.as_deref(),
        Some("the server says of the adapter: has not started yet")
    );
}

#[test]
fn a_port_of_zero_means_the_default_of_the_type() {
    let report = after(&[Ok(vec![
        row("nfs", 0, true, true),
        row("smb", 0, true, true),
        row("ftp", 0, true, true),
    ])]);
    let ports: Vec<u16> = report.enabled.values().map(|adapter| adapter.port).collect();
    assert_eq!(ports, [0, 12049, 12445], "ftp, nfs, smb");
    // Nobody knows where the unknown type listens.
    assert_eq!(services(&observed(report)).len(), 2);
}

#[test]
fn the_api_is_unreachable_after_three_failures_and_only_another_kind_is_news() {
    let refused = || Err(failure(FailureKind::Connect, "refused"));
    let report = after(&[Ok(both()), refused(), refused()]);
    assert_eq!(report.api, Reachability::Reachable);
    let report = after(&[Ok(both()), refused(), refused(), refused()]);
    assert!(matches!(&report.api, Reachability::Unreachable { failure, .. } if failure.message == "refused"));
    let calls = Calls::new(Duration::ZERO);
    let again = |failure| learn(&report, Err(failure), &calls, at(9));
    assert_eq!(again(failure(FailureKind::Connect, "no route")), report);
    let other_kind = again(failure(FailureKind::Token, "401"));
    assert_ne!(other_kind, report);
}

#[test]
fn adapters_are_unavailable_only_after_the_progress_deadline() {
    let broken = || {
        Ok(vec![
            row("nfs", 12049, true, false),
            row("smb", 1445, false, false),
        ])
    };
    let mut observed = observed(after(&[broken(), broken()]));
    for (second, is_unavailable) in [(1, false), (599, false), (601, true)] {
        observed.at = at(second);
        assert_eq!(unavailable(&observed).is_some(), is_unavailable, "{second}");
        assert_eq!(recheck_in(&observed).is_some(), !is_unavailable, "{second}");
    }
    // A server without enabled adapters is what its administrator wants.
    observed.report = Arc::new(after(&[Ok(vec![row("nfs", 12049, false, false)])]));
    assert_eq!(unavailable(&observed), None);
}

fn nothing_serves() -> Vec<Row> {
    vec![row("nfs", 12049, true, false), row("smb", 1445, false, false)]
}

/// A server with these conditions in its status.
fn with_conditions(mut observed: Observed, conditions: Vec<Condition>) -> Observed {
    let mut server = (*observed.server).clone();
    server.status.get_or_insert_default().conditions = conditions;
    observed.server = Arc::new(server);
    observed
}

fn said_unavailable() -> Vec<Condition> {
    vec![Condition {
        reason: reasons::ADAPTERS_UNAVAILABLE.to_owned(),
        message: "None serves".to_owned(),
        status: "False".to_owned(),
        type_: "Available".to_owned(),
        observed_generation: None,
        last_transition_time: Time(at(0)),
    }]
}

#[test]
fn a_restarted_operator_says_again_that_no_adapter_serves_without_another_deadline() {
    let restarted = observed(after(&[Ok(nothing_serves())]));
    assert_eq!(unavailable(&restarted), None);
    let restarted = with_conditions(restarted, said_unavailable());
    assert!(unavailable(&restarted).is_some());
    let serving = with_conditions(observed(after(&[Ok(both())])), said_unavailable());
    assert_eq!(unavailable(&serving), None);
}

#[test]
fn an_api_that_does_not_answer_does_not_change_what_is_said_of_the_adapters() {
    let refused = || Err(failure(FailureKind::Connect, "refused"));
    let mut silent = observed(after(&[Ok(nothing_serves()), refused(), refused(), refused()]));
    silent.at = at(6000);
    assert_eq!((unavailable(&silent), recheck_in(&silent)), (None, None));
    let silent = with_conditions(silent, said_unavailable());
    assert_eq!(unavailable(&silent).as_deref(), Some("None serves"));
}

#[test]
fn what_cannot_be_read_leaves_the_endpoints_as_they_are() {
    let serving = applied(observed(after(&[Ok(both())])));
    let status = DittoServerStatus {
        endpoints: endpoints(&serving),
        api: api_status(&serving),
        ..DittoServerStatus::default()
    };
    assert_eq!(status.endpoints.len(), 2);
    let before = |mut blind: Observed| {
        let mut server = (*blind.server).clone();
        server.status = Some(status.clone());
        blind.server = Arc::new(server);
        (endpoints(&blind), api_status(&blind))
    };
    let mut without_services = applied(observed(after(&[Ok(both())])));
    without_services.services = Read::Unreadable("403".into());
    let mut without_pods = applied(observed(after(&[Ok(both())])));
    without_pods.pods = Read::Unreadable("403".into());
    for blind in [without_services, without_pods] {
        assert_eq!(before(blind), (status.endpoints.clone(), status.api.clone()));
    }
}

#[test]
fn a_restarted_operator_changes_nothing_before_the_api_has_answered() {
    let mut serving = applied(observed(after(&[Ok(both())])));
    let status = DittoServerStatus {
        endpoints: endpoints(&serving),
        api: api_status(&serving),
        ..DittoServerStatus::default()
    };
    assert_eq!(
        status.api,
        Some(ApiStatus {
            reachable: true,
            ..ApiStatus::default()
        })
    );
    let mut server = (*serving.server).clone();
    server.status = Some(status.clone());
    serving.server = Arc::new(server);
    let before = exposed(&serving);
    serving.report = Arc::default();
    assert_eq!(exposed(&serving), before);
    assert_eq!(
        (endpoints(&serving), api_status(&serving)),
        (status.endpoints, status.api)
    );
}

#[test]
fn a_service_of_the_go_operator_is_known_before_the_api_has_answered() {
    let mut observed = observed(ServerReport::default());
    let service: Service = serde_json::from_value(json!({
        "metadata": {
            "name": "files-adapter-nfs",
            "ownerReferences": [{
                "apiVersion": "dittofs.dittofs.com/v1alpha1", "kind": "DittoServer", "name": "files",
                "uid": observed.server.metadata.uid, "controller": true,
            }],
        },
        "spec": {"ports": [{"name": "portmap", "port": 111}, {"name": "adapter-nfs", "port": 2050}]},
    }))
    .unwrap();
    observed.services = Read::Found(vec![Arc::new(service)]);
    assert_eq!(services(&observed), [("nfs".to_owned(), 2050)]);
}

#[test]
fn a_server_that_lists_many_adapters_gets_no_more_than_sixteen_and_loses_none_that_it_had() {
    let many = |first: u16| (first..first + 100).map(|port| row(&format!("a{port}"), port, true, true));
    let mut answers = vec![Ok(both())];
    answers.extend((1..5).map(|answer| Ok(many(answer * 1000).chain(both()).collect())));
    let report = after(&answers);
    assert_eq!(report.enabled.len(), 16);
    assert!(report.enabled.contains_key("nfs") && report.enabled.contains_key("smb"));
    // After a start of the operator, only the cluster knows them.
    let answers: Vec<_> = (1..5).map(|answer| Ok(many(answer * 1000).collect())).collect();
    let mut serving = applied(observed(after(&[Ok(both())])));
    serving.report = Arc::new(after(&answers));
    assert_eq!(exposed(&serving).gone, Vec::<String>::new());
}

#[test]
fn an_adapter_whose_service_would_have_too_long_a_name_has_none() {
    let long = "x".repeat(50);
    let report = after(&[Ok(vec![
        row(&long, 1000, true, true),
        row("nfs", 12049, true, true),
    ])]);
    let exposed = exposed(&observed(report)).exposed;
    let types: Vec<_> = exposed
        .iter()
        .map(|adapter| adapter.adapter_type.as_str())
        .collect();
    assert_eq!(types, ["nfs"], "files-adapter-{long} has 64 characters");
}

proptest! {
    /// A network policy engine is not needed to see that each port of each Service leads to a port that some policy opens.
    #[test]
    fn every_port_of_every_service_is_admitted_by_a_policy_of_the_pod(
        api in 1_i32..65536, metrics in prop::option::of(1_i32..65536), discovery: bool,
        nfs in prop::option::of(0_u16..), smb in prop::option::of(0_u16..), other in prop::option::of(1_u16..),
    ) {
        let rows = [("nfs", nfs), ("smb", smb), ("ftp", other)];
        let rows = rows.into_iter().filter_map(|(name, port)| Some(row(name, port?, true, true)));
        let metrics = metrics.map_or(String::new(), |port| format!("\nmetrics: {{enabled: true, port: {port}}}"));
        let spec = format!("controlPlane: {{port: {api}}}\nadapterServices: {{nfsV3Discovery: {discovery}}}{metrics}");
        let mut observed = testing::running(&spec);
        observed.report = Arc::new(after(&[Ok(rows.collect())]));
        let children = desired(&testing::valid(&observed, PodGate::Open), &Settings::default()).unwrap();
        let policies = children.network_policy.iter().chain(&children.adapters.policies);
        let open: Vec<_> = policies
            .flat_map(|policy| policy.spec.as_ref().unwrap().ingress.iter().flatten())
            .flat_map(|rule| rule.ports.iter().flatten())
            .map(|port| (port.port.clone(), port.protocol.clone()))
            .collect();
        let services = [&children.headless_service, &children.api_service]
            .into_iter()
            .chain(&children.metrics_service)
            .chain(&children.adapters.services);
        for service in services {
            for port in service.spec.as_ref().unwrap().ports.iter().flatten() {
                let target = (port.target_port.clone(), port.protocol.clone());
                prop_assert!(open.contains(&target), "{:?} of {:?}", port, service.metadata.name);
            }
        }
    }
}
