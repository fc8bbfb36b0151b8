//! What an account called, and what it was refused, read from audit logs.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};

use serde_json::Value;

use super::{Account, Right};

/// The API server's words when its admission, and not its authorizer, misses a right: `OwnerReferencesPermissionEnforcement`.
const MISSED_BY_ADMISSION: [&str; 2] = ["cannot set blockOwnerDeletion", "cannot set an ownerRef"];

/// The calls of one account.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rights by which calls were let through. Each names its object, where the call had one.
    pub used: BTreeSet<Right>,
    /// Calls that were refused, each with namespace and reason.
    pub refused: BTreeSet<String>,
}

impl Usage {
    /// Adds what an audit log tells of the account.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(&mut self, log: impl Read, account: &Account) -> io::Result<()> {
        let user = account.user();
        for line in BufReader::new(log).lines() {
            let line = line?;
            // The log is that of everybody: only some lines are worth reading as JSON.
            if !line.contains(&user) {
                continue;
            }
            // The last line may be cut off: the API server is killed at the end.
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["user"]["username"] == *user {
                self.add(&event, account);
            }
        }
        Ok(())
    }

    fn add(&mut self, event: &Value, account: &Account) {
        let Some(right) = right(event) else {
            return;
        };
        let annotations = &event["annotations"];
        let message = event["responseStatus"]["message"].as_str().unwrap_or_default();
        let is_missed = MISSED_BY_ADMISSION.iter().any(|words| message.contains(words));
        if annotations["authorization.k8s.io/decision"] != "allow" || is_missed {
            let namespace = event["objectRef"]["namespace"].as_str().unwrap_or("-");
            self.refused.insert(format!("{right} in {namespace}: {message}"));
            return;
        }
        // What everybody may do is no right of the account.
        let by = annotations["authorization.k8s.io/reason"]
            .as_str()
            .unwrap_or_default();
        if by.contains(&format!(
            "{:?}",
            format!("{}/{}", account.name, account.namespace)
        )) {
            self.used.insert(right);
        }
    }
}

/// The right that a call takes. `None` for a call that is about no resource, such as discovery.
fn right(event: &Value) -> Option<Right> {
    let object = &event["objectRef"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let resource = text(&object["resource"])?;
    Some(Right {
        group: text(&object["apiGroup"]).unwrap_or_default(),
        resource: match text(&object["subresource"]) {
            Some(subresource) => format!("{resource}/{subresource}"),
            None => resource,
        },
        verb: text(&event["verb"])?,
        name: text(&object["name"]),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account() -> Account {
        Account {
            namespace: "system".into(),
            name: "operator".into(),
        }
    }

    /// A call of the account that was let through, with changes.
    fn call(change: impl FnOnce(&mut Value)) -> String {
        let mut event = json!({
            "user": {"username": "system:serviceaccount:system:operator"},
            "verb": "patch",
            "objectRef": {"apiGroup": "g", "resource": "things", "subresource": "status", "name": "one", "namespace": "n"},
            "responseStatus": {"code": 200},
            "annotations": {
                "authorization.k8s.io/decision": "allow",
                "authorization.k8s.io/reason": "RBAC: allowed by … to ServiceAccount \"operator/system\"",
            },
        });
        change(&mut event);
        event.to_string()
    }

    fn usage(log: &str) -> Usage {
        let mut usage = Usage::default();
        usage.read(log.as_bytes(), &account()).unwrap();
        usage
    }

    #[test]
    fn a_call_that_the_accounts_own_roles_let_through_uses_a_right() {
        let usage = usage(&call(|_| {}));
        let used: Vec<String> = usage.used.iter().map(ToString::to_string).collect();
        assert_eq!(used, ["patch things/status.g one"]);
        assert!(usage.refused.is_empty());
    }

    #[test]
    fn calls_of_others_and_calls_that_everybody_may_make_use_none() {
        let somebody = call(|event| event["user"]["username"] = json!("admin"));
        let in_its_name = call(|event| {
            event["impersonatedUser"] = event["user"].take();
            event["user"] = json!({"username": "admin"});
        });
        let everybody = call(|event| {
            let reason = "RBAC: allowed by … to Group \"system:authenticated\"";
            event["annotations"]["authorization.k8s.io/reason"] = json!(reason);
        });
        let discovery = call(|event| event["objectRef"] = Value::Null);
        let cut_off = &call(|_| {})[..80];
        for log in [&somebody, &in_its_name, &everybody, &discovery, cut_off] {
            assert_eq!(usage(log), Usage::default(), "{log}");
        }
    }

    #[test]
    fn a_refusal_by_authorizer_or_owner_admission_is_told_and_one_for_another_reason_is_not() {
        let forbidden = call(|event| {
            event["annotations"]["authorization.k8s.io/decision"] = json!("forbid");
            event["responseStatus"] = json!({"code": 403, "message": "no"});
        });
        let owner = call(|event| {
            let message = "cannot set blockOwnerDeletion if …";
            event["responseStatus"] = json!({"code": 403, "message": message});
        });
        for log in [forbidden, owner] {
            let usage = usage(&log);
            assert!(usage.used.is_empty(), "{log}");
            let told = usage.refused.first().unwrap();
            assert!(told.starts_with("patch things/status.g one in n: "), "{told}");
        }
        let quota = call(|event| event["responseStatus"] = json!({"code": 403, "message": "exceeded quota"}));
        assert!(usage(&quota).refused.is_empty());
    }
}
