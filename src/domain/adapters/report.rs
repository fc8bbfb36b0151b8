//! What the API of a server says of its adapters. Pure; `server/poller.rs` asks it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::outage::Calls;
use crate::api::names::{NFS, SMB};
use crate::domain::server_settings::Outcome;

/// Port of NFS where the API reports 0, and on a new server.
const NFS_PORT: u16 = 12049;
/// Port of SMB on a new server.
const SMB_PORT: u16 = 1445;
/// Port of SMB where the API reports 0: the server then listens on another port than a new server does.
const SMB_PORT_OF_ZERO: u16 = 12445;
/// Answers in a row that must lack an adapter before its Service is deleted.
const DENIALS: u8 = 2;
/// Most adapters that are known of one server. DittoFS has two. A broken or hostile server must not create any number of objects.
const ADAPTERS_MAX: usize = 16;

/// One adapter in an answer of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The type, as a part of a name: lower case, letters, digits and `-`.
    pub adapter_type: String,
    /// Whether the server should run it.
    pub is_enabled: bool,
    /// Its port; 0 means the default of the type.
    pub port: u16,
    /// Whether its listener serves. `running` in the API only says that it was started.
    pub is_healthy: bool,
    /// Why it does not serve.
    pub message: Option<String>,
}

/// A row of an answer that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The type, as a part of a name. `None` if that cannot be read either: then any adapter may be meant.
    pub adapter_type: Option<String>,
    /// What is wrong with it.
    pub error: String,
}

/// An answer of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The adapters.
    pub rows: Vec<Row>,
    /// The rows that cannot be read.
    pub unread: Vec<Unread>,
}

impl From<Vec<Row>> for Listed {
    fn from(rows: Vec<Row>) -> Self {
        let unread = Vec::new();
        Self { rows, unread }
    }
}

/// An enabled adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// The port on which it listens.
    pub port: u16,
    /// Whether its listener serves.
    pub is_healthy: bool,
    /// Why it does not serve.
    pub message: Option<String>,
}

/// Why a call failed, as far as a user acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection.
    Connect,
    /// A certificate was refused, by the server or by this operator.
    Tls,
    /// No answer in time.
    Timeout,
    /// The token was refused (HTTP 401 or 403).
    Token,
    /// The answer was an error, or not what the API promises.
    Answer,
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// What happened and what to do.
    pub message: String,
}

/// Whether the API answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// It was not asked yet, or did not answer and was not asked often enough.
    #[default]
    Unknown,
    /// The last calls were answered.
    Reachable,
    /// Several calls in a row failed, for some time.
    Unreachable {
        /// The last answer.
        last_success: Option<Timestamp>,
        /// The first failure of its kind.
        failure: Failure,
    },
}

/// What is known from all answers of one server's API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerReport {
    /// The enabled adapters in the last answer, by type. One whose row could not be read is as it was before.
    pub enabled: BTreeMap<String, Adapter>,
    /// The types in the last answer whose rows could not be read.
    unread: BTreeSet<String>,
    /// The types that were enabled, or could not be read, in the answer before.
    before: BTreeSet<String>,
    /// Whether the API has ever answered.
    has_answer: bool,
    /// Number of answers in a row in which the type of every row could be read, up to [`DENIALS`].
    complete: u8,
    /// Since when adapters are enabled and none of them serves.
    pub unavailable_since: Option<Timestamp>,
    /// Whether the API answers.
    pub api: Reachability,
    /// What became of the settings in the spec. `None` before they were compared.
    pub settings: Option<Outcome>,
}

impl ServerReport {
    /// The report of a new server whose adapters serve.
    #[must_use]
    pub fn of_a_new_server() -> Self {
        let adapter = |(adapter_type, port): (&str, u16)| {
            let adapter = Adapter {
                port,
                is_healthy: true,
                message: None,
            };
            (adapter_type.to_owned(), adapter)
        };
        Self {
            enabled: of_a_new_server().map(adapter).into(),
            has_answer: true,
            complete: 1,
            api: Reachability::Reachable,
            ..Self::default()
        }
    }

    /// What is still true when another pod has taken over.
    #[must_use]
    pub fn of_another_pod(&self) -> Self {
        Self {
            unavailable_since: None,
            ..self.clone()
        }
    }

    /// Whether the API has ever answered.
    #[must_use]
    pub fn has_answer(&self) -> bool {
        self.has_answer
    }

    /// Whether a reconcile that knows this report could decide otherwise than one that knows only `earlier`. `exposed` are the adapters
    /// that have a Service or a NetworkPolicy: that one of them is off decides nothing before it [is gone](Self::is_gone).
    #[must_use]
    pub fn is_news(&self, earlier: &Self, exposed: &BTreeSet<String>) -> bool {
        let is_new =
            |(adapter_type, adapter): (&String, &Adapter)| earlier.enabled.get(adapter_type) != Some(adapter);
        let is_gone_now =
            |adapter_type: &String| self.is_gone(adapter_type) && !earlier.is_gone(adapter_type);
        self.api != earlier.api
            || self.settings != earlier.settings
            || self.unavailable_since != earlier.unavailable_since
            || self.has_answer() != earlier.has_answer()
            || self.enabled.iter().any(is_new)
            || exposed.iter().any(is_gone_now)
    }

