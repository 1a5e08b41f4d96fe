//! Reading a questionnaire, and refusing what is not well-formed.

use super::place::{Place, Wrong};
use super::{
    Condition, Element, Kind, Logic, MAX_ANSWER, Names, Page, Questionnaire, Step, Target, patterns,
};
use levee_proto::{Id, Text, limits};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Items of a questionnaire, elements of a group and options of an element, each at most.
const ITEMS: usize = 200;
/// Elements of a questionnaire at most.
const ELEMENTS: usize = 500;
/// Patterns of a questionnaire at most: each of them may have to be looked at for an answer.
const PATTERNS: usize = 200;
/// Tags of one logic item at most.
const TAGS: usize = 20;
/// Bytes of a name at most.
const NAME: usize = 64;
/// Bytes of what is shown at most.
const LABEL: usize = 8 * 1024;
/// What a link may lead to.
const SCHEMES: [&str; 4] = ["https:", "http:", "mailto:", "tel:"];
/// Pages that are shown when all is over, and never asked.
const AFTERWORDS: [&str; 2] = ["_registered", "_completed"];
/// The answers of a likert scale.
const LIKERT: [&str; 5] =
    ["strongly_disagree", "disagree", "neither_agree_nor_disagree", "agree", "strongly_agree"];

/// What is known while reading.
#[derive(Default)]
struct Reader {
    /// The names of elements.
    elements: BTreeSet<Text>,
    count: usize,
    patterns: usize,
    /// The names of pages, each with its place among the steps.
    pages: BTreeMap<Text, usize>,
    /// What names a page or an element that may come later only: checked at the end.
    targets: Vec<(String, usize, Text)>,
    fields: Vec<(String, Text)>,
    names: Names,
}

/// Reads a questionnaire, and which queues and tags it names.
pub(super) fn parse(place: &Place<'_>) -> Result<(Questionnaire, Names), Wrong> {
    let mut reader = Reader::default();
    let items = place.items(ITEMS)?;
    let mut steps = Vec::new();
    if items.iter().all(is_simple) {
        let elements = items.iter().map(|item| reader.element(item)).collect::<Result<_, _>>()?;
        steps.push(Step::Page(Page { name: None, elements, afterword: false }));
    } else {
        for item in &items {
            reader.item(item, &mut steps)?;
        }
    }
    for (path, step, target) in &reader.targets {
        let page = reader.pages.get(target);
        let page = *page.ok_or_else(|| super::place::wrong(path, format!("{target} is no page's name")))?;
        if let Some(Step::Logic(logic)) = steps.get_mut(*step) {
            logic.target = Some(Target::Page(page));
        }
    }
    if let Some((path, field)) = reader.fields.iter().find(|(_, field)| !reader.elements.contains(field)) {
        return Err(super::place::wrong(path, format!("{field} is no element's name")));
    }
    Ok((Questionnaire { steps }, reader.names))
}

/// Whether an item needs no page of its own: where all are such, there is one page.
fn is_simple(item: &Place<'_>) -> bool {
    let has = |name: &str| item.value.get(name).is_some_and(|value| !value.is_null());
    !has("redirects") && !has("logic") && !has("buttons") && !has("elements") && !has("type")
}

impl Reader {
    fn item(&mut self, item: &Place<'_>, steps: &mut Vec<Step>) -> Result<(), Wrong> {
        item.object()?;
        if let Some(logic) = item.member("logic") {
            name(item)?;
            let logic = self.logic(&logic, steps.len())?;
            steps.push(Step::Logic(logic));
            return Ok(());
        }
        if let Some(buttons) = item.member("buttons") {
            for way in ["back", "next"] {
                match buttons.member(way) {
                    Some(way) if !way.value.is_boolean() => drop(way.text(LABEL)?),
                    _ => {}
                }
            }
        }
        let own = name(item)?;
        let elements = match item.member("elements") {
            Some(list) => {
                let elements = list.items(ITEMS)?;
                elements.iter().map(|element| self.element(element)).collect::<Result<_, _>>()?
            }
            None if item.member("type").is_some() => {
                return Err(item.wrong("is a group without elements"));
            }
            None => vec![self.element(item)?],
        };
        if let Some(kind) = item.member("type")
            && !matches!(kind.text(NAME)?, "group" | "elements")
        {
            return Err(kind.wrong("is not \"group\""));
        }
        let afterword = own.as_ref().is_some_and(|name| AFTERWORDS.contains(&name.as_str()));
        if own.as_ref().is_some_and(|name| name.starts_with('_')) && !afterword {
            return Err(item.wrong("has a name that begins with _"));
        }
        if let Some(name) = own.clone().filter(|_| !afterword)
            && self.pages.insert(name, steps.len()).is_some()
        {
            return Err(item.wrong("has the name of an earlier page"));
        }
        steps.push(Step::Page(Page { name: own.clone(), elements, afterword }));
        if let Some(redirects) = item.member("redirects") {
            for redirect in redirects.items(ITEMS)? {
                let and = match redirect.member("pattern") {
                    Some(pattern) => {
                        let field = own.clone().ok_or_else(|| item.wrong("has redirects and no name"))?;
                        self.fields.push((item.path().to_owned(), field.clone()));
                        vec![vec![Condition { field, pattern: self.pattern(&pattern)? }]]
                    }
                    None => Vec::new(),
                };
                let target = redirect.member("target").ok_or_else(|| redirect.wrong("has no target"))?;
                let target = self.target(&target, steps.len())?;
                steps.push(Step::Logic(Logic { and, target, ..Logic::default() }));
            }
        }
        Ok(())
    }

