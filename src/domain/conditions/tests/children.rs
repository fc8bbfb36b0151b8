//! Children that cannot be written: another owner, a failed call, a predecessor.

use super::*;

// invariant: 7
#[test]
fn each_foreign_object_is_reported_by_the_condition_of_its_kind() {
    let table = [
        ("ConfigMap", "files-config", Some(CONFIG_READY)),
        ("StatefulSet", "files", Some(AVAILABLE)),
        ("PerconaPGCluster", "files-postgres", Some(DATABASE_READY)),
        ("Service", "files-api", None),
        ("NetworkPolicy", "files-baseline", None),
    ];
    for (kind, name, type_) in table {
        let (observed, mut applied) = of_running(PERCONA);
        applied
            .steps
            .push(step(kind, name, Outcome::Foreign("Deployment web".into())));
        let conditions = judged(&observed, &applied);
        for other in [AVAILABLE, CONFIG_READY, DATABASE_READY] {
            let tells = condition(&conditions, other).reason == "ResourceConflict";
            assert_eq!(tells, type_ == Some(other), "{kind} {other}");
        }
        let progressing = one(&conditions, PROGRESSING);
        assert!(
            progressing.starts_with(&format!(
                "True ResourceConflict: {kind} {name} exists and belongs to Deployment web"
            )),
            "{progressing}"
        );
        assert_eq!(condition(&conditions, READY).status, "False", "{kind}");
    }
}

#[test]
fn a_foreign_database_says_how_to_adopt_it() {
    let mut observed = world(PERCONA);
    let mut other = cluster(&observed.server, "ready");
    other.metadata = foreign("files-postgres");
    observed.database.cluster = Read::Found(Arc::new(other));
    let mut applied = applied(&observed, None);
    applied.steps.push(step(
        "PerconaPGCluster",
        "files-postgres",
        Outcome::Foreign("nobody".into()),
    ));
    let conditions = judged(&observed, &applied);
    for type_ in [DATABASE_READY, PROGRESSING] {
        let summary = one(&conditions, type_);
        assert!(
            summary.contains("ResourceConflict") && summary.contains("spec.percona.adoptExisting"),
            "{summary}"
        );
    }
}

#[test]
fn a_failed_write_is_reported_by_the_condition_of_its_kind_and_by_progressing() {
    for (kind, type_) in [
        ("Secret", CONFIG_READY),
        ("ConfigMap", CONFIG_READY),
        ("PerconaPGCluster", DATABASE_READY),
    ] {
        let (observed, mut applied) = of_running(PERCONA);
        applied.steps.push(step(kind, "it", failed()));
        let conditions = judged(&observed, &applied);
        assert_eq!(condition(&conditions, type_).reason, "ApplyFailed", "{kind}");
        let progressing = one(&conditions, PROGRESSING);
        assert_eq!(
            progressing,
            format!("True ApplyFailed: Failed to reconcile {kind} it: create failed: Forbidden (HTTP 403)")
        );
        assert_eq!(condition(&conditions, READY).status, "False");
    }
}

#[test]
fn a_predecessor_that_is_still_going_is_waited_for() {
    let (observed, mut applied) = of_running("");
    applied
        .steps
        .push(step("ConfigMap", "files-config", Outcome::Terminating));
    let summary = summary(&judged(&observed, &applied));
    assert_eq!(
        summary[2..],
        [
            "ConfigReady=False ResourceTerminating",
            "Progressing=True ResourceTerminating"
        ]
    );
}
