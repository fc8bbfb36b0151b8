//! Settings that the server keeps in its database: those that it refuses, and those that were put back.

use kube::runtime::events::{Event, EventType};

use super::{event, normal};
use crate::api::DittoServerStatus;

/// An identity provider could not be applied. One event for each cause.
pub const IDENTITY_PROVIDER_FAILED: &str = "IdentityProviderFailed";
/// `spec.adapters` or `spec.adapterServices.nfsV3Discovery` could not be applied. One event for each cause.
pub const SETTINGS_FAILED: &str = "SettingsFailed";
/// Somebody had changed settings of the spec on the server, and they were put back. One event for each time.
pub const SETTINGS_CORRECTED: &str = "SettingsCorrected";

/// The events about the settings.
pub(super) fn changes(before: &DittoServerStatus, after: &DittoServerStatus) -> Vec<Event> {
    let mut events = providers(before, after);
    events.extend(failure(before, after));
    events.extend(correction(before, after));
    events
}

fn providers(before: &DittoServerStatus, after: &DittoServerStatus) -> Vec<Event> {
    let failed = after
        .identity_providers
        .iter()
        .filter(|provider| !provider.applied);
    let news = failed.filter(|provider| {
        let mut known = before.identity_providers.iter();
        !known.any(|known| {
            known.r#type == provider.r#type && !known.applied && known.message == provider.message
        })
    });
    news.filter_map(|provider| {
        // One without a message is about to be written.
        let why = provider.message.as_deref()?;
        let note = format!("The settings of {} are not applied: {why}", provider.r#type);
        Some(event(EventType::Warning, IDENTITY_PROVIDER_FAILED, "Poll", note))
    })
    .collect()
}

fn failure(before: &DittoServerStatus, after: &DittoServerStatus) -> Option<Event> {
    let message = |status: &DittoServerStatus| status.settings.as_ref()?.message.clone();
    let news = message(after).filter(|_| message(before) != message(after))?;
    let note = format!("Settings of an adapter are not applied: {news}");
    Some(event(EventType::Warning, SETTINGS_FAILED, "Poll", note))
}

fn correction(before: &DittoServerStatus, after: &DittoServerStatus) -> Option<Event> {
    let last = |status: &DittoServerStatus| status.settings.as_ref()?.last_correction.clone();
    let news = last(after).filter(|_| last(before) != last(after))?;
    let note = format!(
        "Settings of the spec were changed on the server, and were put back: {}. Change them in the spec",
        news.settings.join(", ")
    );
    Some(normal(SETTINGS_CORRECTED, "Poll", note))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{IdentityProviderStatus, SettingsCorrection, SettingsStatus};

    fn status(provider: Option<&str>, failure: Option<&str>, corrected: &[&str]) -> DittoServerStatus {
        let correction = SettingsCorrection {
            time: None,
            settings: corrected.iter().map(|name| (*name).to_owned()).collect(),
        };
        DittoServerStatus {
            identity_providers: vec![IdentityProviderStatus {
                r#type: "ldap".into(),
                applied: provider.is_none(),
                message: provider.map(str::to_owned),
                ..IdentityProviderStatus::default()
            }],
            settings: Some(SettingsStatus {
                message: failure.map(str::to_owned),
                last_correction: (!corrected.is_empty()).then_some(correction),
            }),
            ..DittoServerStatus::default()
        }
    }

    fn of(before: &DittoServerStatus, after: &DittoServerStatus) -> Vec<(String, String)> {
        let events = changes(before, after);
        events
            .into_iter()
            .map(|event| (event.reason, event.note.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn each_cause_and_each_correction_has_one_event() {
        let fine = status(None, None, &[]);
        assert_eq!(of(&fine, &fine), []);
        let refused = status(Some("400: no URL"), Some("503"), &["ldap (base_dn)"]);
        let events = of(&fine, &refused);
        let reasons: Vec<&str> = events.iter().map(|(reason, _)| reason.as_str()).collect();
        assert_eq!(
            reasons,
            [IDENTITY_PROVIDER_FAILED, SETTINGS_FAILED, SETTINGS_CORRECTED]
        );
        assert!(
            events[0].1.contains("ldap") && events[0].1.contains("no URL"),
            "{events:?}"
        );
        assert!(events[2].1.contains("ldap (base_dn)"), "{events:?}");
        assert_eq!(of(&refused, &refused), [], "it is reported once");
        assert_eq!(of(&refused, &status(None, None, &["ldap (base_dn)"])), []);
        let other = status(Some("400: no base"), Some("503"), &["ldap (base_dn)"]);
        assert_eq!(of(&refused, &other).len(), 1);
    }
}
