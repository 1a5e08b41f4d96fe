//! What a file decides.

use super::parts::Ended;
use super::{Begun, Blob, Content, Decision, Described, File, FileOrder, FileRecord, Phase};
use crate::found::Found;
use crate::machine::{Actor, Answer, Due, Emit, Machine, Moment, Step, Timer};
use crate::view::Stream;
use levee_proto::Rejection;
use serde_json::{Value, json};

/// After how long it is tried again at first to remove bytes, to make a file of its parts, or to hear from a conversation
/// whether it has a file, in microseconds. Each further time it takes twice as long.
const AGAIN: u64 = 15_000_000;
/// How long that takes at most, in microseconds.
const SELDOM: u64 = 300_000_000;
/// How long a file whose bytes are all here is tried to be completed at least, in microseconds: it is this server that
/// keeps it from that.
const DAY: u64 = 86_400_000_000;
/// How long after the time is over for a file its conversation is asked whether it has it, in microseconds: by no
/// node's clock it takes it in any more.
const CLOCKS: u64 = 60_000_000;

impl File {
    /// Answers who may read the file: whose it is, and who may read the message that it came with. To others, and
    /// before anybody was told of it, it is not there.
    pub(super) fn describe(&self, at: &Moment<'_>, actor: &Actor) -> Decision {
        let reads = self.phase == Phase::Posted && matches!(actor.found, Some(Found::Reads(true)));
        let described = self.described(at).filter(|file| reads || file.owner == actor.user);
        let file = described.ok_or_else(|| Self::absent(at.id))?;
        Ok(Step::emit(Emit::Answer(Answer::Value(json!({"file": (&actor.user, file)})))))
    }

    pub(super) fn described(&self, at: &Moment<'_>) -> Option<Described> {
        let begun = self.begun.as_ref()?;
        Some(Described {
            file: at.id.clone(),
            owner: begun.owner.clone(),
            conversation: begun.conversation.clone(),
            icon: begun.icon,
            name: begun.name.clone(),
            key: begun.blob.key.clone(),
            expires: begun.expires,
            content: self.content.clone()?,
        })
    }

    pub(super) fn obey(&self, at: &Moment<'_>, order: FileOrder) -> Decision {
        match order {
            FileOrder::Begin(begun) => self.begin(at, begun),
            FileOrder::Complete { key, content } => self.complete(at, &key, content),
            FileOrder::Refuse { key } => Ok(self.refuse(at, &key)),
            FileOrder::Parts(order) => self.obey_in_parts(at, order),
            FileOrder::About => self.described(at).map(answer).ok_or_else(|| Self::absent(at.id)),
            FileOrder::Posted if self.phase == Phase::Complete => {
                Ok(self.with_timer(at, Step::record(FileRecord::Posted)))
            }
            FileOrder::Posted => Ok(Step::nothing()),
            FileOrder::Remove if self.exists() => Ok(self.remove(at)),
            FileOrder::Remove => Ok(Step::nothing()),
            FileOrder::Due => Ok(self.due(at)),
            FileOrder::Cleared { key } if self.litter.iter().any(|blob| blob.key == key) => {
                Ok(self.with_timer(at, Step::record(FileRecord::Cleared { key })))
            }
            FileOrder::Cleared { .. } => Ok(Step::nothing()),
        }
    }

    /// Begins, or begins anew with other bytes.
    fn begin(&self, at: &Moment<'_>, begun: Begun) -> Decision {
        let before = self.begun.as_ref();
        if self.refused {
            // A retry hears what it was told.
            return Err(Self::refused());
        }
        if self.phase == Phase::Removed || before.is_some_and(|before| before.owner != begun.owner) {
            return Err(Self::absent(at.id));
        }
        // Whoever removes them would remove what comes now.
        if self.litter.iter().any(|blob| blob.key == begun.blob.key) {
            return Err(Rejection::malformed("this file was begun anew with other bytes"));
        }
        if let Some(file) = self.described(at) {
            return Ok(answer(file));
        }
        let goes_on = Emit::Answer(Answer::Value(Value::Null));
        if before.is_some_and(|before| before.blob.key == begun.blob.key) {
            return Ok(Step::emit(goes_on));
        }
        let mut step = Step::record(FileRecord::Begun(begun)).and(goes_on);
        step.emits.extend(before.map(|before| Emit::Discard(before.blob.clone())));
        Ok(self.with_timer(at, step))
    }

