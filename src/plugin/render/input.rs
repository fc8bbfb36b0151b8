//! The input of `render`: files or standard input, each with several YAML documents.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Error;

/// One object of the input.
pub(crate) struct Document {
    /// Name of its file, for messages.
    pub(crate) file: String,
    /// The object.
    pub(crate) value: Value,
}

impl Document {
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.value["kind"] == kind
    }

    /// Kind and name, for messages.
    pub(crate) fn title(&self) -> String {
        let text = |value: &Value| value.as_str().unwrap_or("without a name").to_owned();
        format!(
            "{} {}",
            text(&self.value["kind"]),
            text(&self.value["metadata"]["name"])
        )
    }
}

/// The objects in all `files`; `-` is standard input.
pub(crate) fn read(files: &[PathBuf]) -> Result<Vec<Document>, Error> {
    let mut all = Vec::new();
    for file in files {
        let (name, text) = if file == Path::new("-") {
            let mut text = String::new();
            let result = std::io::stdin().read_to_string(&mut text);
            ("standard input".to_owned(), result.map(|_| text))
        } else {
            (file.display().to_string(), std::fs::read_to_string(file))
        };
        let text = text.map_err(|error| Error::Read(name.clone(), error))?;
        all.extend(documents(&name, &text)?);
    }
    Ok(all)
}

/// The objects in `text`. A `List` is replaced by its items.
pub(crate) fn documents(file: &str, text: &str) -> Result<Vec<Document>, Error> {
    let parsed: Vec<Value> = serde_yaml::from_multiple(text).map_err(|error| Error::Parse {
        input: file.to_owned(),
        // Without the source lines, because they may contain a value of a Secret.
        detail: error.without_snippet().to_string(),
    })?;
    let mut all = Vec::new();
    for value in parsed {
        flatten(file, value, &mut all);
    }
    Ok(all)
}

fn flatten(file: &str, mut value: Value, into: &mut Vec<Document>) {
    if value["kind"] != "List" {
        into.push(Document {
            file: file.to_owned(),
            value,
        });
        return;
    }
    if let Value::Array(items) = value["items"].take() {
        for item in items {
            flatten(file, item, into);
        }
    }
}
