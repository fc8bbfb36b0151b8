//! The option `--shard-selector`.

use crate::domain::shard::{Error, ShardSelector};

/// The selector of a shard. `None` for all servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardArg(pub Option<ShardSelector>);

/// Accepts a label selector. As for the namespaces, an empty text means all.
pub(super) fn shard_selector(text: &str) -> Result<ShardArg, Error> {
    let text = text.trim();
    let selector = (!text.is_empty()).then(|| text.parse()).transpose()?;
    Ok(ShardArg(selector))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::command::cli::Cli;

    #[test]
    fn the_selector_of_a_shard_is_checked_and_an_empty_one_means_all_servers() {
        let parsed = |text| Cli::try_parse_from(["dittofs-operator", "--shard-selector", text]);
        for (text, expected) in [
            ("", None),
            (" ", None),
            ("team in ( b, a)", Some("team in (a,b)")),
        ] {
            let ShardArg(selector) = parsed(text).expect("a selector").run.shard_selector;
            assert_eq!(selector.map(|selector| selector.to_string()).as_deref(), expected);
        }
        let refused = parsed("team in a").expect_err("not a selector").to_string();
        assert!(
            refused.contains("--shard-selector") && refused.contains("team in (a,b)"),
            "{refused}"
        );
    }
}
