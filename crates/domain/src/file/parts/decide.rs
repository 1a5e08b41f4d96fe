//! What a file decides that comes in parts.

use super::super::decide::discards;
use super::super::{Begun, Blob, Content, Decision, File, FileRecord, Phase};
use super::{
    Advance, Ended, Join, News, PartsOrder, PartsRecord, Standing, Tail, Terms, Turn, is_zero, tail_key,
};
use crate::machine::{Answer, Emit, Moment, Step};
use crate::view::Stream;
use levee_proto::attrs::{FileAttrs, UserAttrs};
use levee_proto::{Id, Rejection, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How often others are told how far it is, in microseconds.
const TELL_EVERY: u64 = 1_000_000;

/// What there is of a file that comes in parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::file) struct Parts {
    terms: Terms,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Text>,
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    hash: Text,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tails: Vec<Tail>,
    #[serde(default, skip_serializing_if = "is_zero")]
    offset: u64,
    /// The last turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn: Option<Id>,
    /// Whether it goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    open: bool,
    /// When others were told last; not recorded.
    #[serde(skip)]
    told: u64,
}

impl Parts {
    pub(in crate::file) fn is_all_here(&self) -> bool {
        self.terms.length == Some(self.offset)
    }

    /// How many bytes are beside.
    fn beside(&self) -> u64 {
        self.tails.iter().map(|tail| tail.size).sum()
    }

    /// Whether an advance leads from where the file is to where it says.
    fn follows(&self, advance: &Advance) -> bool {
        let whole = (self.tags.len() + advance.tags.len()) as u64 * self.terms.part;
        let whole = self.terms.length.map_or(whole, |length| whole.min(length));
        let to = match advance.tags.is_empty() {
            true if advance.whole => self.offset - self.beside() + advance.tail,
            true => self.offset + advance.tail,
            false => whole + advance.tail,
        };
        advance.from == self.offset
            && advance.to == to
            && to >= self.offset
            && self.terms.length.is_none_or(|length| to <= length)
            && (advance.tags.is_empty() || !advance.hash.is_empty())
    }

    /// Whose turn it is, if somebody writes.
    fn writer(&self) -> Option<&Id> {
        self.turn.as_ref().filter(|_| self.open)
    }
}

/// What is kept beside, for its removal: it was made at once, so that nothing is known of its upload.
fn beside(key: Text) -> Blob {
    Blob { key, upload: Text::default() }
}

impl File {
    pub(in crate::file) fn obey_in_parts(&self, at: &Moment<'_>, order: PartsOrder) -> Decision {
        match order {
            PartsOrder::Start { begun, terms } => self.start(at, begun, terms),
            PartsOrder::Offset => self.tell_offset(at),
            PartsOrder::Write { turn, from, length } => self.write(at, turn, from, length),
            PartsOrder::Advance(advance) => self.advance(at, advance),
            PartsOrder::Progress { turn, offset } => Ok(self.progress(at, &turn, offset)),
            PartsOrder::Joined { content, card, peer } => self.joined(at, content, card, peer),
            PartsOrder::End { ended } => self.end(at, ended),
        }
    }

    fn start(&self, at: &Moment<'_>, begun: Begun, terms: Terms) -> Decision {
        if self.phase == Phase::Removed
            || self.begun.as_ref().is_some_and(|before| before.owner != begun.owner)
        {
            return Err(Self::absent(at.id));
        }
        if self.begun.is_some() {
            return Ok(Step::emit(self.standing(at, true)?));
        }
        self.recorded(at, PartsRecord::Started { begun, terms }, Step::nothing())
    }

    fn tell_offset(&self, at: &Moment<'_>) -> Decision {
        match self.parts.as_ref().filter(|parts| parts.open && self.phase == Phase::Begun) {
            Some(parts) => {
                let expires = at.now + parts.terms.patience;
                self.recorded(at, PartsRecord::Turned { turn: None, length: None, expires }, Step::nothing())
            }
            None => Ok(Step::emit(self.standing(at, false)?)),
        }
    }

