//! The archive: a gzipped tar, built in memory. Everything is redacted here.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::Value;

use crate::domain::redact::Redactor;
use crate::plugin::Error;

const README: &str = "\
A report about one DittoServer, created by `kubectl dittofs report`.

What was left out:
- Values of Secrets. secrets.yaml contains their names, labels and owners, the names of their keys and annotations, and the lengths of
  their values.
- Values of environment variables in a pod template, the annotation in which `kubectl apply` stores a manifest, and managedFields.
- In all files, including logs: the values of the Secrets that the server uses, as plain text, in base64 and hexadecimal, and with the
  escapes of URLs, JSON and HTML. They are replaced by (redacted). Values that are not secret are kept: host, port, database, user
  name, SSL mode and certificates. Values of a Secret that could not be read, and passwords that are in no Secret, are not detected.
  Check the logs before you send this.
";

/// An archive that is being built.
pub(super) struct Archive {
    folder: String,
    redactor: Redactor,
    files: Vec<(String, String)>,
    /// What could not be read, for README.txt.
    pub(super) missed: Vec<String>,
}

impl Archive {
    pub(super) fn new(server: &str, redactor: Redactor) -> Self {
        Self {
            folder: format!("dittofs-report-{server}"),
            redactor,
            files: Vec::new(),
            missed: Vec::new(),
        }
    }

    /// Adds a text.
    pub(super) fn text(&mut self, path: &str, text: &str) {
        let text = self.redactor.text(text);
        self.files.push((path.to_owned(), text));
    }

    /// Adds objects, as YAML.
    pub(super) fn objects(&mut self, path: &str, objects: &[Value]) {
        let mut yaml = String::new();
        for object in objects {
            // Before the conversion to YAML, which may break a long value into lines.
            match serde_yaml::to_string(&self.redactor.object(object)) {
                Ok(text) => {
                    let _ = write!(yaml, "---\n{text}");
                }
                Err(error) => self.missed.push(format!("{path}: cannot be encoded: {error}")),
            }
        }
        self.text(path, &yaml);
    }

    /// Records what could not be read.
    pub(super) fn miss(&mut self, what: &str, error: &kube::Error) {
        self.missed.push(format!(
            "{what}: {}",
            crate::cluster::client::errors::explain(error)
        ));
    }

    /// The bytes of the archive.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, Error> {
        let mut readme = README.to_owned();
        if !self.missed.is_empty() {
            readme.push_str("\nWhat could not be read:\n");
            for missed in &self.missed {
                let _ = writeln!(readme, "- {missed}");
            }
        }
        let readme = self.redactor.text(&readme);
        self.files.insert(0, ("README.txt".into(), readme));
        self.pack().map_err(|error| Error::Write {
            file: PathBuf::from("the archive"),
            error,
        })
    }

    fn pack(&self) -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        for (path, text) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(now);
            tar.append_data(&mut header, format!("{}/{path}", self.folder), text.as_bytes())?;
        }
        tar.into_inner()?.finish()
    }
}
