//! The operator's calls, read from the API server's audit log. Neither the operator nor the API server does more work for it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::{Result, io};

/// The beginning of the operator's user agent.
const AGENT: &str = "dittofs-operator/";

/// One answered call of the operator.
#[derive(Clone, Debug)]
pub struct Call {
    /// create, apply (server-side apply), patch, get, list, watch, …
    pub verb: String,
    /// The kind with its subresource: `dittoservers/status`.
    pub resource: String,
    /// The object.
    pub name: String,
    /// HTTP status.
    pub code: u16,
    /// When it was answered.
    pub at: Timestamp,
}

impl Call {
    /// Whether it could change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// Whether it belongs to a resting operator: the Lease, and watches that end after some minutes.
    pub fn is_background(&self) -> bool {
        self.verb == "watch" || self.resource == "leases"
    }

    /// Whether it changed an object of this kind.
    pub fn has_written(&self, resource: &str) -> bool {
        self.is_write() && self.code < 400 && self.resource == resource
    }
}

/// How many calls of each verb and kind.
pub type Counts = BTreeMap<String, usize>;

/// Counts calls by verb and kind. A refused call is counted with its code.
pub fn count(calls: &[Call]) -> Counts {
    let mut counts = Counts::new();
    for call in calls {
        let mut what = format!("{} {}", call.verb, call.resource);
        if call.code >= 400 {
            what = format!("{what} ({})", call.code);
        }
        *counts.entry(what).or_default() += 1;
    }
    counts
}

/// The audit log of an API server, from some position on.
pub struct AuditLog {
    path: PathBuf,
    position: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    stage: Cow<'a, str>,
    #[serde(borrow, rename = "requestURI")]
    uri: Cow<'a, str>,
    #[serde(borrow)]
    verb: Cow<'a, str>,
    #[serde(borrow, default)]
    user_agent: Cow<'a, str>,
    #[serde(borrow, default)]
    object_ref: Object<'a>,
    #[serde(default)]
    response_status: Status,
    stage_timestamp: Timestamp,
}

#[derive(Default, Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    resource: Cow<'a, str>,
    #[serde(borrow, default)]
    subresource: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl AuditLog {
    /// From now on.
    pub fn from_now(path: &Path) -> Result<Self> {
        let metadata = path.metadata().map_err(io("the audit log"))?;
        Ok(Self {
            path: path.to_owned(),
            position: metadata.len(),
        })
    }

    /// The operator's calls since the last read.
    pub fn read(&mut self) -> Result<Vec<Call>> {
        let mut file = File::open(&self.path).map_err(io("the audit log"))?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.position))
            .map_err(io("the audit log"))?;
        file.read_to_end(&mut bytes).map_err(io("the audit log"))?;
        // The last line may be incomplete.
        let complete = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        self.position += complete as u64;
        let lines = bytes[..complete].split(|byte| *byte == b'\n');
        Ok(lines.filter_map(call).collect())
    }
}

fn call(line: &[u8]) -> Option<Call> {
    let event: Event<'_> = serde_json::from_slice(line).ok()?;
    let is_watch = event.verb == "watch";
    // A watch is counted when it begins, every other call when it is answered.
    let stage = if is_watch {
        "ResponseStarted"
    } else {
        "ResponseComplete"
    };
    if !event.user_agent.starts_with(AGENT) || event.stage != stage {
        return None;
    }
    let is_apply = event.verb == "patch" && event.uri.contains("force=true");
    let object = event.object_ref;
    Some(Call {
        verb: if is_apply {
            "apply".to_owned()
        } else {
            event.verb.into_owned()
        },
        resource: match object.subresource.as_ref() {
            "" => object.resource.into_owned(),
            subresource => format!("{}/{subresource}", object.resource),
        },
        name: object.name.into_owned(),
        code: event.response_status.code,
        at: event.stage_timestamp,
    })
}
