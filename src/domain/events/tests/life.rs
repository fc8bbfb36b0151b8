//! The events of starts, stops, rollouts and pauses.

use super::*;

#[test]
fn the_events_of_a_first_start() {
    let mut life = Life::new("");
    let mut made = life.pod(&json!({"replicas": 0}));
    made.steps = vec![
        step("Secret", "files-jwt-secret", Outcome::Created),
        step("ConfigMap", "files-config", Outcome::Created),
        step("StatefulSet", "files", Outcome::Created),
    ];
    let mut events = life.reconcile(&made);
    events.extend(life.reconcile(&life.pod(&json!({"observedGeneration": 2, "replicas": 1}))));
    events.extend(life.reconcile(&life.pod_ready()));
    assert_eq!(
        events,
        [
            "Normal Created: Created Secret files-jwt-secret, ConfigMap files-config, StatefulSet files",
            "Normal Scaling: Scaling: 0/1 replicas ready",
            "Normal Ready: DittoServer is fully operational",
        ]
    );
}

#[test]
fn the_events_of_a_start_on_percona() {
    let mut life = Life::new(PERCONA);
    let server = Arc::clone(&life.observed.server);
    let mut events = Vec::new();
    for state in ["", "initializing", "ready"] {
        life.observed.database.cluster = Read::Found(Arc::new(cluster(&server, state)));
        let now = if state == "ready" {
            life.pod(&json!({"observedGeneration": 2, "replicas": 1}))
        } else {
            applied(&life.observed, None)
        };
        events.extend(life.reconcile(&now));
    }
    events.extend(life.reconcile(&life.pod_ready()));
    assert_eq!(
        events,
        [
            "Warning PerconaNotReady: Waiting for PostgreSQL cluster files-postgres (state: not reported yet)",
            "Normal DatabaseReady: PostgreSQL cluster files-postgres is ready",
            "Normal Scaling: Scaling: 0/1 replicas ready",
            "Normal Ready: DittoServer is fully operational",
        ]
    );
}

#[test]
fn the_events_of_a_stop() {
    let mut life = Life::ready("");
    Arc::make_mut(&mut life.observed.server).spec.replicas = Some(0);
    let mut events =
        life.reconcile(&life.pod(&json!({"observedGeneration": 1, "replicas": 1, "readyReplicas": 1})));
    events.extend(life.reconcile(&life.pod(&json!({"observedGeneration": 2, "replicas": 1}))));
    events.extend(life.reconcile(&life.pod(&json!({"observedGeneration": 2, "replicas": 0}))));
    assert_eq!(
        events,
        [
            "Normal Scaling: Scaling to 0: the pod is being stopped",
            "Normal Stopped: DittoServer is stopped as its spec asks (replicas=0)",
        ]
    );
}

#[test]
fn the_events_of_a_rollout_report_no_outage() {
    let mut life = Life::ready("");
    let rolling = |updated: i32, ready: i32| {
        json!({
            "observedGeneration": 2, "replicas": 1, "readyReplicas": ready, "updatedReplicas": updated,
            "currentRevision": "files-a", "updateRevision": "files-b",
        })
    };
    let mut events = life.reconcile(&life.pod(&rolling(0, 1)));
    events.extend(life.reconcile(&life.pod(&rolling(0, 0))));
    events.extend(life.reconcile(&life.pod(&rolling(1, 0))));
    events.extend(life.reconcile(&life.pod_ready()));
    assert_eq!(
        events,
        [
            "Normal RollingOut: Rolling out revision files-b: 0/1 updated, 1/1 ready",
            "Normal Ready: DittoServer is fully operational",
        ]
    );
}

#[test]
fn a_crash_is_a_warning() {
    let mut life = Life::ready("");
    let down = json!({
        "observedGeneration": 2, "replicas": 1, "readyReplicas": 0, "updatedReplicas": 1,
        "currentRevision": "files-a", "updateRevision": "files-a",
    });
    assert_eq!(
        life.reconcile(&life.pod(&down)),
        [
            "Normal Scaling: Scaling: 0/1 replicas ready",
            "Warning Unavailable: No pod is ready. Waiting for replicas: 0/1 ready",
        ]
    );
}

#[test]
fn a_rollout_that_exceeds_its_deadline_has_one_event() {
    let mut life = Life::ready("progressDeadlineSeconds: 60");
    let stuck = life.pod(&json!({"observedGeneration": 2, "replicas": 1}));
    life.reconcile(&stuck);
    life.seconds += 60;
    let events = life.reconcile(&stuck);
    let [overdue] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert!(
        overdue.starts_with("Warning ProgressDeadlineExceeded: Not finished within 60 s: Scaling: 0/1"),
        "{overdue}"
    );
    life.seconds += 60;
    assert_eq!(life.reconcile(&stuck), Vec::<String>::new());
}

#[test]
fn the_begin_and_the_end_of_a_pause_have_events() {
    let mut life = Life::ready("");
    let annotate = |life: &mut Life, value: &str| {
        let annotation = ("dittofs.dittofs.com/paused".to_owned(), value.to_owned());
        Arc::make_mut(&mut life.observed.server).metadata.annotations = Some([annotation].into());
    };
    annotate(&mut life, "true");
    let now = life.pod_ready();
    assert_eq!(
        life.reconcile(&now),
        ["Normal Paused: Paused by the annotation dittofs.dittofs.com/paused. All resources are up to date"]
    );
    let mut withheld = life.pod_ready();
    withheld.steps = vec![step("Service", "files-api", Outcome::Withheld)];
    assert_eq!(
        life.reconcile(&withheld),
        Vec::<String>::new(),
        "it is paused still"
    );
    annotate(&mut life, "false");
    let events = life.reconcile(&now);
    assert_eq!(
        events,
        [
            "Normal Resumed: No longer paused. All resources are up to date",
            "Normal Ready: DittoServer is fully operational"
        ]
    );
}

#[test]
fn a_load_balancer_without_an_address_has_one_event_and_is_named_until_it_has_one() {
    let mut life = Life::ready("service: {type: LoadBalancer}");
    let owner = crate::domain::testing::controller(&life.observed.server);
    let service = |ingress: serde_json::Value| {
        let service = json!({
            "metadata": {"name": "files-api", "creationTimestamp": at(0).to_string(), "ownerReferences": [owner]},
            "spec": {"type": "LoadBalancer"},
            "status": {"loadBalancer": {"ingress": ingress}},
        });
        Read::Found(vec![Arc::new(
            serde_json::from_value(service).expect("a Service"),
        )])
    };
    let is_named = |life: &Life| {
        let condition = |type_: &str| find(&life.status, type_).expect("a condition");
        assert_eq!(condition(READY).status, "True");
        condition(AVAILABLE)
            .message
            .contains("Service files-api of type LoadBalancer")
    };
    let now = life.pod_ready();
    life.observed.services = service(json!([]));
    life.observed.at = at(119);
    assert_eq!(
        life.reconcile(&now),
        Vec::<String>::new(),
        "it may take two minutes"
    );
    life.observed.at = at(120);
    let events = life.reconcile(&now);
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        events[0].starts_with("Warning LoadBalancerWithoutAddress: Service files-api"),
        "{events:?}"
    );
    assert!(is_named(&life));
    life.observed.at = at(9000);
    assert_eq!(life.reconcile(&now), Vec::<String>::new(), "it does not repeat");
    life.observed.services = service(json!([{"ip": "192.0.2.1"}]));
    assert_eq!(life.reconcile(&now), Vec::<String>::new());
    assert!(!is_named(&life));
}
