//! Applies the settings that the spec declares: reads them from the server, and writes only what differs.

mod policies;

use std::time::Duration;

use http::{Method, StatusCode};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::administrator::Server;
use super::client::{Client, Error};
use super::content;
use super::fingerprint::fingerprint;
use super::restart::{Ended, restart};
use crate::api::names::NFS;
use crate::api::{IdentityProviderStatus, SettingsCorrection};
use crate::domain::fields::differing;
use crate::domain::server_api::Target;
use crate::domain::server_settings::adapter_settings::DeclaredAdapter;
use crate::domain::server_settings::providers::Provider;
use crate::domain::server_settings::restarts::{Request, Restarts};
use crate::domain::server_settings::{Declared, Outcome};

/// Time for all settings of a server: meanwhile it holds one of the few slots for calls. A server that does not answer ends the step
/// earlier. What is left follows in the next step.
const STEP: Duration = Duration::from_secs(60);

/// Applies the settings. What could not be applied is in the outcome, and does not hold up the rest, unless the server does not answer.
pub async fn apply(client: &Client, target: &Target, declared: &Declared) -> Outcome {
    let server = Server::new(client, target).within(STEP);
    let mut outcome = Outcome::default();
    for provider in &declared.providers {
        let state = apply_provider(&server, provider, declared, &mut outcome).await;
        outcome.providers.extend(state);
    }
    let mut restarts = Restarts::new(&declared.known_restarts, target.started);
    if let Some(wanted) = declared.nfs_v3_discovery {
        let waits = discovery_waits(wanted);
        // If the operator dies after the write, the status already says that the adapter needs a restart.
        let is_announced = restarts.is_required(NFS, &waits);
        match apply_discovery(&server, wanted, is_announced).await {
            Ok(true) => {
                restarts.require(NFS, waits);
                outcome.has_announced_restart = !is_announced;
                corrected(declared, &mut outcome, "the portmapper and UDP of NFS".to_owned());
            }
            Ok(false) => {}
            Err(error) => outcome.failure = Some(format!("the portmapper of NFS cannot be set: {error}")),
        }
    }
    for adapter in &declared.adapters {
        if let Err(error) = apply_adapter(&server, adapter, declared, &mut outcome).await {
            outcome.failure = Some(format!(
                "spec.adapters.{} cannot be applied: {error}",
                adapter.adapter
            ));
        }
    }
    for request in &declared.restarts {
        apply_restart(&server, request, &mut restarts, &mut outcome).await;
    }
    outcome.restarts = restarts.into_status();
    // After what needs no share, since the server may take long to make one; before the policies, which need shares.
    if let Some(content) = &declared.content {
        let (states, written) = content::apply(&server, content).await;
        outcome.content = Some(states);
        for setting in written {
            corrected(declared, &mut outcome, setting);
        }
    }
    if !declared.policies.is_empty() || !declared.made.is_empty() {
        policies::apply(&server, declared, &mut outcome).await;
    }
    outcome
}

/// Notes that a setting is written, now or once the status announces it. If the spec has not changed since the last comparison, somebody had changed it on the server.
fn corrected(declared: &Declared, outcome: &mut Outcome, setting: String) {
    if !declared.is_unchanged {
        return;
    }
    let correction = outcome.correction.get_or_insert_with(|| SettingsCorrection {
        // The API server keeps whole seconds.
        time: Timestamp::from_second(Timestamp::now().as_second())
            .ok()
            .map(Time),
        settings: Vec::new(),
    });
    correction.settings.push(setting);
}

/// Writes the declared settings of an adapter that differ. The server creates the row of the settings when it is read.
async fn apply_adapter(
    server: &Server<'_>,
    adapter: &DeclaredAdapter,
    declared: &Declared,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let path = format!("adapters/{}", adapter.adapter);
    let parts = [
        (format!("{path}/settings"), Method::PATCH, &adapter.settings),
        (path, Method::PUT, &adapter.fields),
    ];
    for (path, method, wanted) in parts {
        if wanted.is_empty() {
            continue;
        }
        let live = server.call(Method::GET, &path, None).await?;
        let body = differing(wanted.clone(), &live);
        if body.is_empty() {
            continue;
        }
        let fields: Vec<&str> = body.keys().map(String::as_str).collect();
        server
            .call(method, &path, Some(&Value::Object(body.clone())))
            .await?;
        corrected(
            declared,
            outcome,
            format!("the adapter {} ({})", adapter.adapter, fields.join(", ")),
        );
    }
    Ok(())
}

