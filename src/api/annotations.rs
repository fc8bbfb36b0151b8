//! Annotations that turn something on: what their values mean.

use kube::ResourceExt;

use super::DittoServer;
use super::names::{DELETION_PROTECTION_ANNOTATION, PAUSED_ANNOTATION};

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
    /// The annotation has another value. It has the effect of [`Self::On`], and a condition should name the value.
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
}