    /// Whether these are the bytes that are coming.
    fn is_coming(&self, key: &str) -> bool {
        self.phase == Phase::Begun && self.begun.as_ref().is_some_and(|begun| begun.blob.key == key)
    }

    fn complete(&self, at: &Moment<'_>, key: &str, content: Content) -> Decision {
        if let Some(file) = self.described(at).filter(|file| file.key == key) {
            return Ok(answer(file));
        }
        if !self.is_coming(key) {
            return Err(Self::absent(at.id));
        }
        if self.begun.as_ref().is_some_and(|begun| begun.size != content.size) {
            return Err(Rejection::malformed("the file has another size than was said"));
        }
        let record = FileRecord::Completed(content);
        let file = self.after(&[&record]).described(at);
        let answer = file.map(|file| Emit::Answer(Answer::Value(json!(file))));
        let mut step = self.with_timer(at, Step::record(record));
        step.emits.extend(answer);
        Ok(step)
    }

    /// Refuses the bytes that are coming; to others, and once they are complete, that is nothing.
    fn refuse(&self, at: &Moment<'_>, key: &str) -> Step<FileRecord> {
        let answer = Emit::Answer(Answer::Value(Value::Null));
        match self.is_coming(key) {
            true => self.removed_by(at, FileRecord::Refused).and(answer),
            false => Step::emit(answer),
        }
    }

    pub(super) fn remove(&self, at: &Moment<'_>) -> Step<FileRecord> {
        self.removed_by(at, FileRecord::Removed)
    }

    fn removed_by(&self, at: &Moment<'_>, record: FileRecord) -> Step<FileRecord> {
        let litter = self.after(&[&record]).litter;
        let mut step = Step::record(record);
        step.emits.extend(discards(&litter));
        self.with_timer(at, step)
    }

    /// The timer has rung: bytes are still there that shall not be, or the time is over for what came to nothing.
    fn due(&self, at: &Moment<'_>) -> Step<FileRecord> {
        let mut step = Step::nothing();
        if self.is_all_here() {
            if self.gives_up_at(DAY).is_some_and(|time| time <= at.now) {
                return self.give_up(at, Ended::Expired);
            }
            // Who has joined its parts may have died over it.
            step.emits.extend(self.joins());
        } else if let Some(begun) = &self.begun {
            match self.phase {
                Phase::Begun if begun.expires <= at.now => return self.give_up(at, Ended::Expired),
                Phase::Complete if begun.expires + CLOCKS <= at.now => {
                    // It may have been told of, and the word is still on its way: its conversation knows.
                    let ask = json!({"HasFile": {"file": at.id}});
                    let holder = match begun.icon {
                        true => Stream::user(&begun.owner),
                        false => Stream::conversation(&begun.conversation),
                    };
                    step.emits.push(Emit::Forward(holder, ask));
                    step.emits.push(Emit::Wait(Timer::File, Due::At(self.again(at))));
                    return step;
                }
                Phase::Absent | Phase::Begun | Phase::Complete | Phase::Posted | Phase::Removed => {}
            }
        }
        step.emits.extend(discards(&self.litter));
        self.with_timer(at, step)
    }

    /// When it is tried again to do what could not be done.
    fn again(&self, at: &Moment<'_>) -> u64 {
        at.now + (AGAIN << self.rung.min(8)).min(SELDOM)
    }

    /// The file as it is after some records.
    pub(super) fn after(&self, records: &[&FileRecord]) -> Self {
        let mut after = self.clone();
        records.iter().for_each(|record| after.apply(0, 0, record));
        after
    }

    /// Sets the timer for what is to be done next.
    pub(super) fn with_timer(&self, at: &Moment<'_>, step: Step<FileRecord>) -> Step<FileRecord> {
        let after = self.after(&step.records.iter().collect::<Vec<_>>());
        let due = match (&after.begun, after.phase) {
            _ if !after.litter.is_empty() || after.is_all_here() => Some(after.again(at)),
            (Some(begun), Phase::Begun) => Some(begun.expires),
            (Some(begun), Phase::Complete) => Some(begun.expires + CLOCKS),
            _ => None,
        };
        step.and(match due {
            Some(due) => Emit::Wait(Timer::File, Due::At(due)),
            None => Emit::Unwait(Timer::File),
        })
    }
}

pub(super) fn discards(litter: &[Blob]) -> impl Iterator<Item = Emit> {
    litter.iter().cloned().map(Emit::Discard)
}

fn answer(file: Described) -> Step<FileRecord> {
    Step::emit(Emit::Answer(Answer::Value(json!(file))))
}