fn discovery_waits(wanted: bool) -> String {
    let state = if wanted { "on" } else { "off" };
    format!("the portmapper and UDP of NFS are switched {state} at the next start of the adapter")
}

async fn apply_restart(
    server: &Server<'_>,
    request: &Request,
    restarts: &mut Restarts,
    outcome: &mut Outcome,
) {
    // A restart that has begun is finished: the adapter is disabled meanwhile.
    let ended = match server.check() {
        Ok(()) => restart(&server.without_limit(), request).await,
        Err(error) => Ended::Failed {
            error,
            is_stopped: false,
        },
    };
    match ended {
        Ended::Restarted => restarts.handled(request, None),
        Ended::Refused(why) => restarts.handled(request, Some(why)),
        Ended::Failed { error, is_stopped } => {
            let message = format!("the adapter is not restarted yet: {error}. The operator retries");
            outcome.has_stopped_adapter |= is_stopped;
            outcome.has_failed_restart = true;
            restarts.failed(request, message);
        }
    }
}

/// Writes one identity provider if it differs. `None`: it is off and not in the spec, so that it is nobody's concern any more.
async fn apply_provider(
    server: &Server<'_>,
    provider: &Provider,
    declared: &Declared,
    outcome: &mut Outcome,
) -> Option<IdentityProviderStatus> {
    let secret = provider.secret.as_ref();
    let fingerprint = secret.map(|secret| fingerprint(&server.target().key, &[secret]));
    let sent = provider
        .known
        .as_ref()
        .and_then(|known| known.secret_fingerprint.as_ref());
    let is_new_secret = provider.is_enabled() && fingerprint.is_some() && fingerprint.as_ref() != sent;
    match write_provider(server, provider, is_new_secret).await {
        Ok(_) if !provider.is_declared => None,
        Ok(Compared {
            is_announced: false,
            is_used_later,
            ..
        }) => Some(provider.announced(server.target().started, is_used_later)),
        Ok(compared) => {
            if !compared.differences.is_empty() {
                let fields = compared.differences.join(", ");
                corrected(declared, outcome, format!("{} ({fields})", provider.kind));
            }
            let state = provider.applied(server.target().started, compared.is_used_later);
            Some(IdentityProviderStatus {
                secret_fingerprint: fingerprint,
                ..state
            })
        }
        Err(error) => Some(provider.failed(error.to_string())),
    }
}

/// What a comparison showed. The server has the provider as declared now, if it was announced.
struct Compared {
    /// Whether the provider is as declared already, or the status says that the operator writes it. Otherwise nothing was written.
    is_announced: bool,
    /// The fields that were different, and were written.
    differences: Vec<String>,
    /// Whether the process uses other values than those of the spec.
    is_used_later: bool,
}

async fn write_provider(
    server: &Server<'_>,
    provider: &Provider,
    is_new_secret: bool,
) -> Result<Compared, Error> {
    let path = format!("identity-providers/{}/config", provider.kind);
    let live = match server.call(Method::GET, &path, None).await {
        Ok(live) => Some(live),
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => None,
        Err(error) => return Err(error),
    };
    let differs = provider.differs(live.as_ref());
    let is_needed = differs || is_new_secret;
    let is_announced = provider.known.is_some() || !is_needed;
    if is_needed && is_announced {
        let body = provider.request(live.as_ref(), is_new_secret || live.is_none());
        server.call(Method::PUT, &path, Some(&body)).await?;
    }
    let differences = if differs {
        provider.differences(live.as_ref())
    } else {
        Vec::new()
    };
    Ok(Compared {
        is_announced,
        differences,
        is_used_later: provider.is_used_later(live.as_ref()),
    })
}

/// Writes it if it differs and `may_write`. Returns whether it differed: the adapter uses it after its next start. The server creates
/// the row of the settings when it is read, so it is read first in any case.
async fn apply_discovery(server: &Server<'_>, wanted: bool, may_write: bool) -> Result<bool, Error> {
    const PATH: &str = "adapters/nfs/settings";
    let settings = server.call(Method::GET, PATH, None).await?;
    let is_set = |key: &str| settings.get(key).and_then(Value::as_bool) == Some(wanted);
    if is_set("portmapper_enabled") && is_set("udp_enabled") {
        return Ok(false);
    }
    if may_write {
        let body = json!({"portmapper_enabled": wanted, "udp_enabled": wanted});
        server.call(Method::PATCH, PATH, Some(&body)).await?;
    }
    Ok(true)
}
