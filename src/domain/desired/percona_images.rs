//! Images of a PerconaPGCluster. Percona's operator 2.8.2 needs all three.

use crate::api::percona::PerconaPGClusterSpec;
use crate::api::{PerconaSpec, defaults};
use crate::domain::settings::Settings;

/// Registry and repository prefix of the default images.
const DEFAULT_REGISTRY: &str = "docker.io/percona";

/// The images of one cluster. `None` leaves the choice to Percona's operator.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Images {
    pub(super) postgres: Option<String>,
    pub(super) pg_bouncer: Option<String>,
    pub(super) pg_back_rest: Option<String>,
}

impl Images {
    /// Chooses the images: those in the spec; else, for the PostgreSQL version of the defaults, the defaults; else those of the
    /// cluster.
    ///
    /// There is no default image for another PostgreSQL version: it could not open the data. Such a cluster also keeps the other two
    /// images if it has any, because an older release created it. An adopted cluster keeps them, too.
    pub(super) fn choose(
        percona: &PerconaSpec,
        settings: &Settings,
        version: i32,
        live: Option<&PerconaPGClusterSpec>,
    ) -> Self {
        let is_default_version = version == defaults::PERCONA_POSTGRES_VERSION;
        let live = live.filter(|_| !is_default_version || percona.adopt_existing);
        let live_pg_bouncer = live.and_then(|live| live.proxy.as_ref()?.pg_bouncer.as_ref()?.image.clone());
        let live_pg_back_rest =
            live.and_then(|live| live.backups.as_ref()?.pgbackrest.as_ref()?.image.clone());
        let chosen = |own: Option<&str>, live: Option<String>, default: &str| {
            own.map(str::to_owned)
                .or(live)
                .or_else(|| Some(from_registry(default, settings)))
        };
        let live_postgres = live.and_then(|live| live.image.clone());
        let default_postgres =
            is_default_version.then(|| from_registry(defaults::PERCONA_POSTGRES_IMAGE, settings));
        Self {
            postgres: percona
                .postgres_image()
                .map(str::to_owned)
                .or(live_postgres)
                .or(default_postgres),
            pg_bouncer: chosen(
                percona.pg_bouncer_image(),
                live_pg_bouncer,
                defaults::PERCONA_PG_BOUNCER_IMAGE,
            ),
            pg_back_rest: chosen(
                percona.pg_back_rest_image(),
                live_pg_back_rest,
                defaults::PERCONA_PG_BACK_REST_IMAGE,
            ),
        }
    }
}

/// A default image, from the operator's registry if one is set.
fn from_registry(image: &str, settings: &Settings) -> String {
    match (&settings.percona_registry, image.strip_prefix(DEFAULT_REGISTRY)) {
        (Some(registry), Some(rest)) => format!("{}{rest}", registry.trim_end_matches('/')),
        _ => image.to_owned(),
    }
}
