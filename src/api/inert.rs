//! Fields of the spec without effect. They exist because stored manifests of the Go operator have them.

/// A field, or a part of the spec with all fields in it, and why it has no effect. `src/domain/desired/tests/leaves.rs` shows that
/// every other field has one.
pub const INERT: &[(&str, &str)] = &[
    (
        "identity.type",
        "There is one value, `memory`. The server has no such setting.",
    ),
    (
        "identity.admin.username",
        "It is written to the configuration, but the server ignores it: its first user is always `admin`.",
    ),
    (
        "database.postgresSecretRef.key",
        "The keys in the Secret are fixed: `host`, `port`, `database`, `user`, `password`, `sslmode`, `ca.crt`.",
    ),
    (
        "optional",
        "In a reference to a Secret. The server cannot start without a Secret that the spec names.",
    ),
];

/// Why a field has no effect. `None` if it has one.
#[must_use]
pub fn why(path: &str) -> Option<&'static str> {
    let covers = |inert: &str| {
        let is_part = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
        // A name without dots stands for a field of that name anywhere.
        let is_last = !inert.contains('.') && path.rsplit('.').next() == Some(inert);
        is_last || path.strip_prefix(inert).is_some_and(is_part)
    };
    INERT.iter().find(|(inert, _)| covers(inert)).map(|(_, why)| *why)
}
