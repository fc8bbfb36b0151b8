//! How the operator reaches the API of a server: the address, the key of its tokens, the certificates.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::api::names::CONTAINER;
use crate::api::{DittoServer, names};
use crate::domain::adapters::exposed_types;
use crate::domain::content::Content;
use crate::domain::desired::wanted_hash;
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::{
    self, CA_KEY, Confidential, Purpose, SecretData, TLS_CERTIFICATE_KEY, TLS_PRIVATE_KEY_KEY,
};
use crate::domain::server_settings::Declared;
use crate::domain::settings::Settings;
use crate::domain::validate::{PodGate, Verdict};
use crate::domain::workload::running::as_running;
use crate::domain::workload::{pod_template, pods};

/// Address of an API in the cluster: the Service `<name>-api`. A certificate of the server must be valid for this host.
pub const DEFAULT_URL_TEMPLATE: &str = "{scheme}://{name}-api.{namespace}.svc:{port}";
/// A pod that became ready this long ago or less is asked more often, until its adapters serve.
pub const STARTING: Duration = Duration::from_secs(60);

/// The certificates of a connection over https, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// CA of the server's certificate. `None`: the CAs of the system.
    pub ca: Option<Vec<u8>>,
    /// Certificate and key with which the operator identifies itself.
    pub client: Option<(Vec<u8>, Confidential)>,
    /// The host in the address, and a longer name of the same host. A certificate for either is accepted.
    pub alias: Option<(String, String)>,
}

/// One server whose API is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// UID of the DittoServer: what is known of another one of its name does not count.
    pub server: String,
    /// UID of the pod.
    pub pod: String,
    /// When the server process started. `None` if the kubelet has not said so.
    pub started: Option<Timestamp>,
    /// When the pod became ready.
    pub ready_since: Option<Timestamp>,
    /// Address of the API, without a path.
    pub url: String,
    /// Signs the tokens. The server checks them with the same key.
    pub key: Confidential,
    /// Certificates; `None` for plain http.
    pub trust: Option<Trust>,
    /// Time between two calls.
    pub interval: Duration,
    /// Settings that the server must have.
    pub declared: Declared,
    /// The types of the adapters that have a Service or a NetworkPolicy. An answer that says that one of them is gone is news.
    pub exposed: BTreeSet<String>,
}

/// The API to ask, and the settings that the server must have. Nothing is set while the spec is refused, or the server is paused.
///
/// `Missing` while no pod of the server is ready, or its signing key is unknown. `Unreadable` if it is not known: then it is asked as
/// before.
#[must_use]
pub fn target(verdict: &Verdict<'_>, observed: &Observed, settings: &Settings) -> Read<Target> {
    let server = observed.server.as_ref();
    if server.metadata.deletion_timestamp.is_some() || server.spec.desired_replicas() == 0 {
        return Read::Missing;
    }
    asked(observed, server, settings, |pod| {
        let valid = verdict.valid.as_ref();
        let is_accepted = valid.is_some_and(|valid| valid.pod == PodGate::Open);
        if is_accepted && !server.is_paused() {
            Declared::of(observed, || is_outdated(observed, pod))
        } else {
            Declared::held()
        }
    })
}

/// The API of a server that is to upload everything before it ends. `None` while it cannot be asked.
#[must_use]
pub fn ending(observed: &Observed, settings: &Settings) -> Option<Target> {
    // Nothing is compared. But no text about the call may show what the spec declares from Secrets.
    let content = |_: &Pod| Declared {
        content: Content::of(observed).map(Arc::new),
        ..Declared::held()
    };
    // The edit that ends the pod may have changed the API, too.
    match asked(observed, &as_running(observed), settings, content) {
        Read::Found(target) => Some(target),
        Read::Missing | Read::Unreadable(_) => None,
    }
}

