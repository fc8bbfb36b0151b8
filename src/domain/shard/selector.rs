//! The label selector of a shard, and the name of the Lease that follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use kube::api::ObjectMeta;
use kube::core::{Expression, Selector, SelectorExt};

use crate::domain::digest::Digest;

/// Hexadecimal digits of the hash in the name of a Lease.
const HASH_DIGITS: usize = 10;
/// Longest name in a label key, and longest label value.
const LONGEST_NAME: usize = 63;
/// Longest prefix of a label key.
const LONGEST_PREFIX: usize = 253;

/// Why a text is not a label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{requirement:?} is not a requirement of a label selector: {problem}. Examples: team=a · team!=a · team in (a,b) · \
     team notin (a,b) · team · !team; a comma between requirements means that all must hold"
)]
pub struct Error {
    requirement: String,
    problem: &'static str,
}

/// A label selector in a normal form: two texts that differ only in blanks, in the order of requirements and values, or in
/// repetitions give the same selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardSelector(Selector);

impl ShardSelector {
    /// Whether it selects a server with these metadata.
    #[must_use]
    pub fn matches(&self, server: &ObjectMeta) -> bool {
        let none = BTreeMap::new();
        self.0.matches(server.labels.as_ref().unwrap_or(&none))
    }

    /// The Lease of its shard. `base` is the name of the Lease without a selector.
    #[must_use]
    pub fn lease(&self, base: &str) -> String {
        let mut digest = Digest::default();
        digest.add(self.to_string().as_bytes());
        format!("{base}-{:.HASH_DIGITS$}", digest.hex())
    }
}

impl fmt::Display for ShardSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for ShardSelector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let requirements: Result<BTreeSet<Expression>, Error> = requirements(text)
            .into_iter()
            .map(|requirement| {
                parse(requirement).map_err(|problem| Error {
                    requirement: requirement.to_owned(),
                    problem,
                })
            })
            .collect();
        Ok(Self(requirements?.into_iter().collect()))
    }
}

/// The parts between the commas that are not in parentheses.
fn requirements(text: &str) -> Vec<&str> {
    let mut is_in_set = false;
    let is_separator = |character: char| {
        is_in_set = match character {
            '(' => true,
            ')' => false,
            _ => is_in_set,
        };
        character == ',' && !is_in_set
    };
    text.split(is_separator).map(str::trim).collect()
}

fn parse(requirement: &str) -> Result<Expression, &'static str> {
    if let Some(absent) = requirement.strip_prefix('!') {
        return Ok(Expression::DoesNotExist(key(absent)?));
    }
    if let Some((left, values)) = requirement.split_once('(') {
        return set(left.trim_end(), values);
    }
    if let Some((left, right)) = requirement.split_once("!=") {
        return Ok(Expression::NotEqual(key(left)?, value(right)?));
    }
    let equal = requirement
        .split_once("==")
        .or_else(|| requirement.split_once('='));
    match equal {
        Some((left, right)) => Ok(Expression::Equal(key(left)?, value(right)?)),
        None => Ok(Expression::Exists(key(requirement)?)),
    }
}

/// `left` ends with the operator, and `values` with the closing parenthesis. A set of one value is the same as `=` or `!=`.
fn set(left: &str, values: &str) -> Result<Expression, &'static str> {
    let values = values.strip_suffix(')').ok_or("`)` is missing at its end")?;
    if values.trim().is_empty() {
        return Err("the parentheses contain no value");
    }
    let values: BTreeSet<String> = values.split(',').map(value).collect::<Result<_, _>>()?;
    let (left, operator) = left
        .rsplit_once(char::is_whitespace)
        .ok_or("a set follows `in` or `notin`")?;
    let (key, single) = (key(left)?, values.first().filter(|_| values.len() == 1).cloned());
    match (operator, single) {
        ("in", Some(value)) => Ok(Expression::Equal(key, value)),
        ("in", None) => Ok(Expression::In(key, values)),
        ("notin", Some(value)) => Ok(Expression::NotEqual(key, value)),
        ("notin", None) => Ok(Expression::NotIn(key, values)),
        _ => Err("a set follows `in` or `notin`"),
    }
}

fn key(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let is_valid = !name.is_empty() && is_name(name) && prefix.is_none_or(is_prefix);
    is_valid.then(|| text.to_owned()).ok_or(
        "the key of a label has up to 63 letters, digits, `-`, `_` and `.`, begins and ends with a letter or digit, and may have a \
         domain and `/` in front of it",
    )
}

fn value(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    is_name(text).then(|| text.to_owned()).ok_or(
        "the value of a label has up to 63 letters, digits, `-`, `_` and `.`, and begins and ends with a letter or digit",
    )
}

/// Also true for an empty text, which is a valid value.
fn is_name(text: &str) -> bool {
    let is_edge = u8::is_ascii_alphanumeric;
    let is_inner = |byte: &u8| is_edge(byte) || matches!(byte, b'-' | b'_' | b'.');
    let bytes = text.as_bytes();
    bytes.len() <= LONGEST_NAME
        && bytes.iter().all(is_inner)
        && bytes.first().is_none_or(is_edge)
        && bytes.last().is_none_or(is_edge)
}

fn is_prefix(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && is_name(part) && part.bytes().all(is_lower)
    };
    text.len() <= LONGEST_PREFIX && text.split('.').all(is_part)
}
