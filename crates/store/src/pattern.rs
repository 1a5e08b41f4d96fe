//! Patterns of kinds and ranges of keys: what `prefix*` means, once, for every backend.

/// What a kind is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern<'a> {
    /// This very kind.
    Exact(&'a str),
    /// All that start so.
    Prefix(&'a str),
}

impl<'a> Pattern<'a> {
    /// Reads a pattern: only a last `*` is special.
    pub(crate) fn parse(text: &'a str) -> Self {
        text.strip_suffix('*').map_or(Self::Exact(text), Self::Prefix)
    }

    pub(crate) fn matches(&self, kind: &str) -> bool {
        match self {
            Self::Exact(exact) => kind == *exact,
            Self::Prefix(prefix) => kind.starts_with(prefix),
        }
    }
}

/// The least string that is greater than all strings with this prefix, in the order of UTF-8 bytes;
/// `None` when there is none. A range is what an index can search, unlike `LIKE`, and needs no escapes.
pub(crate) fn upper_bound(prefix: &str) -> Option<String> {
    let mut bound = prefix.to_owned();
    while let Some(last) = bound.pop() {
        // The successor of U+D7FF is U+E000: surrogates are no characters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            bound.push(next);
            return Some(bound);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_last_star_is_special() {
        for (pattern, kind, expected) in [
            ("message", "message", true),
            ("message", "message2", false),
            ("message*", "message", true),
            ("message*", "message.text", true),
            ("message*", "messag", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*b", "a*b", true),
            ("a*b", "axb", false),
            ("a**", "a*", true),
            ("a**", "ab", false),
            ("a_b*", "axb", false),
            ("a%*", "abc", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Pattern::parse(pattern).matches(kind), expected, "{pattern} {kind}");
        }
    }

    #[test]
    fn the_upper_bound_is_above_all_with_the_prefix_and_below_the_next() {
        for (prefix, expected) in [
            ("a", Some("b")),
            ("az", Some("a{")),
            ("", None),
            ("\u{10ffff}", None),
            ("a\u{10ffff}", Some("b")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("é", Some("ê")),
        ] {
            assert_eq!(upper_bound(prefix).as_deref(), expected, "{prefix:?}");
        }
        assert!("a\u{10ffff}\u{10ffff}" < upper_bound("a").unwrap().as_str());
    }
}
