//! Words that a user wants to be told of when somebody writes them: the settings `highlight` and `highlight_name`.

use levee_proto::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many words count.
const WORDS: usize = 100;
/// How many bytes of a message are looked at.
const LOOKED_AT: usize = 4096;

/// A user's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words(Vec<Word>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Word {
    /// In small letters.
    text: String,
    /// Whether longer words that begin so are meant too.
    prefix: bool,
}

impl Words {
    /// Of a user with these settings and this name. Settings of another form mean none.
    pub fn of(settings: &Object, name: Option<&str>) -> Self {
        let listed = settings.get("highlight").and_then(Value::as_array);
        let listed = listed.into_iter().flatten().filter_map(Value::as_str).map(|word| {
            let stem = word.strip_suffix('*');
            Word { text: stem.unwrap_or(word).trim().to_lowercase(), prefix: stem.is_some() }
        });
        let own = settings.get("highlight_name").and_then(Value::as_bool) == Some(true);
        let name = name.filter(|_| own).map(|name| Word { text: name.trim().to_lowercase(), prefix: false });
        let words = name.into_iter().chain(listed).filter(|word| !word.text.is_empty());
        Self(words.take(WORDS).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a text has one of them, whatever the case of its letters.
    pub fn are_in(&self, text: &str) -> bool {
        let end = (0..=LOOKED_AT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        let text = text[..end.unwrap_or_default()].to_lowercase();
        self.0.iter().any(|word| {
            text.match_indices(&word.text).any(|(at, found)| {
                let (before, after) = (&text[..at], &text[at + found.len()..]);
                let begins = !joins(before.chars().next_back(), found.chars().next());
                begins && (word.prefix || !joins(found.chars().next_back(), after.chars().next()))
            })
        })
    }
}

/// Whether two characters are parts of one word.
fn joins(left: Option<char>, right: Option<char>) -> bool {
    let part = |of: Option<char>| of.is_some_and(char::is_alphanumeric);
    part(left) && part(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn words(settings: &Value, name: &str) -> Words {
        Words::of(&settings.as_object().cloned().unwrap(), Some(name))
    }

    #[test]
    fn words_are_found_as_a_whole_and_prefixes_at_the_beginning_of_words() {
        let of = words(&json!({"highlight": ["Lamp", "inv*", "c++", "two words", "äiti"]}), "Ann");
        for (text, found) in [
            ("a lamp!", true),
            ("LAMP", true),
            ("lamps", false),
            ("floodlamp", false),
            ("lamps and a lamp", true),
            ("the invoice", true),
            ("Inv", true),
            ("reinvent", false),
            ("learn C++, now", true),
            ("c", false),
            ("in two words", true),
            ("two  words", false),
            ("ÄITI, tule", true),
            ("Ann", false),
            ("", false),
        ] {
            assert_eq!(of.are_in(text), found, "{text}");
        }
    }

    #[test]
    fn the_name_is_a_word_where_that_is_set_whatever_the_others_are() {
        for (settings, found) in [
            (json!({"highlight_name": true}), true),
            (json!({"highlight_name": true, "highlight": []}), true),
            (json!({"highlight_name": true, "highlight": 5}), true),
            (json!({"highlight_name": false, "highlight": ["x"]}), false),
            (json!({"highlight_name": "true"}), false),
            (json!({}), false),
        ] {
            assert_eq!(words(&settings, "Ann Bee").are_in("hello ann bee"), found, "{settings}");
        }
        assert!(Words::of(json!({"highlight_name": true}).as_object().unwrap(), None).is_empty());
    }

    #[test]
    fn settings_of_another_form_and_empty_words_mean_nothing() {
        for highlight in
            [json!("lamp"), json!({"a": 1}), json!([5, null, {}]), json!(["", "*", " "]), json!(true)]
        {
            assert!(words(&json!({"highlight": highlight}), "").is_empty(), "{highlight}");
        }
        let many: Vec<String> = (0..200).map(|number| format!("w{number}x")).collect();
        let many = words(&json!({"highlight": many}), "");
        assert!(many.are_in("w99x") && !many.are_in("w100x"));
        let far = format!("{} lamp", "ä".repeat(5000));
        assert!(!words(&json!({"highlight": ["lamp"]}), "").are_in(&far));
    }

    proptest! {
        #[test]
        fn no_text_and_no_word_is_too_much(text in ".{0,200}", word in ".{0,5}") {
            let _ = words(&json!({"highlight": [word, format!("{word}*")]}), &word).are_in(&text);
        }
    }
}
