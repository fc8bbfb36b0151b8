//! The operator without one of its rights, for each of them: it says which one it misses, where somebody looks.

mod life;

use std::time::Instant;

use futures::StreamExt;
use local_control_plane::rights::Right;

use self::life::{Life, Step};
use crate::support::process::GLANCE;
use crate::support::{chart, wait};

/// How many operators run side by side. Other tests run meanwhile, and some of them go by the clock.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// Where somebody must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the conditions of the server: something is not done for it.
    Status,
    /// In the operator's log: it is no matter of one server, or the server cannot be told.
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
    // Without a list of these two, a server is not made; of the others, it is made, and not looked after. That a watch is
    // refused is known a moment after the first list; a server that is reconciled in that moment is made as well.
    let is_needed = ["perconapgclusters", "persistentvolumeclaims"].contains(&right.resource.as_str());
    let is_only_late = match right.verb.as_str() {
        "watch" => true,
        "list" => !is_needed,
        _ => false,
    };
    if is_only_late || of_operator.contains(&right.resource.as_str()) {
        Place::Log
    } else {
        Place::Status
    }
}

/// What is said where a right is missing: one of these.
fn phrases(right: &Right) -> Vec<String> {
    let Right {
        verb,
        resource,
        group,
        ..
    } = right;
    let by_authorizer = format!("cannot {verb} resource \"{resource}\" in API group \"{group}\"");
    let otherwise = match (verb.as_str(), resource.as_str()) {
        // Of a Secret, the API server's own text is not shown: it may quote the object.
        ("create", "secrets") => "Secret files-jwt-secret: create failed: Forbidden",
        ("patch", "secrets") => "Secret files-jwt-secret: update failed: Forbidden",
        ("get", "secrets") => "Check that the operator may get Secrets",
        // Admission has words of its own.
        ("update", "dittoservers/finalizers") => {
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on"
        }
        ("delete", "configmaps" | "networkpolicies") => {
            "cannot set an ownerRef on a resource you can't delete"
        }
        _ => return vec![by_authorizer],
    };
    vec![by_authorizer, otherwise.to_owned()]
}

/// Lives until somebody is told of the missing right. Returns when, where and how.
async fn told(right: &Right) -> Result<String, String> {
    let life = Life::without(Some(right)).await;
    let (place, phrases) = (place(right), phrases(right));
    for step in Step::ALL {
        step.act(&life).await;
        let deadline = Instant::now() + wait::LONGEST;
        loop {
            let said = said(&life, place).await;
            let is_told = |line: &&str| phrases.iter().any(|phrase| line.contains(phrase));
            if let Some(line) = said.lines().find(is_told) {
                return Ok(format!("{right} | {step:?} | {place:?} | {line}"));
            }
            if step.is_done(&life.world).await {
                break;
            }
            if Instant::now() > deadline {
                return Err(untold(right, step, &life));
            }
            tokio::time::sleep(GLANCE * 5).await;
        }
    }
    Err(untold(right, Step::Delete, &life))
}

fn untold(right: &Right, step: Step, life: &Life) -> String {
    println!("{}", life.operator.log());
    format!("nobody is told until the end of {step:?} that this is missing: {right}")
}

async fn said(life: &Life, place: Place) -> String {
    match place {
        Place::Status => life.status().await,
        Place::Log => life.operator.log(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_of_the_chart_that_is_missing_is_named_where_somebody_looks() {
    let rights = chart::granted();
    let lives = futures::stream::iter(&rights).map(told);
    let told: Vec<_> = lives.buffer_unordered(at_once()).collect().await;
    println!("without | when | where | what is said");
    told.iter().flatten().for_each(|line| println!("{line}"));
    let untold: Vec<_> = told.into_iter().filter_map(Result::err).collect();
    assert!(untold.is_empty(), "{}", untold.join("\n"));
}

#[tokio::test]
async fn with_all_rights_of_the_chart_a_whole_life_meets_no_refusal() {
    let life = Life::without(None).await;
    for step in Step::ALL {
        step.act(&life).await;
        let deadline = Instant::now() + wait::LONGEST;
        while !step.is_done(&life.world).await {
            assert!(Instant::now() < deadline, "{step:?} does not end");
            tokio::time::sleep(GLANCE * 5).await;
        }
    }
    let log = life.operator.log();
    assert!(!log.contains("orbidden"), "{log}");
}
