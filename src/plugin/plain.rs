//! Text from the cluster, made safe for a terminal. Pure.
//!
//! A user who may write events can put control characters into a message, and a terminal executes them (CVE-2021-25743). JSON and
//! YAML for programs are not changed.

/// One line: line breaks and tabs become spaces.
pub(super) fn line(text: &str) -> String {
    text.chars()
        .flat_map(|char| match char {
            '\n' | '\r' | '\t' => [Some(' '), None],
            char => shown(char),
        })
        .flatten()
        .collect()
}

/// Several lines. Line breaks and tabs are kept.
pub(super) fn lines(text: &str) -> String {
    text.chars()
        .flat_map(|char| match char {
            '\n' | '\t' => [Some(char), None],
            char => shown(char),
        })
        .flatten()
        .collect()
}

/// A control character as kubectl shows it: `^[`. Characters that have no such form, or change the direction of the text, are
/// replaced.
fn shown(char: char) -> [Option<char>; 2] {
    match char {
        '\0'..='\u{1f}' => [Some('^'), char::from_u32(u32::from(char) + 0x40)],
        '\u{7f}' => [Some('^'), Some('?')],
        '\u{80}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            [Some(char::REPLACEMENT_CHARACTER), None]
        }
        char => [Some(char), None],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_are_shown_as_text() {
        assert_eq!(line("a\u{1b}[2Jb\rc\nd\te\u{7f}"), "a^[[2Jb c d e^?");
        assert_eq!(line("\u{9b}31m\u{202e}x"), "\u{fffd}31m\u{fffd}x");
        assert_eq!(lines("a\n\tb\r\u{7}"), "a\n\tb^M^G");
        assert_eq!(line("Größe 1 → 2 …"), "Größe 1 → 2 …");
    }

    proptest! {
        #[test]
        fn no_control_character_is_left(text in any::<String>()) {
            prop_assert!(!line(&text).chars().any(char::is_control));
            prop_assert!(!lines(&text).chars().any(|char| char.is_control() && char != '\n' && char != '\t'));
        }
    }
}
