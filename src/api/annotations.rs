//! Annotations that turn something on: what their values mean.

use kube::ResourceExt;

use super::DittoServer;
use super::names::{DELETE_WITHOUT_UPLOAD_ANNOTATION, DELETION_PROTECTION_ANNOTATION, PAUSED_ANNOTATION};

/// Number of characters of an unknown value that are quoted. An annotation may have 256 KiB.
const LONGEST_VALUE: usize = 64;

/// The value of an annotation that turns something on.
///
/// A rule of the CRD cannot see annotations, so admission cannot refuse an unknown value. A user who sets the annotation wants the
/// effect, so every value but `false` and the empty one turns it on. `config/admission/deletion-protection.yaml` does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch<'a> {
    /// The annotation is absent, empty or `false`.
    Off,
    /// The annotation has a documented value.
    On,
    /// The annotation has another value. It has the effect of [`Self::On`], and `ConfigReady` names the value.
    Unknown(&'a str),
}

impl<'a> Switch<'a> {
    fn of(value: Option<&'a str>, documented: &[&str]) -> Self {
        match value {
            None | Some("" | "false") => Self::Off,
            Some(value) if documented.contains(&value) => Self::On,
            Some(value) => Self::Unknown(value),
        }
    }

    /// Whether the annotation has an effect.
    #[must_use]
    pub fn is_on(self) -> bool {
        self != Self::Off
    }

    /// The value, if it is not a documented one.
    #[must_use]
    pub fn unknown(self) -> Option<&'a str> {
        match self {
            Self::Unknown(value) => Some(value),
            Self::Off | Self::On => None,
        }
    }
}

/// Settings in the annotations.
impl DittoServer {
    /// The annotation [`PAUSED_ANNOTATION`].
    #[must_use]
    pub fn pause(&self) -> Switch<'_> {
        Switch::of(self.annotation(PAUSED_ANNOTATION), &["true"])
    }

    /// Whether the server is paused. A pause does not block its deletion.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.pause().is_on()
    }

    /// The annotation [`DELETION_PROTECTION_ANNOTATION`]. It has an effect only if the policy of `config/admission` is installed.
    #[must_use]
    pub fn deletion_protection(&self) -> Switch<'_> {
        Switch::of(
            self.annotation(DELETION_PROTECTION_ANNOTATION),
            &["enabled", "true"],
        )
    }

    /// Whether the user lets a deletion delete what is not uploaded: the annotation [`DELETE_WITHOUT_UPLOAD_ANNOTATION`]. What deletes
    /// data has one spelling only.
    #[must_use]
    pub fn deletes_without_upload(&self) -> bool {
        self.annotation(DELETE_WITHOUT_UPLOAD_ANNOTATION) == Some("true")
    }

    /// A sentence about each annotation with an unknown value: the value, what it is taken for meanwhile, and the accepted values.
    #[must_use]
    pub fn unknown_switches(&self) -> Vec<String> {
        let switches = [
            (PAUSED_ANNOTATION, self.pause(), "true", "the server is paused"),
            (
                DELETION_PROTECTION_ANNOTATION,
                self.deletion_protection(),
                "enabled",
                "the server is protected from deletion, if the policy is installed",
            ),
        ];
        let sentences = switches.into_iter().filter_map(|(key, switch, documented, effect)| {
            let value: String = switch.unknown()?.chars().take(LONGEST_VALUE).collect();
            Some(format!(
                "The annotation {key} has the unknown value {value:?}, which has the effect of {documented:?}: {effect}. Set it to {documented:?} or \"false\", or remove it"
            ))
        });
        sentences.collect()
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations().get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(key: &str, value: Option<&str>) -> DittoServer {
        let mut server = DittoServer::default();
        let annotation = value.map(|value| (key.to_owned(), value.to_owned()));
        server.metadata.annotations = annotation.map(|annotation| [annotation].into());
        server
    }

    #[test]
    fn every_value_but_false_and_the_empty_one_pauses_a_server() {
        for (value, expected) in [
            (None, Switch::Off),
            (Some(""), Switch::Off),
            (Some("false"), Switch::Off),
            (Some("true"), Switch::On),
            (Some("yes"), Switch::Unknown("yes")),
            (Some("True"), Switch::Unknown("True")),
            (Some("1"), Switch::Unknown("1")),
        ] {
            let server = server(PAUSED_ANNOTATION, value);
            assert_eq!(server.pause(), expected, "{value:?}");
            assert_eq!(server.is_paused(), expected != Switch::Off, "{value:?}");
            assert_eq!(server.deletion_protection(), Switch::Off, "{value:?}");
        }
    }

    #[test]
    fn every_value_but_false_and_the_empty_one_protects_a_server() {
        for (value, expected) in [
            (None, Switch::Off),
            (Some("false"), Switch::Off),
            (Some("enabled"), Switch::On),
            (Some("true"), Switch::On),
            (Some("on"), Switch::Unknown("on")),
            (Some("disabled"), Switch::Unknown("disabled")),
        ] {
            let server = server(DELETION_PROTECTION_ANNOTATION, value);
            assert_eq!(server.deletion_protection(), expected, "{value:?}");
            assert_eq!(
                server.deletion_protection().unknown().is_some(),
                matches!(expected, Switch::Unknown(_))
            );
            assert!(!server.is_paused(), "{value:?}");
        }
    }

    #[test]
    fn a_sentence_names_the_unknown_value_its_effect_and_the_accepted_values() {
        let sentence = |key, value: &str| server(key, Some(value)).unknown_switches();
        assert_eq!(
            sentence(PAUSED_ANNOTATION, "yes"),
            [
                "The annotation dittofs.dittofs.com/paused has the unknown value \"yes\", which has the effect of \"true\": the server is paused. Set it to \"true\" or \"false\", or remove it"
            ]
        );
        for known in ["true", "enabled", "false", ""] {
            assert_eq!(
                sentence(DELETION_PROTECTION_ANNOTATION, known),
                [""; 0],
                "{known}"
            );
        }
        let long = sentence(DELETION_PROTECTION_ANNOTATION, &"é\n".repeat(100_000));
        assert!(long[0].len() < 500, "{}", long[0].len());
    }
}
