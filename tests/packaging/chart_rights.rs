//! The rights that the rendered chart grants.

use serde_json::{Value, json};

use super::chart::{LEASE, pod, variants};
use super::{NAMESPACE, objects, of_kind, one};

/// All rules of all roles, with the role's kind and name.
fn rules(objects: &[Value]) -> Vec<(String, Value)> {
    let roles = objects
        .iter()
        .filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")));
    roles
        .flat_map(|role| {
            let granted = role["rules"].as_array().cloned().unwrap_or_default();
            granted
                .into_iter()
                .map(|rule| (super::identity(role), rule))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn no_rule_has_a_wildcard_or_allows_privilege_escalation_or_exec() {
    for values in variants() {
        let rules = rules(&objects(&values));
        assert!(rules.len() > 10);
        for (role, rule) in rules {
            let text = rule.to_string();
            for forbidden in [
                "*",
                "\"escalate\"",
                "\"bind\"",
                "\"impersonate\"",
                "exec",
                "attach",
                "portforward",
                "ephemeralcontainers",
                "\"roles\"",
                "clusterroles",
                "rolebindings",
                "serviceaccounts",
                "nodes",
                "\"update\",\"deletecollection\"",
            ] {
                assert!(!text.contains(forbidden), "{role}: {forbidden} in {text}");
            }
        }
    }
}

#[test]
fn with_watch_namespaces_the_only_cluster_wide_right_is_to_watch_three_crds() {
    let objects =
        objects(&json!({"watchNamespaces": ["team-a", "team-b"], "rbac": {"aggregateRoles": false}}));
    let (role, binding) = (one(&objects, "ClusterRole"), one(&objects, "ClusterRoleBinding"));
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let rules = &role["rules"];
    assert_eq!(rules.as_array().map(Vec::len), Some(1), "{rules}");
    assert_eq!(rules[0]["resources"], json!(["customresourcedefinitions"]));
    assert_eq!(rules[0]["verbs"], json!(["list", "watch"]));
    assert_eq!(rules[0]["resourceNames"].as_array().map(Vec::len), Some(3));
}

#[test]
fn with_watch_namespaces_and_without_the_right_on_crds_no_right_is_cluster_wide() {
    let objects =
        objects(&json!({"watchNamespaces": ["team-a", "team-b"], "rbac": {"watchDefinitions": false}}));
    assert!(of_kind(&objects, "ClusterRoleBinding").is_empty());
    for role in of_kind(&objects, "ClusterRole") {
        let aggregated = role["metadata"]["labels"].to_string().contains("aggregate-to-");
        assert!(aggregated && !role.to_string().contains("secrets"), "{role}");
    }
    let mut bound: Vec<String> = of_kind(&objects, "RoleBinding")
        .iter()
        .map(|binding| super::identity(binding))
        .collect();
    bound.sort();
    assert_eq!(
        bound,
        [
            "RoleBinding dittofs-system/dittofs-operator-leader-election",
            "RoleBinding team-a/dittofs-operator",
            "RoleBinding team-b/dittofs-operator",
        ]
    );
}

#[test]
fn every_binding_names_the_service_account_of_the_pod() {
    for values in variants() {
        let objects = objects(&values);
        let account = pod(&values)["serviceAccountName"].clone();
        let bindings = [
            of_kind(&objects, "RoleBinding"),
            of_kind(&objects, "ClusterRoleBinding"),
        ]
        .concat();
        for binding in bindings {
            let expected = json!([{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]);
            assert_eq!(binding["subjects"], expected);
        }
    }
}

#[test]
fn the_lease_is_granted_by_its_name_only() {
    let of_leases: Vec<Value> = rules(&objects(&json!({})))
        .into_iter()
        .filter(|(_, rule)| rule["resources"] == json!(["leases"]))
        .map(|(role, rule)| {
            assert_eq!(role, "Role dittofs-system/dittofs-operator-leader-election");
            rule
        })
        .collect();
    for rule in &of_leases {
        let creates_only = rule["verbs"] == json!(["create"]);
        assert!(creates_only || rule["resourceNames"] == json!([LEASE]), "{rule}");
    }
    assert_eq!(of_leases.len(), 2);
    let of_second = objects(&json!({"leaderElection": {"leaseName": "second"}}));
    let names = |(_, rule): &(String, Value)| rule["resourceNames"] == json!(["second"]);
    assert!(rules(&of_second).iter().any(names));
    let args = one(&of_second, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(args.contains("--leader-election-id=second"), "{args}");
    // The chart cannot know the Leases of the shard and of the other shards.
    let of_shard = rules(&objects(&json!({"shardSelector": "team=a"})));
    let leases = of_shard
        .iter()
        .filter(|(_, rule)| rule["resources"] == json!(["leases"]));
    for (role, rule) in leases {
        assert_eq!(role, "Role dittofs-system/dittofs-operator-leader-election");
        assert!(rule["resourceNames"].is_null(), "{rule}");
    }
    let without = rules(&objects(
        &json!({"leaderElection": {"enabled": false}, "replicas": 1}),
    ));
    assert!(
        !without
            .iter()
            .any(|(_, rule)| rule.to_string().contains("leases"))
    );
}

#[test]
fn the_view_edit_and_admin_roles_of_a_namespace_include_its_servers() {
    let objects = objects(&json!({}));
    for (name, may, may_not) in [
        ("view", "watch", "create"),
        ("edit", "delete", "deletecollection"),
        ("admin", "deletecollection", "escalate"),
    ] {
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{name}");
        let roles = of_kind(&objects, "ClusterRole");
        let role = roles
            .iter()
            .find(|role| role["metadata"]["labels"][&label] == "true");
        let granted = role.expect("a role")["rules"].to_string();
        assert!(
            granted.contains(&format!("{may:?}")) && !granted.contains(&format!("{may_not:?}")),
            "{granted}"
        );
        // Only the operator writes the status.
        assert!(!granted.contains("finalizers"));
    }
    let without = super::objects(&json!({"rbac": {"aggregateRoles": false}}));
    assert_eq!(of_kind(&without, "ClusterRole").len(), 1);
}