    /// Whether the API said twice in a row that the server does not run this adapter. One answer is not enough: a deleted service
    /// loses its address for ever.
    #[must_use]
    pub fn is_gone(&self, adapter_type: &str) -> bool {
        self.complete >= DENIALS
            && !self.enabled.contains_key(adapter_type)
            && !self.unread.contains(adapter_type)
            && !self.before.contains(adapter_type)
    }

    /// Whether the last answer said nothing of this adapter that could be read.
    #[must_use]
    pub fn is_unread(&self, adapter_type: &str) -> bool {
        let is_incomplete = self.has_answer && self.complete == 0;
        !self.enabled.contains_key(adapter_type) && (is_incomplete || self.unread.contains(adapter_type))
    }
}

/// The report after one more call, which `calls` has recorded.
///
/// An empty list is not taken for the word that no adapter exists: the server creates NFS and SMB at each start.
#[must_use]
pub fn learn(
    before: &ServerReport,
    answer: Result<Listed, Failure>,
    calls: &Calls,
    now: Timestamp,
) -> ServerReport {
    match answer {
        Ok(listed) if listed == Listed::default() => ServerReport {
            api: Reachability::Reachable,
            ..before.clone()
        },
        Ok(listed) => answered(before, listed, now),
        Err(failure) => failed(before, failure, calls, now),
    }
}

fn answered(before: &ServerReport, listed: Listed, now: Timestamp) -> ServerReport {
    // Those that are left out may have a Service, which must stay.
    let is_short = listed.rows.len() <= ADAPTERS_MAX && listed.unread.len() <= ADAPTERS_MAX;
    let is_complete = is_short && listed.unread.iter().all(|row| row.adapter_type.is_some());
    let is_read = listed.unread.is_empty();
    let enabled = enabled(before, &listed, is_complete);
    let does_none_serve = !enabled.is_empty() && enabled.values().all(|adapter| !adapter.is_healthy);
    let is_unavailable = does_none_serve && (is_read || before.unavailable_since.is_some());
    let unread = listed.unread.into_iter().filter_map(|row| row.adapter_type);
    ServerReport {
        unread: unread.take(ADAPTERS_MAX).collect(),
        before: before.enabled.keys().chain(&before.unread).cloned().collect(),
        has_answer: true,
        complete: if is_complete {
            before.complete.saturating_add(1).min(DENIALS)
        } else {
            0
        },
        unavailable_since: is_unavailable.then(|| before.unavailable_since.unwrap_or(now)),
        api: Reachability::Reachable,
        settings: before.settings.clone(),
        enabled,
    }
}

/// The enabled adapters. If there are too many, those that were known before come first.
fn enabled(before: &ServerReport, listed: &Listed, is_complete: bool) -> BTreeMap<String, Adapter> {
    let mut enabled = kept(before, listed, is_complete);
    let rows = listed.rows.iter().filter(|row| row.is_enabled);
    let (known, new): (Vec<_>, Vec<_>) = rows.partition(|row| before.enabled.contains_key(&row.adapter_type));
    for row in known.into_iter().chain(new) {
        if enabled.len() < ADAPTERS_MAX || enabled.contains_key(&row.adapter_type) {
            enabled.insert(row.adapter_type.clone(), adapter(row));
        }
    }
    enabled
}

/// The adapters of which the answer says nothing that could be read. If the type of a row is unknown too, it may be any that has no
/// other row.
fn kept(before: &ServerReport, listed: &Listed, is_complete: bool) -> BTreeMap<String, Adapter> {
    let is_kept = |adapter_type: &str| {
        let mut unread = listed.unread.iter();
        let mut rows = listed.rows.iter();
        unread.any(|row| row.adapter_type.as_deref() == Some(adapter_type))
            || (!is_complete && !rows.any(|row| row.adapter_type == adapter_type))
    };
    let known = before.enabled.iter();
    let kept = known.filter(|(adapter_type, _)| is_kept(adapter_type));
    kept.map(|(adapter_type, adapter)| (adapter_type.clone(), adapter.clone()))
        .collect()
}

fn adapter(row: &Row) -> Adapter {
    Adapter {
        port: listening(&row.adapter_type, row.port),
        is_healthy: row.is_healthy,
        message: row.message.clone().filter(|_| !row.is_healthy),
    }
}

/// The port on which an adapter listens for a reported one.
fn listening(adapter_type: &str, reported: u16) -> u16 {
    match (adapter_type, reported) {
        (NFS, 0) => NFS_PORT,
        (SMB, 0) => SMB_PORT_OF_ZERO,
        (_, port) => port,
    }
}

/// The adapters of a new server, with their ports.
#[must_use]
pub fn of_a_new_server() -> [(&'static str, u16); 2] {
    [(NFS, NFS_PORT), (SMB, SMB_PORT)]
}

fn failed(before: &ServerReport, failure: Failure, calls: &Calls, now: Timestamp) -> ServerReport {
    let api = match &before.api {
        // The text of a failure may vary from call to call. Only another kind is news.
        Reachability::Unreachable { failure: known, .. } if known.kind == failure.kind => before.api.clone(),
        Reachability::Unreachable { last_success, .. } => Reachability::Unreachable {
            last_success: *last_success,
            failure,
        },
        Reachability::Unknown | Reachability::Reachable if calls.is_outage(now) => {
            Reachability::Unreachable {
                last_success: calls.last_success,
                failure,
            }
        }
        Reachability::Unknown | Reachability::Reachable => before.api.clone(),
    };
    ServerReport {
        api,
        ..before.clone()
    }
}
