//! Patterns and CEL fragments that several rules use. In CEL strings each backslash of a regular expression is doubled.

/// A DNS-1123 subdomain: the name of a Secret or a StorageClass.
pub(super) const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// Durations that Go's `time.ParseDuration` accepts, without `-`.
pub(super) const GO_DURATION: &str = r"^\\+?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$";

/// A Go duration above zero and within Go's range. Micro signs are replaced, because not every CEL evaluator knows them, and some
/// have a larger range.
pub(super) const ABOVE_ZERO: &str = "duration(self.replace('µs', 'us').replace('μs', 'us')) > duration('0s') && duration(self.replace('µs', 'us').replace('μs', 'us')) <= duration('2562047h')";

/// The size of a volume, as a Kubernetes quantity that is cheap to compute with. `quantity()` and `isQuantity()` compute ten to the
/// power of the exponent: for `1e2147483647` the API server would compute for half a minute. So every rule must match this pattern
/// before it calls them. The digits are limited so that no evaluator overflows an `i128`.
pub(super) const SIZE: &str =
    r"^\\+?([0-9]{1,15}(\\.[0-9]{0,4})?|\\.[0-9]{1,4})([KMGTPE]i|[kMGTPE]|[eE]\\+?(1[0-8]|[0-9]))?$";

/// A size above zero that fits an `int64` in bytes. Kubernetes caps a larger one.
pub(super) const COUNTABLE: &str =
    "quantity(self).isGreaterThan(quantity('0')) && quantity(self).isLessThan(quantity('8Ei'))";

/// A repository with registry, tag and digest, as container runtimes parse it
/// (<https://pkg.go.dev/github.com/distribution/reference>). Only the registry may have capitals.
pub(super) const IMAGE: &str = r"^([-.a-zA-Z0-9]+(:[0-9]+)?/|\\[[0-9a-fA-F:]+\\](:[0-9]+)?/)?[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][-.a-zA-Z0-9_]{0,127})?(@[a-z0-9]+([-+._][a-z0-9]+)*:[0-9a-fA-F]{32,})?$";

/// Ports on which the server itself listens: NFS, SMB, SMB without a port in its database, portmapper.
pub(super) const SERVER_PORTS: &str = "[12049, 1445, 12445, 10111]";

/// Absolute path of a file, without empty, `.` and `..` elements. In SQLite's connection string, `?` starts the parameters.
pub(super) const ABSOLUTE_FILE: &str = r"^(/([^/?.][^/?]*|\\.[^/?.][^/?]*|\\.\\.[^/?]+))+$";

/// Five fields of a cron schedule, as Kubernetes parses them (<https://pkg.go.dev/github.com/robfig/cron/v3>).
pub(super) fn cron() -> String {
    let fields = [
        "[0-5]?[0-9]",
        "([01]?[0-9]|2[0-3])",
        "(0?[1-9]|[12][0-9]|3[01])",
        "(0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))",
        "(0?[0-6]|(?i:sun|mon|tue|wed|thu|fri|sat))",
    ];
    let fields = fields.map(|value| {
        let element = format!("([*?]|{value}(-{value})?)(/0*[1-9][0-9]*)?");
        format!("{element}(,{element})*")
    });
    format!(r"^\\s*{}\\s*$", fields.join(r"\\s+"))
}
