//! Any text that `render` reads: YAML or not, with DittoServers, Secrets and lists.

use dittofs_operator::domain::settings::Settings;
use dittofs_operator::plugin::render;
use serde_json::json;

use super::input::Input;
use super::mutate::mutate;
use super::{checks, spec};

/// In each value of a Secret, and nowhere else.
const CANARY: &str = "canary-4f1b";

fn secret(input: &mut Input<'_>) -> String {
    let value = format!("{}{CANARY}{}", input.text(), input.text());
    let key = if input.one_in(4) {
        input.text()
    } else {
        "password".to_owned()
    };
    let mut secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pg", "namespace": "storage"},
        "stringData": {key: value},
    });
    if input.one_in(3) {
        secret["data"] = json!({"key": CANARY});
    }
    if input.one_in(3) {
        mutate(&mut secret, input);
    }
    let text = serde_yaml::to_string(&secret).expect("YAML");
    if input.one_in(3) {
        // Not YAML any more, or another document.
        let mut bytes = text.into_bytes();
        let at = input.below(bytes.len());
        bytes.insert(at, input.byte());
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

fn document(input: &mut Input<'_>) -> String {
    match input.below(6) {
        0 | 1 => serde_yaml::to_string(&spec::manifest(input)).expect("YAML"),
        2 => secret(input),
        3 => {
            let levels = input.below(1000);
            let open = *input.pick(&["[", "{a: ", "- ", "{kind: List, items: ["]);
            open.repeat(levels)
        }
        4 => {
            // Each anchor holds the one before several times.
            let lines = (1..=input.below(9))
                .map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1));
            format!("a0: &a0 [x]\n{}", lines.collect::<String>())
        }
        _ => String::from_utf8_lossy(input.bytes()).into_owned(),
    }
}

/// The target.
pub fn manifest_texts(data: &[u8]) {
    let mut input = Input::new(data);
    let documents: Vec<String> = (0..=input.below(4)).map(|_| document(&mut input)).collect();
    let text = documents.join(*input.pick(&["\n---\n", "\n", "", "\r\n---\r\n"]));
    match render::manifests(&text, &Settings::default()) {
        Ok(rendered) => {
            assert!(!rendered.contains(CANARY), "{rendered}");
            checks::children(&serde_yaml::from_multiple(&rendered).expect("YAML"));
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains(CANARY), "{message}\n{text}");
        }
    }
}
