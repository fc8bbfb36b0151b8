//! The operator without one of its rights, for each right: a condition or the log names the missing right.

mod life;

use std::time::Instant;

use futures::StreamExt;
use local_control_plane::rights::Right;

use self::life::{Life, Step};
use crate::definitions;
use crate::support::process::POLL;
use crate::support::{chart, wait};

/// How many operators run in parallel. Other tests run at the same time, and some of them depend on time.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// Where the missing right must be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the conditions of the server, because something is not done for it.
    Status,
    /// In the operator's log, because it does not concern one server, or the status cannot be written.
    Log,
}

fn place(right: &Right) -> Place {
    let of_operator = [
        "dittoservers/status",
        "events",
        "leases",
        "storageclasses",
        "subjectaccessreviews",
        "tokenreviews",
    ];
    // Without a list of these two kinds, no server is created. Without the others it is created but not watched. That a watch is
    // refused is known shortly after the first list. A server that is reconciled before that is created as well.
    let is_needed = ["perconapgclusters", "persistentvolumeclaims"].contains(&right.resource.as_str());
    let is_only_late = match right.verb.as_str() {
        "watch" => true,
        "list" => !is_needed,
        _ => false,
    };
    // The rollout goes on unchecked.
    let is_check = right.verb == "create" && right.resource == "pods";
    if is_only_late || is_check || of_operator.contains(&right.resource.as_str()) {
        Place::Log
    } else {
        Place::Status
    }
}

/// The expected texts for a missing right: one of these.
fn phrases(right: &Right) -> Vec<String> {
    let Right {
        verb,
        resource,
        group,
        ..
    } = right;
    let by_authorizer = format!("cannot {verb} resource \"{resource}\" in API group \"{group}\"");
    let otherwise = match (verb.as_str(), resource.as_str()) {
        // For a Secret, the message of the API server is not shown: it may quote the object.
        ("create", "secrets") => "Secret files-jwt-secret: create failed: Forbidden",
        ("patch", "secrets") => "Secret files-jwt-secret: update failed: Forbidden",
        ("get", "secrets") => "Check that the operator may get Secrets",
        // Admission uses a different message.
        ("update", "dittoservers/finalizers") => {
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on"
        }
        ("delete", "configmaps" | "networkpolicies" | "poddisruptionbudgets" | "servicemonitors") => {
            "cannot set an ownerRef on a resource you can't delete"
        }
        _ => return vec![by_authorizer],
    };
    vec![by_authorizer, otherwise.to_owned()]
}

/// Runs the life of a server until the missing right is reported. Returns when, where and how.
async fn reported(right: &Right) -> Result<String, String> {
    if right.resource == "customresourcedefinitions" {
        return of_definitions(right).await;
    }
    let life = Life::without(Some(right)).await;
    let (place, phrases) = (place(right), phrases(right));
    for step in Step::ALL {
        step.act(&life).await;
        let deadline = Instant::now() + wait::LONGEST;
        loop {
            let said = said(&life, place).await;
            let is_named = |line: &&str| phrases.iter().any(|phrase| line.contains(phrase));
            if let Some(line) = said.lines().find(is_named) {
                return Ok(format!("{right} | {step:?} | {place:?} | {line}"));
            }
            if step.is_done(&life.world).await {
                break;
            }
            if Instant::now() > deadline {
                return Err(unreported(right, step, &life));
            }
            tokio::time::sleep(POLL * 5).await;
        }
    }
    Err(unreported(right, Step::Delete, &life))
}

/// This right is used only where a kind is not installed.
async fn of_definitions(right: &Right) -> Result<String, String> {
    let [phrase] = &phrases(right)[..] else {
        return Err(format!("no phrase for {right}"));
    };
    let line = definitions::refusal(right, phrase).await;
    line.map(|line| format!("{right} | Start | {:?} | {line}", Place::Log))
        .ok_or_else(|| format!("nothing reports that this right is missing: {right}"))
}

fn unreported(right: &Right, step: Step, life: &Life) -> String {
    println!("{}", life.operator.log());
    format!("until the end of {step:?}, nothing reports that this right is missing: {right}")
}

async fn said(life: &Life, place: Place) -> String {
    match place {
        Place::Status => life.status().await,
        Place::Log => life.operator.log(),
    }
}

// invariant: 19
#[tokio::test(flavor = "multi_thread")]
async fn each_missing_right_of_the_chart_is_named_in_a_condition_or_in_the_log() {
    let rights = chart::granted();
    let lives = futures::stream::iter(&rights).map(reported);
    let outcomes: Vec<_> = lives.buffer_unordered(at_once()).collect().await;
    println!("without | when | where | what is said");
    outcomes.iter().flatten().for_each(|line| println!("{line}"));
    let unreported: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(unreported.is_empty(), "{}", unreported.join("\n"));
}

#[tokio::test]
async fn with_all_rights_of_the_chart_no_call_is_refused() {
    let life = Life::without(None).await;
    for step in Step::ALL {
        step.act(&life).await;
        let deadline = Instant::now() + wait::LONGEST;
        while !step.is_done(&life.world).await {
            assert!(Instant::now() < deadline, "{step:?} does not end");
            tokio::time::sleep(POLL * 5).await;
        }
    }
    let log = life.operator.log();
    assert!(!log.contains("orbidden"), "{log}");
}