fn asked(
    observed: &Observed,
    server: &DittoServer,
    settings: &Settings,
    declared: impl FnOnce(&Pod) -> Declared,
) -> Read<Target> {
    if let Read::Unreadable(error) = &observed.pods {
        return Read::Unreadable(error.clone());
    }
    let https = server.spec.api_over_https();
    let trust = match https.then(|| trust(observed, settings)) {
        Some(Err(unknown)) => return Read::Unreadable(unknown),
        Some(Ok(trust)) => Some(trust),
        None => None,
    };
    let target = pods::serving(&observed.pods).and_then(|pod| {
        let url = url(server, settings);
        let target = to_ask(observed, pod, url, trust)?;
        Some(Target {
            declared: declared(pod),
            ..target
        })
    });
    target.map_or(Read::Missing, Read::Found)
}

fn to_ask(observed: &Observed, pod: &Pod, url: String, trust: Option<Trust>) -> Option<Target> {
    let server = observed.server.as_ref();
    let uses = secrets::uses(server);
    let key = uses.iter().find(|used| used.purpose == Purpose::JwtKey)?;
    Some(Target {
        server: server.uid().unwrap_or_default(),
        pod: pod.uid().unwrap_or_default(),
        started: pods::started(pod, CONTAINER),
        ready_since: pods::ready_since(pod),
        url,
        key: Confidential(observed.value(key)?.into()),
        trust,
        interval: server.spec.polling_interval(),
        declared: Declared::held(),
        exposed: exposed_types(observed),
    })
}

/// Whether the pod has another config hash than it must have.
fn is_outdated(observed: &Observed, pod: &Pod) -> bool {
    let hash = pod_template::hash_on(&pod.metadata);
    wanted_hash(observed).is_some_and(|wanted| Some(wanted.as_str()) != hash)
}

/// The address of a server's API. The template may have the placeholders `{scheme}`, `{name}`, `{namespace}`, `{domain}` and `{port}`.
#[must_use]
pub fn url(server: &DittoServer, settings: &Settings) -> String {
    let scheme = if server.spec.api_over_https() {
        "https"
    } else {
        "http"
    };
    let values = [
        ("{scheme}", scheme.to_owned()),
        ("{name}", server.name_any()),
        ("{namespace}", server.namespace().unwrap_or_default()),
        ("{domain}", settings.cluster_domain().to_owned()),
        ("{port}", server.spec.api_port().to_string()),
    ];
    let template = settings.server_url_template.as_deref();
    let template = template.unwrap_or(DEFAULT_URL_TEMPLATE).to_owned();
    values.iter().fold(template, |url, (placeholder, value)| {
        url.replace(placeholder, value)
    })
}

/// The certificates, or the name of the Secret that cannot be read. Another CA is no substitute.
fn trust(observed: &Observed, settings: &Settings) -> Result<Trust, String> {
    let spec = &observed.server.spec;
    let secret = |name: Option<&str>| -> Result<Option<&SecretData>, String> {
        let Some(name) = name else {
            return Ok(None);
        };
        match observed.secrets.get(name) {
            Some(Read::Found(data)) => Ok(Some(data)),
            Some(Read::Missing | Read::Unreadable(_)) | None => Err(name.to_owned()),
        }
    };
    let certificate = secret(spec.cert_secret_name())?;
    let client = secret(spec.operator_cert_secret_name())?;
    Ok(Trust {
        ca: certificate
            .and_then(|data| data.value(CA_KEY))
            .map(<[u8]>::to_vec),
        client: client.and_then(|data| {
            let certificate = data.value(TLS_CERTIFICATE_KEY)?.to_vec();
            Some((certificate, Confidential(data.value(TLS_PRIVATE_KEY_KEY)?.into())))
        }),
        alias: settings
            .server_url_template
            .is_none()
            .then(|| alias(&observed.server, settings.cluster_domain())),
    })
}

/// The name of the API Service, without and with the domain of the cluster.
fn alias(server: &DittoServer, domain: &str) -> (String, String) {
    let service = names::api_service(&server.name_any());
    let short = format!("{service}.{}.svc", server.namespace().unwrap_or_default());
    let long = format!("{short}.{domain}");
    (short, long)
}

#[cfg(test)]
mod tests;
