//! The five processes of a control plane: their names, where they come from, which version is asked for.

use std::fmt;

use crate::release::Release;

/// One process of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// The store behind the API server.
    Etcd,
    /// `kube-apiserver`.
    ApiServer,
    /// `kube-controller-manager`: StatefulSets, garbage collection, volumes, namespaces.
    ControllerManager,
    /// `kube-scheduler`.
    Scheduler,
    /// `kwok`, which simulates the kubelets: nodes are Ready and pods run, without containers.
    Kwok,
}

/// A Go module with pinned requirements, as embedded from `components/`.
#[derive(Debug)]
pub(crate) struct GoModule {
    pub go_mod: &'static str,
    pub go_sum: &'static str,
    pub tools: &'static str,
    /// The requirement whose version is the component's version.
    pub requirement: &'static str,
}

static ETCD: GoModule = GoModule {
    go_mod: include_str!("../components/etcd/go.mod"),
    go_sum: include_str!("../components/etcd/go.sum"),
    tools: include_str!("../components/etcd/tools.go"),
    requirement: "go.etcd.io/etcd/server/v3",
};

static KWOK: GoModule = GoModule {
    go_mod: include_str!("../components/kwok/go.mod"),
    go_sum: include_str!("../components/kwok/go.sum"),
    tools: include_str!("../components/kwok/tools.go"),
    requirement: "sigs.k8s.io/kwok",
};

pub(crate) static HELM: GoModule = GoModule {
    go_mod: include_str!("../components/helm/go.mod"),
    go_sum: include_str!("../components/helm/go.sum"),
    tools: include_str!("../components/helm/tools.go"),
    requirement: "helm.sh/helm/v4",
};

pub(crate) static DFS: GoModule = GoModule {
    go_mod: include_str!("../components/dfs/go.mod"),
    go_sum: include_str!("../components/dfs/go.sum"),
    tools: include_str!("../components/dfs/tools.go"),
    requirement: "github.com/marmos91/dittofs",
};

pub(crate) static VERSITYGW: GoModule = GoModule {
    go_mod: include_str!("../components/versitygw/go.mod"),
    go_sum: include_str!("../components/versitygw/go.sum"),
    tools: include_str!("../components/versitygw/tools.go"),
    requirement: "github.com/versity/versitygw",
};

impl GoModule {
    /// The pinned version, `vX.Y.Z`. The `go.mod` file is the only place that states it.
    pub(crate) fn version(&self) -> &'static str {
        self.go_mod
            .lines()
            .map(|line| line.trim().trim_start_matches("require "))
            .find_map(|line| line.strip_prefix(self.requirement)?.strip_prefix(' '))
            .map_or("unpinned", |rest| {
                rest.split_whitespace().next().unwrap_or("unpinned")
            })
    }
}

impl Component {
    /// All components, in the order in which they start.
    pub const ALL: [Self; 5] = [
        Self::Etcd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kwok,
    ];

    /// The name of the executable, as its project ships it.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kwok => "kwok",
        }
    }

    /// The Go package that is built.
    pub(crate) const fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Scheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
        }
    }

    /// The module that pins the version that is built when none fits on this machine.
    pub(crate) const fn module(self, release: &'static Release) -> &'static GoModule {
        match self {
            Self::Etcd => &ETCD,
            Self::ApiServer | Self::ControllerManager | Self::Scheduler => &release.module,
            Self::Kwok => &KWOK,
        }
    }

    /// Whether it is one of the servers that must all be of one Kubernetes release.
    pub(crate) const fn is_kubernetes(self) -> bool {
        matches!(self, Self::ApiServer | Self::ControllerManager | Self::Scheduler)
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

#[cfg(test)]
mod tests {
    use super::{Component, Release};

    #[test]
    fn every_component_has_a_pinned_version() {
        for component in Component::ALL {
            let version = component.module(Release::newest()).version();
            let numbers: Vec<_> = version.trim_start_matches('v').split('.').collect();
            assert_eq!(numbers.len(), 3, "{component}: {version}");
            assert!(
                numbers.iter().all(|n| n.parse::<u32>().is_ok()),
                "{component}: {version}"
            );
        }
    }
}
