//! What the operator makes on the server: shares, users, groups and remote stores, as the status says.

use crate::api::{DittoServer, DittoServerStatus};
use crate::domain::content::state::State;
use crate::plugin::status::view::{ChildHealth, ChildView};

pub(super) fn shares(server: &DittoServer) -> Vec<ChildView> {
    let Some(status) = &server.status else {
        return Vec::new();
    };
    let DittoServerStatus {
        shares,
        users,
        groups,
        remote_stores,
        ..
    } = status;
    let mut nodes = views("Share", shares);
    for (node, share) in nodes.iter_mut().zip(shares) {
        if share.ready {
            node.summary = format!("NFS {}, SMB {}", share.path, share.name);
            let unused = share.message.as_deref().filter(|_| share.declared);
            if let Some(unused) = unused {
                node.summary.push_str("; ");
                node.summary.push_str(unused);
            }
        }
    }
    nodes.extend(views("User", users));
    nodes.extend(views("Group", groups));
    nodes.extend(views("RemoteStore", remote_stores));
    nodes
}

fn views<S: State>(kind: &'static str, states: &[S]) -> Vec<ChildView> {
    states.iter().map(|state| view(kind, state)).collect()
}

fn view<S: State>(kind: &'static str, state: &S) -> ChildView {
    let view = state.view();
    let health = match (view.ready, view.is_waiting()) {
        (true, _) => ChildHealth::Good,
        (false, true) => ChildHealth::Waiting,
        (false, false) => ChildHealth::Bad,
    };
    let summary = match view.message {
        Some(message) => message.to_owned(),
        None if view.ready => "ready".to_owned(),
        None => "not ready".to_owned(),
    };
    ChildView::new(kind, view.name, health, summary)
}
