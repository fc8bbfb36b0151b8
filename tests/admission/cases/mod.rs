//! What is accepted and what is refused, as a table.
//!
//! The table is checked twice: without a cluster (unit tests of `src/api/admission.rs`), and
//! by a real API server (`tests/admission.rs`).

mod access;
mod identity;
mod percona;
mod pod_template;
mod server;
mod shares;
mod storage;

/// The expected outcome of a write.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// It is stored.
    Accepted,
    /// A rule refuses it. The answer names this field and contains this text.
    Refused(&'static str, &'static str),
    /// The schema without CEL (type, range, enum, required) refuses it. The field is the same in both tests. The text is that of the
    /// API server.
    RefusedBySchema(&'static str, &'static str),
}

/// One write.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What the case shows, as a sentence.
    pub sentence: &'static str,
    /// `metadata.name`. `None`: any good name.
    pub name: Option<&'static str>,
    /// `spec` as stored before the rules existed, in YAML. `None`: the write is a creation.
    pub before: Option<&'static str>,
    /// `spec` as written, in YAML. Empty: no spec at all.
    pub spec: &'static str,
    /// The expected result.
    pub expect: Expect,
}

const fn create(sentence: &'static str, spec: &'static str, expect: Expect) -> Case {
    Case {
        sentence,
        name: None,
        before: None,
        spec,
        expect,
    }
}

const fn update(sentence: &'static str, before: &'static str, spec: &'static str, expect: Expect) -> Case {
    Case {
        sentence,
        name: None,
        before: Some(before),
        spec,
        expect,
    }
}

const fn named(name: &'static str, case: Case) -> Case {
    Case {
        name: Some(name),
        ..case
    }
}

const MINIMAL: &str = "storage: {metadataSize: 10Gi}";

/// Every case, by subject.
pub fn all() -> Vec<Case> {
    [
        server::SAMPLES,
        server::NAMES,
        server::POD,
        shares::SHARES,
        pod_template::ADDITIONS,
        storage::STORAGE,
        storage::DATABASE,
        percona::PERCONA,
        access::NETWORK,
        access::METRICS,
        access::SNAPSHOTS,
        identity::IDENTITY,
        identity::LDAP,
        identity::KERBEROS,
    ]
    .concat()
}
