//! Kerberos. The server reads most of it at its start only, from its database, so a restart must follow the write.
//!
//! The config hash therefore does not cover the block of the spec, but the fingerprint of what was last written to the server or found
//! there, which is in the status. It changes after the write, and brings exactly one restart.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::provider_values::{KERBEROS, holds, is_empty, known};
use crate::api::{DittoServer, DittoServerStatus, KerberosSpec, MachineAccountSpec};
use crate::domain::digest::Digest;
use crate::domain::observed::Observed;
use crate::domain::paths as server_files;
use crate::domain::workload::pods;

/// Length of a fingerprint, in hexadecimal digits.
const DIGITS: usize = 24;
/// Follows the fingerprint of a configuration that was written to a process that had read another one, with the start of the process.
const WRITTEN_TO: char = '.';

/// The fields that the spec decides. A field that is absent has the value that the server derives at its first start, since the server
/// derives some of them at no other time.
fn fields(kerberos: &KerberosSpec, account: Option<&MachineAccountSpec>) -> Value {
    let principal = text(kerberos.service_principal.as_ref());
    let krb5_conf = match kerberos.krb5_conf_ref() {
        Some(_) => server_files::krb5_conf(),
        None => text(kerberos.krb5_conf.as_ref()),
    };
    let realm = present(kerberos.realm.as_ref()).unwrap_or_else(|| realm_of(&principal));
    let dns_domain = present(kerberos.dns_domain.as_ref()).unwrap_or_else(|| realm.to_lowercase());
    let machine_account = match account {
        Some(account) => json!({
            "enabled": true,
            "account_name": text(account.account_name.as_ref()),
            "keytab_path": account.keytab_ref().map(|_| server_files::machine_keytab()).unwrap_or_default(),
            "dc_address": account.dc_address,
        }),
        None => json!({"enabled": false}),
    };
    json!({
        "enabled": true,
        "keytab_path": kerberos.keytab_ref().map(|_| server_files::keytab()).unwrap_or_default(),
        "service_principal": principal,
        "realm": realm,
        "netbios_domain": text(kerberos.netbios_domain.as_ref()),
        "dns_domain": dns_domain,
        "krb5_conf": krb5_conf,
        "machine_account": machine_account,
    })
}

fn text(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

fn present(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

/// The part behind the last `@`.
fn realm_of(principal: &str) -> String {
    principal
        .rsplit_once('@')
        .map(|(_, realm)| realm.to_owned())
        .unwrap_or_default()
}

/// The fields that only a start brings to the server's adapters. It uses other domain controllers without one.
fn read_at_start(fields: &Value) -> Value {
    let mut read = fields.clone();
    if let Some(account) = read["machine_account"].as_object_mut() {
        account.remove("dc_address");
    }
    read
}

/// Whether a process that has read `live` at its start uses other values than these. `None`: the server has no configuration.
pub(super) fn is_used_later(fields: &Value, live: Option<&Value>) -> bool {
    let Some(live) = live else { return true };
    let mut read = read_at_start(fields);
    // Paths in the configuration file win over those in the database.
    leave_out(&mut read, "keytab_path");
    leave_out(&mut read, "krb5_conf");
    leave_out(&mut read["machine_account"], "keytab_path");
    !holds(live, &read)
}

fn leave_out(fields: &mut Value, key: &str) {
    if let Some(fields) = fields.as_object_mut()
        && fields.get(key).is_some_and(|value| !is_empty(value))
    {
        fields.remove(key);
    }
}

/// Says whether two configurations are the same for a process that starts. Empty fields do not count, so that a field that a later
/// version of the operator knows changes nothing while it is not set.
fn fingerprint(fields: &Value) -> String {
    let mut leaves = Vec::new();
    collect(&read_at_start(fields), String::new(), &mut leaves);
    leaves.sort();
    let mut digest = Digest::default();
    for part in leaves.iter().flat_map(|(path, value)| [path, value]) {
        digest.add(part.as_bytes());
    }
    let mut digits = digest.hex();
    digits.truncate(DIGITS);
    digits
}

fn collect(value: &Value, path: String, leaves: &mut Vec<(String, String)>) {
    match value {
        value if is_empty(value) => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(value, format!("{path}/{key}"), leaves);
            }
        }
        leaf => leaves.push((path, leaf.to_string())),
    }
}

/// What the status holds after a comparison. `before` is what it held, `written_to` the start of a process that has read other values
/// than those written, and that no rollout replaces otherwise.
pub(super) fn applied(fields: &Value, before: Option<&str>, written_to: Option<Timestamp>) -> String {
    let own = fingerprint(fields);
    match (written_to, before) {
        (Some(started), _) => format!("{own}{WRITTEN_TO}{}", started.as_second()),
        (None, Some(before)) if before.split(WRITTEN_TO).next() == Some(&own) => before.to_owned(),
        (None, _) => own,
    }
}

/// The part of the config hash. `None` without Kerberos.
///
/// A new server reads the block of the spec at its first start, so that counts until the operator knows what the server has.
#[must_use]
pub fn in_config_hash(server: &DittoServer) -> Option<String> {
    let applied = known_fingerprint(server.status.as_ref()).cloned();
    applied.or_else(|| Some(fingerprint(&of_spec(server)?)))
}

fn known_fingerprint(status: Option<&DittoServerStatus>) -> Option<&String> {
    known(status, KERBEROS)?.applied_fingerprint.as_ref()
}

/// Whether Kerberos has left the spec, and is still on in the server. A process that starts without the keytab would fail, and nobody
/// could switch Kerberos off through its API any more. So the pod stays as it is until that is done.
#[must_use]
pub fn is_switched_off_first(observed: &Observed) -> bool {
    let server = observed.server.as_ref();
    server.spec.kerberos().is_none()
        && known(server.status.as_ref(), KERBEROS).is_some()
        && pods::serving(&observed.pods).is_some()
}

/// The fields of a server. `None` without Kerberos.
pub(super) fn of_spec(server: &DittoServer) -> Option<Value> {
    let kerberos = server.spec.kerberos()?;
    Some(fields(kerberos, server.spec.machine_account()))
}
