//! Answers with rows that cannot be read.

use super::*;

fn unread(adapter_type: Option<&str>) -> Unread {
    Unread {
        adapter_type: adapter_type.map(str::to_owned),
        error: "invalid port".into(),
    }
}

fn list(rows: Vec<Row>, broken: Option<&str>) -> Listed {
    let unread = vec![unread(broken)];
    Listed { rows, unread }
}

fn nfs() -> Vec<Row> {
    vec![row("nfs", 12049, true, true)]
}

/// The report after these answers.
fn after_lists(lists: Vec<Listed>) -> ServerReport {
    let calls = Calls::new(Duration::ZERO);
    let lists = (0..).zip(lists);
    lists.fold(ServerReport::default(), |report, (second, listed)| {
        learn(&report, Ok(listed), &calls, at(second))
    })
}

// invariant: 15
#[test]
fn an_adapter_whose_row_cannot_be_read_stays_as_it_is_known() {
    for broken in [Some("smb"), None] {
        let mut lists = vec![Listed::from(both())];
        lists.extend((0..5).map(|_| list(nfs(), broken)));
        let mut serving = applied(observed(after(&[Ok(both())])));
        let before = endpoints(&serving);
        serving.report = Arc::new(after_lists(lists));
        assert_eq!(services(&serving), [("nfs".into(), 12049), ("smb".into(), 1445)]);
        assert_eq!(exposed(&serving).gone, Vec::<String>::new());
        assert_eq!(endpoints(&serving), before);
    }
}

// invariant: 15
#[test]
fn a_restarted_operator_removes_nothing_and_changes_no_endpoint_while_a_row_cannot_be_read() {
    let mut serving = applied(observed(after(&[Ok(both())])));
    let status = DittoServerStatus {
        endpoints: endpoints(&serving),
        ..DittoServerStatus::default()
    };
    let mut server = (*serving.server).clone();
    server.status = Some(status.clone());
    serving.server = Arc::new(server);
    for broken in [Some("smb"), None] {
        serving.report = Arc::new(after_lists((0..5).map(|_| list(nfs(), broken)).collect()));
        assert_eq!(services(&serving).len(), 2);
        assert_eq!(exposed(&serving).gone, Vec::<String>::new());
        assert_eq!(endpoints(&serving), status.endpoints);
    }
}

// invariant: 15
#[test]
fn an_answer_that_cannot_be_read_does_not_count_among_those_that_lack_an_adapter() {
    let without = || Listed::from(nfs());
    for (lists, is_gone) in [
        (vec![without(), list(nfs(), Some("smb")), without()], false),
        (
            vec![without(), list(nfs(), Some("smb")), without(), without()],
            true,
        ),
        (vec![without(), list(nfs(), None), without()], false),
        (vec![without(), list(nfs(), None), without(), without()], true),
        // Another adapter whose row cannot be read holds up nothing.
        (vec![list(nfs(), Some("ftp")), list(nfs(), Some("ftp"))], true),
    ] {
        assert_eq!(after_lists(lists.clone()).is_gone("smb"), is_gone, "{lists:?}");
    }
}

#[test]
fn the_rows_that_can_be_read_count() {
    let moved = vec![row("nfs", 12050, true, true)];
    let report = after_lists(vec![Listed::from(both()), list(moved, Some("smb"))]);
    let ports: Vec<u16> = report.enabled.values().map(|adapter| adapter.port).collect();
    assert_eq!(ports, [12050, 1445]);
    let disabled = vec![row("nfs", 12049, false, false)];
    let report = after_lists(vec![Listed::from(both()), list(disabled, None)]);
    assert_eq!(report.enabled.keys().collect::<Vec<_>>(), ["smb"]);
}

#[test]
fn adapters_that_cannot_be_read_are_not_unavailable() {
    let broken_nfs = || vec![row("nfs", 12049, true, false)];
    let report = after_lists(vec![
        list(broken_nfs(), Some("smb")),
        list(broken_nfs(), Some("smb")),
    ]);
    assert_eq!(report.unavailable_since, None, "SMB may serve");
    let report = after_lists(vec![nothing_serves().into(), list(broken_nfs(), Some("smb"))]);
    assert_eq!(report.unavailable_since, Some(at(0)), "it was known not to serve");
}
