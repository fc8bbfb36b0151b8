//! What an account called, and what it was refused, read from audit logs.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Rights for want of which calls were refused, of no object in particular. One call each: namespace, and what was said.
    pub refused: BTreeMap<Right, String>,
}

/// A call that needs a right of the account.
struct Call {
    namespace: String,
    right: Right,
    /// The API server's words, if it refused.
    refusal: Option<String>,
    /// Whether a refusal may be one of a moment. Admission looks at more than the call.
    may_pass: bool,
}

impl Usage {
    /// Adds the calls of the account in an audit log.
    ///
    /// An API server that has just started, or has not yet observed a rule, refuses calls that it allows a moment later: a
    /// refusal counts only where nothing of its kind was ever let through.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(&mut self, log: impl Read, account: &Account) -> io::Result<()> {
        let calls = calls(log, account)?;
        let let_through = calls.iter().filter(|call| call.refusal.is_none());
        let let_through: BTreeSet<_> = let_through.map(Call::kind).collect();
        for call in &calls {
            match &call.refusal {
                None => drop(self.used.insert(call.right.clone())),
                Some(_) if call.may_pass && let_through.contains(&call.kind()) => {}
                Some(why) => {
                    let example = || format!("in {}: {why}", call.namespace);
                    self.refused.entry(call.right.nameless()).or_insert_with(example);
                }
            }
        }
        Ok(())
    }
}

impl Call {
    /// What RBAC checks, except the name.
    fn kind(&self) -> [&str; 4] {
        let Right {
            group,
            resource,
            verb,
            ..
        } = &self.right;
        [&self.namespace, group, resource, verb]
    }

    /// `None` for what everybody may do, and what is about no resource.
    fn of(event: &Value, account: &Account) -> Option<Self> {
        let right = right(event)?;
        let annotations = &event["annotations"];
        let message = event["responseStatus"]["message"].as_str().unwrap_or_default();
        let is_missed = MISSED_BY_ADMISSION.iter().any(|words| message.contains(words));
        let is_refused = annotations["authorization.k8s.io/decision"] != "allow" || is_missed;
        let by = annotations["authorization.k8s.io/reason"]
            .as_str()
            .unwrap_or_default();
        let is_own = by.contains(&format!(
            "ServiceAccount \"{}/{}\"",
            account.name, account.namespace
        ));
        (is_refused || is_own).then(|| Self {
            namespace: event["objectRef"]["namespace"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            right,
            refusal: is_refused.then(|| message.to_owned()),
            may_pass: !is_missed,
        })
    }
}

fn calls(log: impl Read, account: &Account) -> io::Result<Vec<Call>> {
    let user = account.user();
    let mut calls = Vec::new();
    for line in BufReader::new(log).lines() {
        let line = line?;
        // The log is that of everybody: only some lines are worth reading as JSON.
        if !line.contains(&user) {
            continue;
        }
        // The last line may be cut off: the API server is killed at the end.
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if event["user"]["username"] == *user {
            calls.extend(Call::of(&event, account));
        }
    }
    Ok(calls)
}

/// The right that a call needs. `None` for a call without a resource, such as discovery.
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

    fn forbidden(change: impl FnOnce(&mut Value)) -> String {
        call(|event| {
            event["annotations"]["authorization.k8s.io/decision"] = json!("forbid");
            event["responseStatus"] = json!({"code": 403, "message": "no"});
            change(event);
        })
    }

    /// Refused by admission, after the authorizer had let it through.
    fn disowned() -> String {
        call(|event| {
            let message = "cannot set blockOwnerDeletion if …";
            event["responseStatus"] = json!({"code": 403, "message": message});
        })
    }

    #[test]
    fn a_refusal_of_what_was_also_let_through_in_the_same_namespace_is_one_of_a_moment() {
        let later = call(|event| event["objectRef"]["name"] = json!("two"));
        let passing = usage(&format!("{}\n{later}", forbidden(|_| {})));
        assert!(
            passing.refused.is_empty() && passing.used.len() == 1,
            "{passing:?}"
        );
        let elsewhere = forbidden(|event| event["objectRef"]["namespace"] = json!("other"));
        for lasting in [elsewhere, disowned()] {
            let lasting = usage(&format!("{lasting}\n{later}"));
            assert_eq!(lasting.refused.len(), 1);
        }
    }

    #[test]
    fn a_refusal_by_authorizer_or_owner_admission_is_told_and_one_for_another_reason_is_not() {
        for log in [forbidden(|_| {}), disowned()] {
            let usage = usage(&log);
            assert!(usage.used.is_empty(), "{log}");
            let (right, example) = usage.refused.first_key_value().unwrap();
            assert_eq!(right.to_string(), "patch things/status.g");
            assert!(example.starts_with("in n: "), "{example}");
        }
        let quota = call(|event| event["responseStatus"] = json!({"code": 403, "message": "exceeded quota"}));
        assert!(usage(&quota).refused.is_empty());
    }
}
