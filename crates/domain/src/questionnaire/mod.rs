//! Questionnaires of sites: pages with elements to answer, and logic that tells what comes next. Reading one checks
//! that it is well-formed; answers are checked by going the way that they lead.
//!
//! All of it is bounded: so many items, elements and patterns, patterns of linear time, and each page once.

mod answers;
mod parse;
mod patterns;
mod place;
#[cfg(test)]
mod tests;

pub use answers::{End, Outcome};
pub(crate) use place::Place;
pub use place::Wrong;

use levee_proto::{Id, Text};

/// Bytes of one answer at most.
pub const MAX_ANSWER: usize = 4000;
/// Among answers, the tags that they lead to.
pub const TAGS: &str = "tags";
/// Among answers, what the customer is to be called.
pub const USER_NAME: &str = "userName";
/// Among answers, what the customer says first.
pub const MESSAGE: &str = "message";

/// A questionnaire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questionnaire {
    steps: Vec<Step>,
}

/// A step of a questionnaire: they are taken one after the other, unless logic leads elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Page(Page),
    Logic(Logic),
}

/// What is asked at once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    name: Option<Text>,
    elements: Vec<Element>,
    /// It is shown when all is over, and asks nothing.
    afterword: bool,
}

/// Something on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Element {
    /// What its answer is called; what is not answered has none.
    name: Option<Text>,
    kind: Kind,
    required: bool,
    pattern: Option<Text>,
    /// What may be chosen.
    options: Vec<Text>,
}

/// What an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Input,
    Textarea,
    Select,
    Radio,
    Checkbox,
    Likert,
    Link,
}

impl Kind {
    fn is_answered(self) -> bool {
        !matches!(self, Self::Text | Self::Link)
    }
}

/// What follows from answers. It applies if all that is together in `and` does, or anything in `or`; always, if it
/// has neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Logic {
    and: Vec<Vec<Condition>>,
    or: Vec<Vec<Condition>>,
    target: Option<Target>,
    tags: Vec<Id>,
}

/// That an answer fits a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    field: Text,
    pattern: Text,
}

/// Where logic leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// To a page, by its place among the steps.
    Page(usize),
    Complete,
    Register,
    Close,
}

/// What a questionnaire names outside of itself: each with the way to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) queues: Vec<(String, Id)>,
    pub(crate) tags: Vec<(String, Id)>,
}

impl Questionnaire {
    /// Reads a questionnaire, and which queues and tags it names.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(crate) fn parse(place: &Place<'_>) -> Result<(Self, Names), Wrong> {
        parse::parse(place)
    }
}
