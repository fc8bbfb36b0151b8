//! Parts of URLs.

/// A share, or another text, as one part of any URL.
#[must_use]
pub fn encoded(text: &str) -> String {
    percent_encoded(text, b"-_.~")
}

/// A name as one part of a path of the API. The server decodes names only if Go would encode the path in the same way (`EscapedPath` of
/// `net/url`): it leaves these characters, and encodes others. Otherwise it looks for the name `Domain%20Users`. A name with a slash is
/// never decoded.
#[must_use]
pub(super) fn segment(name: &str) -> String {
    percent_encoded(name, b"-_.~$&+,:;=@")
}

/// The path of a share in the API. The server puts a slash before the name itself.
#[must_use]
pub(super) fn share_path(name: &str) -> String {
    format!("shares/{}", segment(name.trim_start_matches('/')))
}

fn percent_encoded(text: &str, plain: &[u8]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || plain.contains(&byte);
    let part = |byte: u8| {
        if is_plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_path_of_the_api_is_encoded_as_go_does_it() {
        for (name, expected) in [
            ("alice", "alice"),
            ("Domain Users", "Domain%20Users"),
            ("CORP\\alice", "CORP%5Calice"),
            ("alice@corp.example", "alice@corp.example"),
            ("a&b;c,d=e+f$g:h", "a&b;c,d=e+f$g:h"),
            ("it's (new)!*", "it%27s%20%28new%29%21%2A"),
            ("a/b?c#d%e", "a%2Fb%3Fc%23d%25e"),
            ("\u{e4}", "%C3%A4"),
        ] {
            assert_eq!(segment(name), expected, "{name}");
        }
    }

    #[test]
    fn a_share_has_no_slash_before_its_name() {
        for name in ["archive", "/archive", "//archive"] {
            assert_eq!(share_path(name), "shares/archive");
        }
        assert_eq!(share_path("/a b/\u{e4}"), "shares/a%20b%2F%C3%A4");
    }
}