    fn write(&self, at: &Moment<'_>, turn: Id, from: u64, length: Option<u64>) -> Decision {
        let missed = || Ok(Step::emit(self.turn(at, true)?));
        let Some(parts) = self.parts.as_ref().filter(|_| self.phase == Phase::Begun) else { return missed() };
        let known = parts.terms.length;
        let wrong = length.is_some_and(|length| known.is_some_and(|known| known != length) || length < from);
        if wrong {
            return Err(Rejection::malformed("the length is another one, or less than there is"));
        }
        if from != parts.offset || parts.is_all_here() && length.is_none() {
            return missed();
        }
        if parts.writer() == Some(&turn) {
            // It is asked twice.
            return Ok(Step::emit(self.turn(at, false)?));
        }
        let expires = at.now + parts.terms.patience;
        let record = PartsRecord::Turned { turn: Some(turn), length: length.or(known), expires };
        let after = self.after(&[&FileRecord::Parts(record.clone())]);
        let answer = after.turn(at, false)?;
        let mut step = Step::record(FileRecord::Parts(record)).and(answer);
        step.emits.extend(self.lost(&after));
        step.emits.extend(after.joins());
        Ok(self.with_timer(at, step))
    }

    fn advance(&self, at: &Moment<'_>, advance: Advance) -> Decision {
        let Some(parts) = self.parts.as_ref().filter(|_| self.phase == Phase::Begun) else {
            return Ok(Step::emit(self.standing(at, true)?));
        };
        let is_last = parts.turn.as_ref() == Some(&advance.turn);
        if is_last && advance.to == parts.offset && (advance.from != advance.to || parts.open != advance.ends)
        {
            // It is told twice.
            return Ok(Step::emit(self.standing(at, false)?));
        }
        if parts.writer() != Some(&advance.turn) || !parts.follows(&advance) {
            return Ok(Step::emit(self.standing(at, true)?));
        }
        let expires = at.now + parts.terms.patience;
        let news = self.news(at, advance.to, None);
        let told = self.is_news(at, advance.to).then_some(news).flatten();
        let mut step = Step::nothing();
        step.emits.extend(told);
        self.recorded(at, PartsRecord::Advanced { advance, expires }, step)
    }

    /// Lets a record happen and answers how far the file is then.
    fn recorded(&self, at: &Moment<'_>, record: PartsRecord, mut step: Step<FileRecord>) -> Decision {
        let record = FileRecord::Parts(record);
        let after = self.after(&[&record]);
        step.records.push(record);
        step.emits.push(after.standing(at, false)?);
        step.emits.extend(self.lost(&after));
        step.emits.extend(after.joins());
        Ok(self.with_timer(at, step))
    }

    /// What was kept beside and is of no use any more.
    fn lost(&self, after: &Self) -> Vec<Emit> {
        discards(&after.litter).filter(|discard| !discards(&self.litter).any(|one| one == *discard)).collect()
    }

    /// Has the parts made one if all are here.
    pub(in crate::file) fn joins(&self) -> Option<Emit> {
        let (begun, parts) = self.coming().filter(|(_, parts)| parts.is_all_here())?;
        Some(Emit::Join(Box::new(Join {
            blob: begun.blob.clone(),
            tags: parts.tags.clone(),
            hash: parts.hash.clone(),
            tails: parts.tails.clone(),
            size: parts.offset,
            owner: begun.owner.clone(),
            peer: parts.terms.peer.clone(),
        })))
    }

    fn coming(&self) -> Option<(&Begun, &Parts)> {
        self.begun.as_ref().zip(self.parts.as_ref()).filter(|_| self.phase == Phase::Begun)
    }

    /// Whether nothing more is to come, and only this server keeps it from being complete.
    pub(in crate::file) fn is_all_here(&self) -> bool {
        self.coming().is_some_and(|(_, parts)| parts.is_all_here())
    }