    fn element(&mut self, place: &Place<'_>) -> Result<Element, Wrong> {
        place.object()?;
        self.count += 1;
        if self.count > ELEMENTS {
            return Err(place.wrong(format!("is one of more than {ELEMENTS} elements")));
        }
        let element = place.member("element").ok_or_else(|| place.wrong("has no element"))?;
        let kind = match element.text(NAME)? {
            "text" => Kind::Text,
            "input" => Kind::Input,
            "textarea" => Kind::Textarea,
            "select" => Kind::Select,
            "radio" => Kind::Radio,
            "checkbox" => Kind::Checkbox,
            "likert" => Kind::Likert,
            "a" => Kind::Link,
            _ => return Err(element.wrong("is no element that is known")),
        };
        let name = name(place)?;
        for shown in ["label", "inputmode"] {
            if let Some(shown) = place.member(shown) {
                shown.text(LABEL)?;
            }
        }
        if let Some(href) = place.member("href") {
            let text = href.text(LABEL)?;
            let lower = text.trim_start().to_ascii_lowercase();
            if !SCHEMES.iter().any(|scheme| lower.starts_with(scheme)) {
                return Err(href.wrong("leads neither to http: nor to https:, mailto: or tel:"));
            }
        } else if kind == Kind::Link {
            return Err(place.wrong("has no href"));
        }
        let required = place.member("required").map(|required| required.flag()).transpose()?;
        let pattern = place.member("pattern").map(|pattern| self.pattern(&pattern)).transpose()?;
        let options = options(place, kind)?;
        if !kind.is_answered() {
            return Ok(Element { name: None, kind, required: false, pattern: None, options });
        }
        let name = name.ok_or_else(|| place.wrong("has no name"))?;
        if name.starts_with('_') || name == super::TAGS {
            return Err(place.wrong(format!("can't be called {name}")));
        }
        if !self.elements.insert(name.clone()) {
            return Err(place.wrong("has the name of an earlier element"));
        }
        Ok(Element { name: Some(name), kind, required: required.unwrap_or_default(), pattern, options })
    }

    fn pattern(&mut self, place: &Place<'_>) -> Result<Text, Wrong> {
        let text = place.text(patterns::BYTES)?;
        self.patterns += 1;
        if self.patterns > PATTERNS {
            return Err(place.wrong(format!("is one of more than {PATTERNS} patterns")));
        }
        patterns::compile(text).map_err(|reason| place.wrong(format!("is no pattern: {reason}")))?;
        Ok(text.into())
    }

    fn logic(&mut self, place: &Place<'_>, step: usize) -> Result<Logic, Wrong> {
        place.object()?;
        let mut logic = Logic::default();
        for (name, into) in [("and", &mut logic.and), ("or", &mut logic.or)] {
            let Some(list) = place.member(name) else { continue };
            for object in list.items(ITEMS)? {
                let mut together = Vec::new();
                for (field, pattern) in object.members()? {
                    self.fields.push((pattern.path().to_owned(), field.into()));
                    together.push(Condition { field: field.into(), pattern: self.pattern(&pattern)? });
                }
                if !together.is_empty() {
                    into.push(together);
                }
            }
        }
        for name in ["queueId", "queue"] {
            if let Some(queue) = place.member(name) {
                self.names.queues.push((queue.path().to_owned(), queue.text(limits::NAME_BYTES)?.into()));
            }
        }
        if let Some(tags) = place.member("tags") {
            for tag in tags.items(TAGS)? {
                let id = Id::from(tag.text(limits::NAME_BYTES)?);
                self.names.tags.push((tag.path().to_owned(), id.clone()));
                logic.tags.push(id);
            }
        }
        if let Some(target) = place.member("target") {
            logic.target = self.target(&target, step)?;
        }
        Ok(logic)
    }

    /// Where something leads: a page is found at the end.
    fn target(&mut self, place: &Place<'_>, step: usize) -> Result<Option<Target>, Wrong> {
        Ok(match place.text(NAME)? {
            "_complete" => Some(Target::Complete),
            "_register" => Some(Target::Register),
            "_close" => Some(Target::Close),
            page => {
                self.targets.push((place.path().to_owned(), step, page.into()));
                None
            }
        })
    }
}

/// The name of an item or an element.
fn name(place: &Place<'_>) -> Result<Option<Text>, Wrong> {
    let Some(name) = place.member("name") else { return Ok(None) };
    let text = name.text(NAME)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(name.wrong("is no name"));
    }
    Ok(Some(text.into()))
}

/// What may be chosen.
fn options(place: &Place<'_>, kind: Kind) -> Result<Vec<Text>, Wrong> {
    let given = place.member("options");
    let mut values: Vec<Text> = Vec::new();
    for option in given.map(|list| list.items(ITEMS)).transpose()?.unwrap_or_default() {
        option.object()?;
        if let Some(label) = option.member("label") {
            label.text(LABEL)?;
        }
        let value = option.member("value").ok_or_else(|| option.wrong("has no value"))?;
        let text: Text = match value.value {
            Value::Number(number) => number.to_string().into(),
            Value::Bool(flag) => flag.to_string().into(),
            _ => value.text(MAX_ANSWER)?.into(),
        };
        if values.contains(&text) {
            return Err(value.wrong("is the value of an earlier option"));
        }
        if kind == Kind::Likert && !LIKERT.contains(&text.as_str()) {
            return Err(value.wrong("is no value of a likert scale"));
        }
        values.push(text);
    }
    match kind {
        Kind::Select | Kind::Radio if values.is_empty() => Err(place.wrong("has no options")),
        Kind::Likert if values.is_empty() => Ok(LIKERT.map(Text::from).to_vec()),
        _ => Ok(values),
    }
}
