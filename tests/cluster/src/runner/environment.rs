//! The environment of a container, and the references to it in arguments.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, Pod};
use kube::ResourceExt;

use super::rewrite::Rewrite;
use super::sources::{Content, Kind, Sources, Trouble};
use super::status::HOST;

pub(super) type Variables = Vec<(String, String)>;

/// Where the values come from.
pub(super) struct Environment<'a> {
    pub pod: &'a Pod,
    pub address: Ipv4Addr,
    pub sources: &'a Sources,
    pub rewrite: &'a Rewrite,
}

impl Environment<'_> {
    /// The variables of a container, in order; a later one of a name replaces the earlier one. Paths are rewritten, except
    /// in values of Secrets.
    pub(super) async fn of(&self, container: &Container) -> Result<Variables, Trouble> {
        let mut variables = self.of_objects(container).await?;
        for variable in container.env.iter().flatten() {
            if let Some(value) = self.value_of(variable, &variables).await? {
                set(&mut variables, variable.name.clone(), value);
            }
        }
        Ok(variables)
    }

    async fn of_objects(&self, container: &Container) -> Result<Variables, Trouble> {
        let mut variables = Variables::new();
        for source in container.env_from.iter().flatten() {
            let config = source.config_map_ref.as_ref();
            let secret = source.secret_ref.as_ref();
            let object = config
                .map(|config| (Kind::ConfigMap, &config.name, config.optional))
                .or_else(|| secret.map(|secret| (Kind::Secret, &secret.name, secret.optional)));
            let Some((kind, name, optional)) = object else {
                continue;
            };
            let prefix = source.prefix.as_deref().unwrap_or_default();
            for (key, value) in self.sources.keys(kind, name, optional == Some(true)).await? {
                set(&mut variables, format!("{prefix}{key}"), self.text(value));
            }
        }
        Ok(variables)
    }

    async fn value_of(&self, variable: &EnvVar, known: &Variables) -> Result<Option<String>, Trouble> {
        if let Some(source) = &variable.value_from {
            return self.of_source(source).await;
        }
        let text = self.rewrite.text(variable.value.as_deref().unwrap_or_default());
        Ok(Some(expand(&text, known)))
    }

    async fn of_source(&self, source: &EnvVarSource) -> Result<Option<String>, Trouble> {
        if let Some(field) = &source.field_ref {
            return field_of(&field.field_path, self.pod, self.address).map(Some);
        }
        let secret = source.secret_key_ref.as_ref();
        let config = source.config_map_key_ref.as_ref();
        let reference = secret
            .map(|secret| (Kind::Secret, &secret.name, &secret.key, secret.optional))
            .or_else(|| config.map(|config| (Kind::ConfigMap, &config.name, &config.key, config.optional)));
        let Some((kind, name, key, optional)) = reference else {
            return Err(Trouble::Unsupported(
                "this source of an environment variable".to_owned(),
            ));
        };
        let content = self.sources.key(kind, name, key, optional == Some(true)).await?;
        Ok(content.map(|content| self.text(content)))
    }

    fn text(&self, content: Content) -> String {
        match content {
            Content::Text(text) => self.rewrite.text(&text),
            Content::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// A field of the pod, for a variable or a file.
pub(super) fn field_of(path: &str, pod: &Pod, address: Ipv4Addr) -> Result<String, Trouble> {
    let spec = pod.spec.as_ref();
    Ok(match path {
        "metadata.name" => pod.name_any(),
        "metadata.namespace" => pod.namespace().unwrap_or_default(),
        "metadata.uid" => pod.uid().unwrap_or_default(),
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        "spec.serviceAccountName" => spec
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_default(),
        "status.podIP" | "status.podIPs" => address.to_string(),
        "status.hostIP" | "status.hostIPs" => HOST.to_owned(),
        _ => keyed(path, "metadata.labels", pod.labels())
            .or_else(|| keyed(path, "metadata.annotations", pod.annotations()))
            .ok_or_else(|| Trouble::Unsupported(format!("the field {path}")))?,
    })
}

/// `metadata.labels['key']`.
fn keyed(path: &str, map: &str, values: &BTreeMap<String, String>) -> Option<String> {
    let key = path.strip_prefix(map)?.strip_prefix("['")?.strip_suffix("']")?;
    Some(values.get(key).cloned().unwrap_or_default())
}

fn set(variables: &mut Variables, name: String, value: String) {
    variables.retain(|(known, _)| *known != name);
    variables.push((name, value));
}

/// Replaces `$(NAME)` by the value of a known variable; `$$` stands for `$`.
pub(super) fn expand(text: &str, variables: &Variables) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(after) = rest.strip_prefix("$$") {
            out.push('$');
            rest = after;
        } else if let Some((value, after)) = reference(rest, variables) {
            out.push_str(value);
            rest = after;
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out + rest
}

/// The value of the `$(NAME)` at the beginning of a text, and what follows it.
fn reference<'a>(text: &'a str, variables: &'a Variables) -> Option<(&'a str, &'a str)> {
    let (name, after) = text.strip_prefix("$(")?.split_once(')')?;
    let (_, value) = variables.iter().find(|(known, _)| known == name)?;
    Some((value, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_variables_are_expanded_as_kubernetes_does() {
        let variables = vec![("A".to_owned(), "1".to_owned())];
        let cases = [
            ("--a=$(A)", "--a=1"),
            ("$(A)$(A)", "11"),
            ("$(B)", "$(B)"),
            ("$$(A)", "$(A)"),
            ("$A $", "$A $"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &variables), expected);
        }
    }

    #[test]
    fn a_field_of_the_pod_can_be_a_variable() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "namespace": "n", "labels": {"a/b": "c"}},
        }))
        .unwrap();
        let address = Ipv4Addr::new(127, 64, 0, 1);
        let read = |path: &str| field_of(path, &pod, address).map_err(|error| error.to_string());
        assert_eq!(read("metadata.name").unwrap(), "p");
        assert_eq!(read("status.podIP").unwrap(), "127.64.0.1");
        assert_eq!(read("metadata.labels['a/b']").unwrap(), "c");
        assert!(read("status.qosClass").unwrap_err().contains("not supported"));
    }
}
