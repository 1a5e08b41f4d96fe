//! A realm's tags: a tree of names and colours by which its members sort what they do.

use super::{Decision, Realm, RealmRecord};
use crate::machine::{Actor, Answer, Moment, Step};
use crate::rights::{Right, Standing};
use levee_proto::actions::realm::DescribeTags;
use levee_proto::attrs::{TagAttrs, TagAttrsPatch, Writable};
use levee_proto::{ErrorType, Id, Object, Rejection, events, ids, limits};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// The tags of a realm. A tag's parent is always among them, and never changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(BTreeMap<Id, TagAttrs>);

/// Tags by their parent; those at the top by none.
type Branches<'a> = BTreeMap<Option<&'a Id>, Vec<(&'a Id, &'a TagAttrs)>>;

impl Tags {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A tag's attributes.
    pub fn get(&self, tag: &Id) -> Option<&TagAttrs> {
        self.0.get(tag)
    }

    pub(super) fn put(&mut self, tag: Id, attrs: TagAttrs) {
        self.0.insert(tag, attrs);
    }

    pub(super) fn remove(&mut self, tag: &Id) {
        self.0.remove(tag);
    }

    /// On which level a tag is, the top being 1.
    fn level(&self, tag: &Id) -> usize {
        let parent = |tag: &Id| self.0.get(tag)?.parent_id.as_ref();
        std::iter::successors(Some(tag), |tag| parent(tag)).count()
    }

    fn branches(&self) -> Branches<'_> {
        let mut branches = Branches::new();
        for (tag, attrs) in &self.0 {
            branches.entry(attrs.parent_id.as_ref()).or_default().push((tag, attrs));
        }
        branches
    }

    /// A tag and all beneath it, each after its parent.
    fn with_all_beneath(&self, tag: &Id) -> Vec<(&Id, &TagAttrs)> {
        let branches = self.branches();
        let mut all: Vec<_> = self.0.get_key_value(tag).into_iter().collect();
        let mut at = 0;
        while let Some((parent, _)) = all.get(at) {
            all.extend(branches.get(&Some(*parent)).into_iter().flatten());
            at += 1;
        }
        all
    }
}

/// What is beneath a tag, so many levels of it; the last level does not tell of its children.
fn tree(branches: &Branches<'_>, parent: Option<&Id>, levels: usize) -> Object {
    let children = branches.get(&parent).into_iter().flatten();
    children
        .map(|(tag, attrs)| {
            let mut shown = json!({"tag_attrs": attrs});
            if levels > 1 {
                shown["tag_children"] = tree(branches, Some(tag), levels - 1).into();
            }
            (tag.to_string(), shown)
        })
        .collect()
}

fn absent(tag: &Id) -> Rejection {
    Rejection::new(ErrorType::TagNotFound).about("tag_id", tag)
}

/// Fails unless attributes are such as a tag may have.
fn check(patch: &TagAttrsPatch, may: impl Fn(Writable) -> bool) -> Result<(), Rejection> {
    patch.check(may)?;
    let Some(Some(theme)) = &patch.theme else { return Ok(()) };
    if theme.get("color").is_some_and(|color| !color.is_string()) {
        return Err(Rejection::malformed("the theme's color is a string"));
    }
    if serde_json::to_vec(theme).map_or(true, |text| text.len() > limits::TAG_THEME_BYTES) {
        return Err(Rejection::malformed("attribute theme is too long"));
    }
    Ok(())
}

impl Realm {
    /// A tag, for who may do this with it: to those outside of the realm there is none.
    fn tag(&self, standing: Standing, right: Right, tag: &Id) -> Result<&TagAttrs, Rejection> {
        let attrs = self.tags.get(tag).filter(|_| standing.may(Right::SeeTags)).ok_or_else(|| absent(tag))?;
        if !standing.may(right) {
            return Err(Rejection::denied().about("tag_id", tag));
        }
        Ok(attrs)
    }

    pub(super) fn create_tag(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        patch: &TagAttrsPatch,
    ) -> Decision {
        self.allow(at, standing, Right::ManageTags)?;
        if self.tags.len() >= limits::TAGS {
            return Err(Rejection::denied().because("the realm has too many tags").about("realm_id", at.id));
        }
        check(patch, |writable| writable == Writable::Initially || standing.writes(writable, false))?;
        let mut attrs = TagAttrs::default();
        patch.apply(&mut attrs);
        if let Some(parent) = &attrs.parent_id {
            if self.tags.get(parent).is_none() {
                return Err(absent(parent).because("parent_id is no tag of the realm"));
            }
            if self.tags.level(parent) >= limits::TAG_DEPTH {
                return Err(Rejection::malformed("tags can't be nested that deep").about("tag_id", parent));
            }
        }
        // Without a session, nothing but its place among the records tells one from the next.
        let cause = actor
            .command()
            .map_or_else(|| format!("{} {}", at.now, at.seq), |command| command.action_id.to_string());
        let tag = ids::part(at.id, &["tag", &actor.session, &cause]);
        Ok(Step::record(RealmRecord::TagCreated { tag, attrs }))
    }

    pub(super) fn describe_tag(&self, at: &Moment<'_>, standing: Standing, tag: Id) -> Decision {
        let attrs = self.tag(standing, Right::SeeTags, &tag)?.clone();
        let realm_id = Some(at.id.clone());
        Ok(Step::emit(Answer::event(&events::TagFound { tag_attrs: attrs, tag_id: tag, realm_id })))
    }

    pub(super) fn describe_tags(
        &self,
        at: &Moment<'_>,
        standing: Standing,
        describe: DescribeTags,
    ) -> Decision {
        let attrs = match &describe.tag_id {
            Some(tag) => Some(self.tag(standing, Right::SeeTags, tag)?.clone()),
            None => {
                self.allow(at, standing, Right::SeeTags)?;
                None
            }
        };
        let levels = match describe.tag_depth.map(usize::try_from) {
            None => limits::TAG_DEPTH,
            Some(Ok(levels)) if (1..=limits::TAG_DEPTH).contains(&levels) => levels,
            Some(_) => return Err(Rejection::malformed("tag_depth is from 1 to 10")),
        };
        Ok(Step::emit(Answer::event(&events::TagsFound {
            tag_children: tree(&self.tags.branches(), describe.tag_id.as_ref(), levels),
            realm_id: Some(at.id.clone()),
            tag_attrs: attrs,
            tag_id: describe.tag_id,
        })))
    }

    pub(super) fn update_tag(&self, standing: Standing, tag: Id, patch: &TagAttrsPatch) -> Decision {
        let mut attrs = self.tag(standing, Right::ManageTags, &tag)?.clone();
        check(patch, |writable| standing.writes(writable, false))?;
        patch.apply(&mut attrs);
        Ok(Step::record(RealmRecord::TagChanged { tag, attrs }))
    }

    /// What is beneath a tag goes with it, each told of after its parent: a group is deleted as one, and
    /// nothing is left whose parent is gone. The first record is the reply, so the tag itself comes first.
    pub(super) fn delete_tag(&self, standing: Standing, tag: Id) -> Decision {
        self.tag(standing, Right::ManageTags, &tag)?;
        let gone = self.tags.with_all_beneath(&tag).into_iter();
        let records =
            gone.map(|(tag, attrs)| RealmRecord::TagDeleted { tag: tag.clone(), attrs: attrs.clone() });
        Ok(Step { records: records.collect(), emits: Vec::new() })
    }
}