    /// When it is no longer tried to make one of the parts, if all are here.
    pub(in crate::file) fn gives_up_at(&self, at_least: u64) -> Option<u64> {
        let (begun, parts) = self.coming()?;
        let patience = parts.terms.patience;
        Some(begun.expires.saturating_sub(patience) + patience.max(at_least))
    }

    fn progress(&self, at: &Moment<'_>, turn: &Id, offset: u64) -> Step<FileRecord> {
        let is_theirs = self.coming().is_some_and(|(_, parts)| parts.writer() == Some(turn));
        let news = self.news(at, offset, None).filter(|_| is_theirs && self.is_news(at, offset));
        Step { records: Vec::new(), emits: news.into_iter().collect() }
    }

    /// Whether others are to be told, who were not told lately.
    fn is_news(&self, at: &Moment<'_>, offset: u64) -> bool {
        self.parts.as_ref().is_some_and(|parts| {
            at.now >= parts.told + TELL_EVERY && parts.terms.length.is_none_or(|length| offset < length)
        })
    }

    /// Notes that others were told.
    pub(in crate::file) fn note_told(&mut self, now: u64, order: &PartsOrder) {
        let offset = match order {
            PartsOrder::Progress { offset, .. } => *offset,
            PartsOrder::Advance(advance) => advance.to,
            _ => return,
        };
        if let Some(parts) = &mut self.parts
            && now >= parts.told + TELL_EVERY
            && parts.terms.length.is_none_or(|length| offset < length)
        {
            parts.told = now;
        }
    }

    /// Tells the conversation how far the file is, or how it ended.
    pub(in crate::file) fn news(&self, at: &Moment<'_>, offset: u64, ended: Option<Ended>) -> Option<Emit> {
        let (begun, parts) = self.begun.as_ref().zip(self.parts.as_ref())?;
        let attrs =
            FileAttrs { name: Some(begun.name.clone()), size: parts.terms.length, ..FileAttrs::default() };
        let news = News { file: at.id.clone(), owner: begun.owner.clone(), attrs, offset, ended };
        Some(Emit::Tell(Stream::conversation(&begun.conversation), json!({"Uploading": news})))
    }

    fn joined(
        &self,
        at: &Moment<'_>,
        content: Content,
        card: UserAttrs,
        peer: Option<UserAttrs>,
    ) -> Decision {
        if matches!(self.phase, Phase::Complete | Phase::Posted) {
            return Ok(Step::emit(self.standing(at, false)?));
        }
        let Some((begun, parts)) = self.coming().filter(|(_, parts)| parts.is_all_here()) else {
            return Err(Self::absent(at.id));
        };
        if content.size != parts.offset {
            return Err(Rejection::malformed("the file has another size than was said"));
        }
        let record = FileRecord::Completed(content);
        let after = self.after(&[&record]);
        let peer = parts.terms.peer.clone().zip(peer);
        let take = json!({"TakeFile": {"file": after.described(at), "card": card, "peer": peer}});
        let mut step = Step::record(record)
            .and(after.standing(at, false)?)
            .and(Emit::Forward(Stream::conversation(&begun.conversation), take));
        step.emits.extend(self.lost(&after));
        Ok(self.with_timer(at, step))
    }

    fn end(&self, at: &Moment<'_>, ended: Ended) -> Decision {
        let ends = match self.phase {
            Phase::Begun => self.parts.is_some(),
            // Its conversation does not take it.
            Phase::Complete => ended == Ended::Refused,
            Phase::Absent | Phase::Posted => return Err(Self::absent(at.id)),
            Phase::Removed => false,
        };
        let done = Emit::Answer(Answer::Value(Value::Null));
        Ok(if ends { self.give_up(at, ended).and(done) } else { Step::emit(done) })
    }

    /// Removes it, and tells others why.
    pub(in crate::file) fn give_up(&self, at: &Moment<'_>, ended: Ended) -> Step<FileRecord> {
        let mut step = self.remove(at);
        let offset = self.parts.as_ref().map_or(0, |parts| parts.offset);
        step.emits.extend(self.news(at, offset, Some(ended)));
        step
    }

