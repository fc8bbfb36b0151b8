//! Rights: what RBAC's rules grant, and which of them an audit log shows in use.
//!
//! | file | what is in it |
//! |---|---|
//! | `rights.rs` | one right; those that rules grant to an account |
//! | `rights/usage.rs` | the calls of an account, from audit logs |
//! | `rights/findings.rs` | what is granted and not used, used and not granted, refused |

pub mod findings;
pub mod usage;

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::rbac::v1::{PolicyRule, Subject};
use serde_json::Value;

/// The smallest thing that a rule can grant: one verb on one resource, or on one object of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group; empty for the core one.
    pub group: String,
    /// Resource and subresource: `dittoservers/status`.
    pub resource: String,
    /// get, list, watch, create, patch, …
    pub verb: String,
    /// The only object that it is for. `None`: every one.
    pub name: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        self.name.iter().try_for_each(|name| write!(f, " {name}"))
    }
}

impl Right {
    /// The rule that grants this right and nothing else.
    #[must_use]
    pub fn rule(&self) -> PolicyRule {
        PolicyRule {
            api_groups: Some(vec![self.group.clone()]),
            resources: Some(vec![self.resource.clone()]),
            verbs: vec![self.verb.clone()],
            resource_names: self.name.clone().map(|name| vec![name]),
            ..PolicyRule::default()
        }
    }

    /// The same for every object.
    #[must_use]
    pub fn nameless(&self) -> Self {
        Self {
            name: None,
            ..self.clone()
        }
    }

    /// The rights of a rule, one by one. Those to URLs are left out: no operator has any.
    #[must_use]
    pub fn of_rule(rule: &PolicyRule) -> BTreeSet<Self> {
        let some = rule.resource_names.iter().flatten().cloned().map(Some);
        let mut names: Vec<Option<String>> = some.collect();
        if names.is_empty() {
            names.push(None);
        }
        let mut rights = BTreeSet::new();
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    rights.extend(names.iter().map(|name| Self {
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                        name: name.clone(),
                    }));
                }
            }
        }
        rights
    }
}

/// A `ServiceAccount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Account {
    /// As the API server calls it.
    #[must_use]
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    fn is(&self, subject: &Subject) -> bool {
        subject.kind == "ServiceAccount"
            && subject.name == self.name
            && subject.namespace.as_deref() == Some(&self.namespace)
    }
}

/// The rights that these objects, some of them roles and bindings, give to an account.
///
/// # Errors
/// When a role or a binding does not parse.
pub fn granted(objects: &[Value], account: &Account) -> Result<BTreeSet<Right>, serde_json::Error> {
    let mut granted = BTreeSet::new();
    let bindings = objects.iter().filter(|object| object["roleRef"].is_object());
    for binding in bindings {
        let subjects: Vec<Subject> = serde_json::from_value(binding["subjects"].clone())?;
        if !subjects.iter().any(|subject| account.is(subject)) {
            continue;
        }
        let role = objects.iter().find(|role| is_bound(role, binding));
        let rules = role.map_or(Value::Null, |role| role["rules"].clone());
        let rules: Option<Vec<PolicyRule>> = serde_json::from_value(rules)?;
        granted.extend(rules.iter().flatten().flat_map(Right::of_rule));
    }
    Ok(granted)
}

fn is_bound(role: &Value, binding: &Value) -> bool {
    let reference = &binding["roleRef"];
    let is_here =
        role["kind"] == "ClusterRole" || role["metadata"]["namespace"] == binding["metadata"]["namespace"];
    role["kind"] == reference["kind"] && role["metadata"]["name"] == reference["name"] && is_here
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A right, as `verb resource.group name`.
    fn texts(rights: &BTreeSet<Right>) -> Vec<String> {
        rights.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_rule_is_split_into_rights_and_each_right_is_a_rule() {
        let rule = json!({
            "apiGroups": ["apps"], "resources": ["statefulsets", "statefulsets/scale"],
            "verbs": ["get", "patch"], "resourceNames": ["one"],
        });
        let rights = Right::of_rule(&serde_json::from_value(rule).unwrap());
        assert_eq!(
            texts(&rights),
            [
                "get statefulsets.apps one",
                "patch statefulsets.apps one",
                "get statefulsets/scale.apps one",
                "patch statefulsets/scale.apps one",
            ]
        );
        for right in &rights {
            assert_eq!(Right::of_rule(&right.rule()), BTreeSet::from([right.clone()]));
        }
    }

    #[test]
    fn only_rules_that_are_bound_to_the_account_are_granted() {
        let role = |kind: &str, namespace: Option<&str>, resource: &str| {
            json!({
                "kind": kind, "metadata": {"name": "r", "namespace": namespace},
                "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}],
            })
        };
        let binding = |kind: &str, role: &str, namespace: Option<&str>, account: &str| {
            json!({
                "kind": kind, "metadata": {"name": "b", "namespace": namespace},
                "roleRef": {"kind": role, "name": "r"},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "system"}],
            })
        };
        let objects = [
            role("ClusterRole", None, "pods"),
            role("Role", Some("here"), "secrets"),
            role("Role", Some("there"), "services"),
            binding("ClusterRoleBinding", "ClusterRole", None, "operator"),
            binding("RoleBinding", "Role", Some("here"), "operator"),
            binding("RoleBinding", "Role", Some("there"), "somebody"),
        ];
        let account = Account {
            namespace: "system".into(),
            name: "operator".into(),
        };
        assert_eq!(
            texts(&granted(&objects, &account).unwrap()),
            ["get pods", "get secrets"]
        );
    }
}
