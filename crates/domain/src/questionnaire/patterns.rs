//! Patterns of questionnaires: regular expressions that take linear time, each for the whole of an answer, as in the
//! `pattern` attribute of HTML.

use levee_proto::Text;
use regex_lite::{Regex, RegexBuilder};
use std::collections::HashMap;

/// Bytes of a pattern at most.
pub(super) const BYTES: usize = 512;
/// Bytes that a pattern may take when it is compiled: how long it takes to look at an answer grows with it.
const COMPILED: usize = 32 * 1024;
/// How deep a pattern may be nested.
const NESTED: u32 = 20;

/// Compiles a pattern.
pub(super) fn compile(pattern: &str) -> Result<Regex, regex_lite::Error> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(COMPILED).nest_limit(NESTED).build();
    // By itself too: `a)|(b` would be well-formed between the brackets only.
    build(pattern)?;
    build(&format!("^(?:{pattern})$"))
}

/// Patterns that were compiled for the answers to one questionnaire, and what was found with them.
#[derive(Default)]
pub(super) struct Patterns<'a> {
    compiled: HashMap<&'a str, Option<Regex>>,
    found: HashMap<(&'a str, &'a str), bool>,
}

impl<'a> Patterns<'a> {
    /// Whether a pattern fits a text as a whole. An empty one fits everything.
    pub(super) fn fits(&mut self, pattern: &'a str, text: &str) -> bool {
        if pattern.is_empty() {
            return true;
        }
        let regex = self.compiled.entry(pattern).or_insert_with(|| compile(pattern).ok());
        regex.as_ref().is_some_and(|regex| regex.is_match(text))
    }

    /// Whether a pattern fits one of the texts of an answer that does not change any more.
    pub(super) fn fits_answer(&mut self, field: &'a Text, pattern: &'a str, texts: &[Text]) -> bool {
        if let Some(found) = self.found.get(&(field.as_str(), pattern)) {
            return *found;
        }
        let fits = texts.iter().any(|text| self.fits(pattern, text));
        self.found.insert((field.as_str(), pattern), fits);
        fits
    }
}
