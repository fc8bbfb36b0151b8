//! What is said of a server that a user has paused.

use super::*;
use crate::api::names;

fn paused() -> (Observed, Applied) {
    let (mut observed, applied) = of_running("");
    let annotation = (names::PAUSED_ANNOTATION.to_owned(), "true".to_owned());
    Arc::make_mut(&mut observed.server).metadata.annotations = Some([annotation].into());
    (observed, applied)
}

#[test]
fn a_paused_server_that_has_all_it_asks_for_stays_ready() {
    let (observed, applied) = paused();
    let conditions = judged(&observed, &applied);
    let ready = condition(&conditions, READY);
    assert_eq!(ready.status, "True");
    assert_eq!(ready.message, "DittoServer is fully operational; it is paused");
    assert_eq!(
        one(&conditions, PROGRESSING),
        "False Paused: Paused by the annotation dittofs.dittofs.com/paused. All resources are up to date"
    );
}

#[test]
fn what_is_not_written_is_named_and_the_server_is_not_ready() {
    let (observed, mut applied) = paused();
    applied
        .steps
        .push(step("Service", "files-api", Outcome::Withheld));
    applied
        .steps
        .push(step("StatefulSet", "files", Outcome::Withheld));
    let conditions = judged(&observed, &applied);
    assert_eq!(
        one(&conditions, PROGRESSING),
        "Unknown Paused: Paused by the annotation dittofs.dittofs.com/paused: only the status is written; not written: Service files-api, StatefulSet files"
    );
    let ready = condition(&conditions, READY);
    assert_eq!(ready.status, "Unknown");
    assert!(
        ready.message.contains("Paused by the annotation"),
        "{}",
        ready.message
    );
}

#[test]
fn a_paused_server_whose_pod_fails_says_both() {
    let (observed, mut applied) = paused();
    let mut live = running(&observed.server);
    live.status.as_mut().expect("a status").ready_replicas = None;
    applied.stateful_set = Read::Found(Arc::new(live));
    let conditions = judged(&observed, &applied);
    let progressing = one(&conditions, PROGRESSING);
    assert!(progressing.starts_with("Unknown Paused: "), "{progressing}");
    assert!(
        progressing.ends_with("Scaling: 0/1 replicas ready"),
        "{progressing}"
    );
    assert_eq!(condition(&conditions, READY).status, "False");
}

#[test]
fn a_deletion_is_not_paused() {
    let (mut observed, applied) = paused();
    Arc::make_mut(&mut observed.server).metadata.deletion_timestamp = Some(Time(at(0)));
    let conditions = judged(&observed, &applied);
    assert_eq!(condition(&conditions, PROGRESSING).reason, "Deleting");
}
