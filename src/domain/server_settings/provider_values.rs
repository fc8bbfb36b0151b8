//! What the server and the status hold of an identity provider, next to what is wanted.

use serde_json::Value;

use crate::api::{DittoServerStatus, IdentityProviderStatus};

/// `ldap` in the API and in the status.
pub const LDAP: &str = "ldap";
/// `kerberos` in the API and in the status.
pub const KERBEROS: &str = "kerberos";

/// What the status holds of a provider.
pub(super) fn known<'a>(
    status: Option<&'a DittoServerStatus>,
    kind: &str,
) -> Option<&'a IdentityProviderStatus> {
    let mut providers = status?.identity_providers.iter();
    providers.find(|provider| provider.r#type == kind)
}

/// Whether `live` has every wanted value. An absent field equals an empty one.
pub(super) fn holds(live: &Value, wanted: &Value) -> bool {
    let mut names = Vec::new();
    different(live, wanted, "", &mut names);
    names.is_empty()
}

/// Collects the names of the values that are not as wanted.
pub(super) fn different(live: &Value, wanted: &Value, name: &str, names: &mut Vec<String>) {
    if let Value::Object(fields) = wanted {
        for (key, wanted) in fields {
            let name = format!("{name}{}{key}", if name.is_empty() { "" } else { "." });
            different(&live[key.as_str()], wanted, &name, names);
        }
    } else if live != wanted && !(is_empty(live) && is_empty(wanted)) {
        names.push(name.to_owned());
    }
}

/// Whether a value is the same as an absent one.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
