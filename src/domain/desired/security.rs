//! Security contexts of the pod and of its container.
//!
//! The defaults meet the Pod Security Standard "restricted". The user's fields stay, and nothing is added that contradicts them:
//! Kubernetes would refuse the pod, or never start it.

use k8s_openapi::api::core::v1::{Capabilities, PodSecurityContext, SeccompProfile, SecurityContext};

use super::settled::Defaults;
use crate::api::DittoServerSpec;

/// Group of the server's image. Volumes are made writable for it.
const FS_GROUP: i64 = 65532;
/// Without it the kubelet changes the group of every file of a volume at each start of the pod.
const FS_GROUP_CHANGE_POLICY: &str = "OnRootMismatch";
/// Grants privileges that Kubernetes does not allow together with `allowPrivilegeEscalation: false`.
const SYS_ADMIN: &str = "CAP_SYS_ADMIN";

/// The pod's security context: the user's, merged over the defaults.
pub(super) fn pod(spec: &DittoServerSpec, defaults: Defaults) -> PodSecurityContext {
    let mut context = spec.pod_security_context.clone().unwrap_or_default();
    let wants_root = context.run_as_user == Some(0);
    context.fs_group.get_or_insert(FS_GROUP);
    if defaults == Defaults::Current {
        let policy = &mut context.fs_group_change_policy;
        policy.get_or_insert_with(|| FS_GROUP_CHANGE_POLICY.to_owned());
    }
    context.run_as_non_root.get_or_insert(!wants_root);
    context.seccomp_profile.get_or_insert_with(runtime_default);
    context
}

/// The container's security context: the user's, merged over the defaults. The user's settings for the pod apply to the container as
/// well, unless the container has its own.
pub(super) fn container(spec: &DittoServerSpec) -> SecurityContext {
    let of_pod = pod(spec, Defaults::Current);
    let mut context = spec.security_context.clone().unwrap_or_default();
    let runs_as_non_root = match context.run_as_user {
        Some(user) => user != 0,
        None => of_pod.run_as_non_root.unwrap_or(true),
    };
    context.run_as_non_root.get_or_insert(runs_as_non_root);
    if context.seccomp_profile.is_none() {
        context.seccomp_profile = of_pod.seccomp_profile;
    }
    if !escalates(&context) {
        context.allow_privilege_escalation.get_or_insert(false);
    }
    drop_capabilities(&mut context);
    context
}

/// Whether the server cannot write to the file system of its image.
pub(super) fn is_read_only(spec: &DittoServerSpec) -> bool {
    let context = spec.security_context.as_ref();
    context.and_then(|context| context.read_only_root_filesystem) == Some(true)
}

/// Whether the user asked for something that implies privilege escalation.
fn escalates(context: &SecurityContext) -> bool {
    let added = context
        .capabilities
        .as_ref()
        .and_then(|capabilities| capabilities.add.as_ref());
    context.privileged == Some(true) || added.is_some_and(|added| added.iter().any(|name| name == SYS_ADMIN))
}

fn drop_capabilities(context: &mut SecurityContext) {
    let capabilities = context.capabilities.get_or_insert_with(Capabilities::default);
    let dropped = capabilities.drop.get_or_insert_default();
    if dropped.is_empty() {
        dropped.push("ALL".to_owned());
    }
}

fn runtime_default() -> SeccompProfile {
    SeccompProfile {
        type_: "RuntimeDefault".to_owned(),
        localhost_profile: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::testing;

    fn contexts(spec: &str) -> (Value, Value) {
        let server = testing::server(spec);
        (
            serde_json::to_value(pod(&server.spec, Defaults::Current)).unwrap(),
            serde_json::to_value(container(&server.spec)).unwrap(),
        )
    }

    #[test]
    fn the_defaults_meet_pod_security_restricted() {
        let (pod, container) = contexts("");
        let seccomp = json!({"type": "RuntimeDefault"});
        assert_eq!(
            pod,
            json!({"fsGroup": 65532, "fsGroupChangePolicy": "OnRootMismatch", "runAsNonRoot": true, "seccompProfile": seccomp})
        );
        assert_eq!(
            container,
            json!({
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": true,
                "seccompProfile": seccomp,
            })
        );
    }

    #[test]
    fn a_users_policy_for_the_group_of_files_is_kept() {
        let (pod, _) = contexts("podSecurityContext: {fsGroupChangePolicy: Always}");
        assert_eq!(pod["fsGroupChangePolicy"], "Always");
    }

    #[test]
    fn a_users_pod_context_is_merged_over_the_defaults() {
        let (pod, _) = contexts("podSecurityContext: {runAsUser: 1000, fsGroup: 7}");
        assert_eq!(pod["runAsUser"], 1000);
        assert_eq!(pod["fsGroup"], 7);
        assert_eq!(pod["runAsNonRoot"], true);
    }

    #[test]
    fn what_the_user_allows_the_pod_is_not_forbidden_to_its_container() {
        for spec in [
            "podSecurityContext: {runAsNonRoot: false}",
            "podSecurityContext: {runAsUser: 0}",
        ] {
            let (pod, container) = contexts(spec);
            assert_eq!(
                (&pod["runAsNonRoot"], &container["runAsNonRoot"]),
                (&json!(false), &json!(false)),
                "{spec}"
            );
        }
        let (_, container) = contexts("podSecurityContext: {seccompProfile: {type: Unconfined}}");
        assert_eq!(container["seccompProfile"]["type"], "Unconfined");
    }

    #[test]
    fn a_root_container_does_not_get_run_as_non_root() {
        let (pod, container) = contexts("securityContext: {runAsUser: 0}");
        assert_eq!(
            (&pod["runAsNonRoot"], &container["runAsNonRoot"]),
            (&json!(true), &json!(false))
        );
    }

    #[test]
    fn a_non_root_container_in_a_root_pod_is_non_root() {
        let (_, container) =
            contexts("{podSecurityContext: {runAsUser: 0}, securityContext: {runAsUser: 5}}");
        assert_eq!(container["runAsNonRoot"], true);
    }

    #[test]
    fn privilege_escalation_is_not_forbidden_where_kubernetes_would_refuse_that() {
        for spec in [
            "securityContext: {privileged: true}",
            "securityContext: {capabilities: {add: [CAP_SYS_ADMIN]}}",
        ] {
            let (_, container) = contexts(spec);
            assert_eq!(container.get("allowPrivilegeEscalation"), None, "{spec}");
        }
    }

    #[test]
    fn an_empty_drop_list_drops_all_and_another_is_kept() {
        let (_, container) = contexts("securityContext: {capabilities: {drop: [], add: [NET_BIND_SERVICE]}}");
        assert_eq!(
            container["capabilities"],
            json!({"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]})
        );
        let (_, container) = contexts("securityContext: {capabilities: {drop: [CHOWN]}}");
        assert_eq!(container["capabilities"]["drop"], json!(["CHOWN"]));
    }
}
