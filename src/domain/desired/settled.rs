//! A default of the pod that this operator sets, and earlier versions did not, must not restart a server.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PodTemplateSpec;

use crate::domain::compare;

/// Which defaults a pod template has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defaults {
    /// All.
    Current,
    /// Those of the first version of this operator.
    Former,
}

/// The pod template. The newer defaults are left out while they would be the only difference from the live template. They come with
/// the next change that restarts the server anyway.
pub(super) fn template(
    live: Option<&StatefulSet>,
    build: impl Fn(Defaults) -> PodTemplateSpec,
) -> PodTemplateSpec {
    let current = build(Defaults::Current);
    let Some(live) = live.and_then(|live| live.spec.as_ref()) else {
        return current;
    };
    let former = build(Defaults::Former);
    if current == former {
        return current;
    }
    let json = |template: &PodTemplateSpec| serde_json::to_value(template).unwrap_or_default();
    let live = json(&live.template);
    let is_only_difference = !compare::holds(&live, &json(&current)) && compare::holds(&live, &json(&former));
    if is_only_difference { former } else { current }
}
