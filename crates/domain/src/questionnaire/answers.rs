//! Answers to a questionnaire: whether they are such as its pages ask for, where they lead, and which tags they set.

use super::patterns::Patterns;
use super::place::{beneath, wrong};
use super::{Condition, Element, Kind, Logic, MAX_ANSWER, Page, Questionnaire, Step, TAGS, Target, Wrong};
use levee_proto::{Id, Object, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;

/// How a questionnaire ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The customer goes on to a queue.
    Complete,
    /// The customer leaves a contact request.
    Register,
    /// The customer is not to be talked to.
    Close,
}

/// What answers come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How the questionnaire ends by them.
    pub end: End,
    /// Those that were asked for on the way.
    pub answers: Object,
    /// The tags of the logic on the way, each once.
    pub tags: Vec<Id>,
}

/// An answer: what is kept of it, and the texts that patterns look at.
struct Answer {
    kept: Option<Value>,
    texts: Vec<Text>,
}

impl Questionnaire {
    /// Goes through the pages as answers lead, from the first one on. What no page on the way asks for is left out, and
    /// so are tags, for they follow from the answers.
    ///
    /// # Errors
    /// What is wrong with an answer, that nothing of its name is asked for on any page, or that they lead in circles; `path` is the name under which they are told of.
    pub fn evaluate(&self, path: &str, given: &Object) -> Result<Outcome, Wrong> {
        if let Some(name) = given.keys().find(|name| *name != TAGS && !self.asks_for(name)) {
            return Err(wrong(&beneath(path, name), "is no element of the questionnaire"));
        }
        let mut patterns = Patterns::default();
        let mut known: HashMap<&Text, Vec<Text>> = HashMap::new();
        let mut seen = vec![false; self.steps.len()];
        let (mut answers, mut tags, mut at) = (Object::new(), Vec::new(), 0);
        let end = loop {
            match self.steps.get(at) {
                None => break End::Complete,
                Some(Step::Page(page)) if page.afterword => break End::Complete,
                Some(Step::Page(page)) => {
                    if std::mem::replace(&mut seen[at], true) {
                        let name = page.name.as_deref().unwrap_or_default();
                        return Err(wrong(path, format!("leads back to the page {name}")));
                    }
                    for (name, answer) in page.answers(path, given, &mut patterns)? {
                        answers.extend(answer.kept.map(|kept| (name.to_string(), kept)));
                        known.insert(name, answer.texts);
                    }
                    at += 1;
                }
                Some(Step::Logic(logic)) if logic.applies(&known, &mut patterns) => {
                    tags.extend(logic.tags.iter().cloned());
                    match logic.target {
                        None => at += 1,
                        Some(Target::Page(page)) => at = page,
                        Some(Target::Complete) => break End::Complete,
                        Some(Target::Register) => break End::Register,
                        Some(Target::Close) => break End::Close,
                    }
                }
                Some(Step::Logic(_)) => at += 1,
            }
        };
        tags.sort();
        tags.dedup();
        Ok(Outcome { end, answers, tags })
    }

    /// Whether an element of any page is called so.
    pub(super) fn asks_for(&self, name: &str) -> bool {
        let pages = self.steps.iter().filter_map(|step| match step {
            Step::Page(page) => Some(&page.elements),
            Step::Logic(_) => None,
        });
        pages.flatten().any(|element| element.name.as_deref() == Some(name))
    }
}

impl Page {
    fn answers<'a>(
        &'a self,
        path: &str,
        given: &Object,
        patterns: &mut Patterns<'a>,
    ) -> Result<Vec<(&'a Text, Answer)>, Wrong> {
        let asked = self.elements.iter().filter_map(|element| Some((element, element.name.as_ref()?)));
        let answer = |(element, name): (&'a Element, &'a Text)| {
            let answer = element.answer(given.get(name.as_str()), patterns);
            answer.map(|answer| (name, answer)).map_err(|reason| wrong(&beneath(path, name), reason))
        };
        asked.map(answer).collect()
    }
}

impl Element {
    fn answer<'a>(&'a self, given: Option<&Value>, patterns: &mut Patterns<'a>) -> Result<Answer, String> {
        let answer = match self.kind {
            Kind::Checkbox if self.options.is_empty() => checked(given)?,
            Kind::Checkbox => self.chosen(given)?,
            _ => written(given)?,
        };
        let Some(kept) = &answer.kept else {
            return match self.required {
                true => Err("is required".into()),
                false => Ok(answer),
            };
        };
        if self.kind != Kind::Checkbox {
            let text = kept.as_str().unwrap_or_default();
            if text.len() > MAX_ANSWER {
                return Err(format!("has more than {MAX_ANSWER} bytes"));
            }
            let free = matches!(self.kind, Kind::Input | Kind::Textarea);
            if !free && !self.options.iter().any(|option| option == text) {
                return Err("is none of the options".into());
            }
            if let Some(pattern) = &self.pattern
                && !patterns.fits(pattern, text)
            {
                return Err("does not fit the pattern".into());
            }
        }
        Ok(answer)
    }

    /// Some of the options.
    fn chosen(&self, given: Option<&Value>) -> Result<Answer, String> {
        let given: Vec<&Value> = match given {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list.iter().collect(),
            Some(one) => vec![one],
        };
        if given.len() > self.options.len() {
            return Err("has more items than there are options".into());
        }
        let mut texts: Vec<Text> = Vec::new();
        for one in given {
            let text = one.as_str().ok_or("is no list of strings")?;
            if text.is_empty() || texts.iter().any(|other| other == text) {
                continue;
            }
            let option = self.options.iter().find(|option| *option == text);
            texts.push(option.ok_or("is none of the options")?.clone());
        }
        let kept = (!texts.is_empty()).then(|| json!(texts));
        if texts.is_empty() {
            texts.push(Text::default());
        }
        Ok(Answer { kept, texts })
    }
}

/// Whether a box is checked; apps send that as a text.
fn checked(given: Option<&Value>) -> Result<Answer, String> {
    let checked = match given {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Bool(true)) => true,
        Some(Value::String(text)) if text == "true" => true,
        Some(Value::String(text)) if text == "false" || text.is_empty() => false,
        Some(_) => return Err("is neither true nor false".into()),
    };
    Ok(Answer { kept: checked.then_some(Value::Bool(true)), texts: vec![checked.to_string().into()] })
}

/// A text; one that is blank answers nothing.
fn written(given: Option<&Value>) -> Result<Answer, String> {
    let text = match given {
        None | Some(Value::Null) => "",
        Some(Value::String(text)) if text.trim().is_empty() => "",
        Some(Value::String(text)) => text,
        Some(_) => return Err("is not a string".into()),
    };
    Ok(Answer { kept: (!text.is_empty()).then(|| text.into()), texts: vec![text.into()] })
}

impl Logic {
    fn applies<'a>(&'a self, known: &HashMap<&Text, Vec<Text>>, patterns: &mut Patterns<'a>) -> bool {
        let mut fits = |condition: &'a Condition| {
            // What was not asked fits nothing.
            let texts = known.get(&condition.field);
            texts.is_some_and(|texts| patterns.fits_answer(&condition.field, &condition.pattern, texts))
        };
        if self.and.is_empty() && self.or.is_empty() {
            return true;
        }
        !self.and.is_empty() && self.and.iter().flatten().all(&mut fits)
            || self.or.iter().flatten().any(&mut fits)
    }
}
