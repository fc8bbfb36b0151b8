//! The ConfigMap with the server's configuration.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;

use super::meta;
use crate::api::{DittoServer, names};

/// Builds the ConfigMap around a rendered configuration.
pub(super) fn build(server: &DittoServer, config: String) -> ConfigMap {
    ConfigMap {
        metadata: meta::owned(server, names::config_map(&server.name_any())),
        data: Some(BTreeMap::from([(names::CONFIG_KEY.to_owned(), config)])),
        ..ConfigMap::default()
    }
}
