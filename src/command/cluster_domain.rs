//! The DNS domain of the cluster, from the resolver's configuration of the operator's pod.

/// Where the kubelet writes it.
const RESOLVER: &str = "/etc/resolv.conf";

/// The domain of the cluster. `None` outside a cluster.
pub(super) fn of_resolver() -> Option<String> {
    of(&std::fs::read_to_string(RESOLVER).ok()?)
}

/// The kubelet searches `<namespace>.svc.<domain>`, `svc.<domain>` and `<domain>`.
fn of(resolver: &str) -> Option<String> {
    let searched = resolver
        .lines()
        .filter_map(|line| line.trim().strip_prefix("search"));
    let mut domains = searched.flat_map(str::split_whitespace);
    let domain = domains.find_map(|domain| domain.strip_prefix("svc."))?;
    Some(domain.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_the_cluster_is_that_of_its_services() {
        let pod = "nameserver 10.96.0.10\nsearch storage.svc.example.org svc.example.org example.org corp.net\noptions ndots:5\n";
        assert_eq!(of(pod).as_deref(), Some("example.org"));
        assert_eq!(of("nameserver 192.0.2.1\nsearch corp.net\n"), None);
        assert_eq!(of(""), None);
    }
}
