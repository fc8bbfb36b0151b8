//! What the children after the Secrets and the configuration may do, by what became of these. Pure.
//!
//! The apply and its preview go by the same rule, so that `kubectl dittofs diff` foretells no pod that is not started.

use crate::domain::desired::Workload;

/// Whether a server's Secrets and its configuration are as desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Groundwork {
    /// All of them are.
    Laid,
    /// One of them failed, or is somebody else's.
    Lacking,
}

impl Groundwork {
    pub(super) fn of(is_complete: bool) -> Self {
        if is_complete { Self::Laid } else { Self::Lacking }
    }

    /// A database is not made before the Secrets: once it is there, it counts as data that may know other ones.
    pub(super) fn allows_database(self, exists: bool) -> bool {
        self == Self::Laid || exists
    }

    /// A pod starts the moment its StatefulSet exists. One that is held or awaited needs nothing new.
    pub(super) fn allows(self, workload: &Workload) -> bool {
        self == Self::Laid || !matches!(workload, Workload::Run { .. })
    }

    /// Whether a running pod may be replaced by one with a further volume.
    pub(super) fn allows_restart(self, workload: &Workload) -> bool {
        self == Self::Laid && matches!(workload, Workload::Run { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_secrets_and_configuration_no_pod_is_written_and_no_database_made() {
        let run = Workload::Run {
            stateful_set: Box::default(),
            config_hash: String::new(),
        };
        let hold = Workload::Hold { replicas: 1 };
        for (groundwork, is_laid) in [(Groundwork::of(true), true), (Groundwork::of(false), false)] {
            assert_eq!(groundwork.allows(&run), is_laid);
            assert_eq!(groundwork.allows_restart(&run), is_laid);
            assert_eq!(groundwork.allows_database(false), is_laid);
            assert!(groundwork.allows(&hold), "a held pod may be scaled");
            assert!(!groundwork.allows_restart(&hold), "a held pod is left alone");
            assert!(
                groundwork.allows_database(true),
                "a database that is there is kept as desired"
            );
        }
    }
}
