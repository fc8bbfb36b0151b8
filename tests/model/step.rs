//! What can happen to a server.

use serde_json::{Value, json};

use crate::support::sequences::Random;

/// One thing that a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another image: the pod is replaced.
    Image(u8),
    /// A label, an annotation and a Service annotation: nothing is replaced.
    Harmless(u8),
    /// `replicas: 0`.
    Stop,
    /// `replicas: 1`.
    Start,
    /// All volumes are expanded.
    Grow,
    /// New generated keys are requested.
    Rotate,
    /// The server is paused.
    Pause,
    /// The server is resumed.
    Resume,
    /// Metrics on or off.
    Metrics(bool),
    /// The server is deleted, and created again with the same spec.
    Recreate,
    /// A child is deleted.
    LoseChild(u8),
}

/// The spec and the annotations after the steps so far.
#[derive(Clone, Debug)]
pub struct Goal {
    pub annotations: Value,
    pub spec: Value,
    size: u32,
    rotations: u32,
}

impl Goal {
    /// The first spec of a sequence. Every third one has a database that stops with the server.
    pub fn first(seed: u64) -> Self {
        let mut spec = json!({
            "image": "example.org/dittofs:0",
            "replicas": 1,
            "storage": {"metadataSize": "1Gi", "controlPlaneSize": "1Gi", "storageClassName": "standard"},
        });
        if seed.is_multiple_of(3) {
            spec["percona"] = json!({"enabled": true, "hibernate": "whenStopped"});
        }
        Self {
            annotations: json!({}),
            spec,
            size: 1,
            rotations: 0,
        }
    }

    /// Takes one step.
    pub fn after(&mut self, step: Step) {
        match step {
            Step::Image(n) => self.spec["image"] = json!(format!("example.org/dittofs:{n}")),
            Step::Harmless(n) => {
                self.annotations["note"] = json!(n.to_string());
                self.spec["service"] = json!({"type": "ClusterIP", "annotations": {"note": n.to_string()}});
            }
            Step::Stop => self.spec["replicas"] = json!(0),
            Step::Start => self.spec["replicas"] = json!(1),
            Step::Grow => {
                self.size += 1;
                self.spec["storage"]["metadataSize"] = json!(format!("{}Gi", self.size));
                self.spec["storage"]["controlPlaneSize"] = json!(format!("{}Gi", self.size));
            }
            Step::Rotate => {
                self.rotations += 1;
                self.annotations["dittofs.dittofs.com/rotate-secrets"] = json!(self.rotations.to_string());
            }
            Step::Pause => self.annotations["dittofs.dittofs.com/paused"] = json!("true"),
            Step::Resume => self.annotations["dittofs.dittofs.com/paused"] = Value::Null,
            Step::Metrics(on) => self.spec["metrics"] = json!({"enabled": on}),
            Step::Recreate | Step::LoseChild(_) => {}
        }
    }

    /// Whether the server is paused.
    pub fn is_paused(&self) -> bool {
        self.annotations["dittofs.dittofs.com/paused"] == "true"
    }

    /// The last request for new keys, if there was one.
    pub fn rotation(&self) -> Option<String> {
        (self.rotations > 0).then(|| self.rotations.to_string())
    }

    /// Whether the server is stopped.
    pub fn is_stopped(&self) -> bool {
        self.spec["replicas"] == 0
    }
}

/// The sequence of a seed: 4 to 7 steps, and a last one that ends a pause.
pub fn sequence(seed: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    let length = 4 + random.below(4);
    let mut steps: Vec<Step> = (0..length).map(|_| draw(&mut random)).collect();
    steps.push(Step::Resume);
    steps
}

fn draw(random: &mut Random) -> Step {
    let n = u8::try_from(random.below(4)).unwrap_or_default();
    match random.below(11) {
        0 => Step::Image(n + 1),
        1 => Step::Harmless(n),
        2 => Step::Stop,
        3 | 4 => Step::Start,
        5 => Step::Grow,
        6 => Step::Rotate,
        7 => Step::Pause,
        8 => Step::Metrics(n % 2 == 0),
        9 => Step::Recreate,
        _ => Step::LoseChild(n),
    }
}
