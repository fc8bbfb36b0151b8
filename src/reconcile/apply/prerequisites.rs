//! What may be written after the Secrets and the configuration, depending on their outcome. Pure.

use crate::domain::desired::Workload;

/// Whether a server's Secrets and its configuration are as desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prerequisites {
    /// All of them are.
    Complete,
    /// One of them failed, or belongs to another owner.
    Incomplete,
}

impl Prerequisites {
    pub(super) fn of(is_complete: bool) -> Self {
        if is_complete {
            Self::Complete
        } else {
            Self::Incomplete
        }
    }

    /// A database is not created before the Secrets: once it exists, it counts as data that may use other ones.
    pub(super) fn allow_database(self, exists: bool) -> bool {
        self == Self::Complete || exists
    }

    /// A pod starts as soon as its StatefulSet exists. One that is held or awaited needs nothing new.
    pub(super) fn allow(self, workload: &Workload) -> bool {
        self == Self::Complete || !matches!(workload, Workload::Run { .. })
    }

    /// Whether a running pod may be replaced by one with another volume.
    pub(super) fn allow_restart(self, workload: &Workload) -> bool {
        self == Self::Complete && matches!(workload, Workload::Run { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_secrets_and_configuration_no_pod_is_written_and_no_database_is_created() {
        let run = Workload::Run {
            stateful_set: Box::default(),
            config_hash: String::new(),
        };
        let hold = Workload::Hold { replicas: 1 };
        for (prerequisites, is_complete) in
            [(Prerequisites::of(true), true), (Prerequisites::of(false), false)]
        {
            assert_eq!(prerequisites.allow(&run), is_complete);
            assert_eq!(prerequisites.allow_restart(&run), is_complete);
            assert_eq!(prerequisites.allow_database(false), is_complete);
            assert!(prerequisites.allow(&hold), "a held pod may be scaled");
            assert!(!prerequisites.allow_restart(&hold), "a held pod is left alone");
            assert!(
                prerequisites.allow_database(true),
                "an existing database is kept as desired"
            );
        }
    }
}