    fn standing(&self, at: &Moment<'_>, missed: bool) -> Result<Emit, Rejection> {
        Ok(Emit::Answer(Answer::Value(json!(self.stands(at, missed)?))))
    }

    fn stands(&self, at: &Moment<'_>, missed: bool) -> Result<Standing, Rejection> {
        let begun = self.begun.as_ref().ok_or_else(|| Self::absent(at.id))?;
        let (offset, length) = match (&self.content, &self.parts) {
            (Some(content), _) => (content.size, Some(content.size)),
            (None, Some(parts)) => (parts.offset, parts.terms.length),
            (None, None) => return Err(Self::absent(at.id)),
        };
        let posted = self.phase == Phase::Posted;
        Ok(Standing { owner: begun.owner.clone(), offset, length, expires: begun.expires, posted, missed })
    }

    fn turn(&self, at: &Moment<'_>, missed: bool) -> Result<Emit, Rejection> {
        let standing = self.stands(at, missed)?;
        let begun = self.begun.as_ref().ok_or_else(|| Self::absent(at.id))?;
        let parts = self.parts.as_ref();
        let turn = Turn {
            standing,
            blob: begun.blob.clone(),
            part: parts.map_or(0, |parts| parts.terms.part),
            parts: parts.map_or(0, |parts| parts.tags.len() as u32),
            hash: parts.map(|parts| parts.hash.clone()).unwrap_or_default(),
            tails: parts.map(|parts| parts.tails.clone()).unwrap_or_default(),
        };
        Ok(Emit::Answer(Answer::Value(json!(turn))))
    }

    pub(in crate::file) fn apply_in_parts(&mut self, record: PartsRecord) {
        match record {
            PartsRecord::Started { begun, terms } => {
                self.phase = Phase::Begun;
                self.begun = Some(begun);
                self.parts = Some(Parts {
                    terms,
                    tags: Vec::new(),
                    hash: Text::default(),
                    tails: Vec::new(),
                    offset: 0,
                    turn: None,
                    open: false,
                    told: 0,
                });
            }
            PartsRecord::Turned { turn, length, expires } => {
                let (Some(begun), Some(parts)) = (&mut self.begun, &mut self.parts) else { return };
                begun.expires = expires;
                if let Some(length) = length {
                    (begun.size, parts.terms.length) = (length, Some(length));
                }
                // What it has kept beside at its end, if it had come to that, is not known to anybody.
                let lost = parts.writer().map(|turn| beside(tail_key(&begun.blob.key, turn)));
                (parts.open, parts.turn) = (turn.is_some(), turn);
                self.litter.extend(lost);
            }
            PartsRecord::Advanced { advance, expires } => {
                let (Some(begun), Some(parts)) = (&mut self.begun, &mut self.parts) else { return };
                begun.expires = expires;
                if !advance.tags.is_empty() || advance.whole {
                    let merged = std::mem::take(&mut parts.tails);
                    self.litter.extend(merged.into_iter().map(|tail| beside(tail.key)));
                }
                if !advance.tags.is_empty() {
                    parts.hash = advance.hash;
                    parts.tags.extend(advance.tags);
                }
                if advance.tail > 0 {
                    parts
                        .tails
                        .push(Tail { key: tail_key(&begun.blob.key, &advance.turn), size: advance.tail });
                }
                parts.offset = advance.to;
                parts.open = !advance.ends;
            }
        }
    }

    /// Has what was kept beside removed: the file is complete, or comes to nothing.
    pub(in crate::file) fn leave_parts(&mut self) {
        let (Some(begun), Some(parts)) = (&self.begun, &mut self.parts) else { return };
        let lost = parts.writer().map(|turn| tail_key(&begun.blob.key, turn));
        parts.open = false;
        let tails = std::mem::take(&mut parts.tails);
        self.litter.extend(tails.into_iter().map(|tail| tail.key).chain(lost).map(beside));
        (parts.tags, parts.hash) = (Vec::new(), Text::default());
    }
}
