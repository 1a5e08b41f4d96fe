//! A file: its bytes come in parts, and are seen once they are complete and a conversation has them.
//!
//! The bytes are elsewhere, under a name that the file keeps. Each attempt to take them in has a name of its own, so
//! that what was replaced or given up can be removed without touching what is kept.

mod account;
mod decide;
pub mod name;
pub mod parts;
mod records;
#[cfg(test)]
mod tests;

pub use records::{Begun, Blob, Content, Described, FileOrder, FileRecord, Thumbnail};

use crate::machine::{Columns, Entry, Glance, Input, Machine, Moment, Step, Timer};
use crate::view::View;
use levee_proto::{Action, ErrorType, FileAction, Id, Rejection};
use serde::{Deserialize, Serialize};

type Decision = Result<Step<FileRecord>, Rejection>;

/// A file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct File {
    phase: Phase,
    /// Whose it is, where it belongs, and where its bytes go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<Begun>,
    /// What there is of it, if it comes over connections that may break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<parts::Parts>,
    /// What was found out about its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Content>,
    /// Bytes that are to be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    litter: Vec<Blob>,
    /// Whether it was removed because of what is in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    refused: bool,
    /// How often the timer has rung since anything happened; not recorded.
    #[serde(skip)]
    rung: u32,
}

/// How far a file has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    /// Nothing yet.
    #[default]
    Absent,
    /// Its bytes are coming.
    Begun,
    /// They are all here, and nobody was told.
    Complete,
    /// A conversation has it.
    Posted,
    /// It was removed, or came to nothing.
    Removed,
}

impl File {
    fn absent(id: &Id) -> Rejection {
        Rejection::new(ErrorType::FileNotFound).about("file_id", id)
    }

    /// What is said of a file that may not be kept because of what is in it.
    pub fn refused() -> Rejection {
        Rejection::new(ErrorType::FileNotSupported).because("the file was looked at, and may not be sent")
    }

    /// Has the file be no more, and its bytes go.
    fn leave(&mut self) {
        self.leave_parts();
        self.phase = Phase::Removed;
        self.litter.extend(self.begun.take().map(|before| before.blob));
        self.content = None;
    }
}

impl Machine for File {
    type Order = FileOrder;
    type Record = FileRecord;

    fn exists(&self) -> bool {
        matches!(self.phase, Phase::Begun | Phase::Complete | Phase::Posted)
    }

    fn decide(&self, at: &Moment<'_>, input: Input<FileOrder>) -> Decision {
        let step = match input {
            Input::Action(actor, Action::File(FileAction::DescribeFile(_)), _) => self.describe(at, &actor),
            Input::Action(
                _,
                Action::Session(_)
                | Action::User(_)
                | Action::Identity(_)
                | Action::Realm(_)
                | Action::Queue(_)
                | Action::Conversation(_)
                | Action::Video(_)
                | Action::Access(_)
                | Action::Key(_)
                | Action::Webhook(_)
                | Action::Member(_),
                _,
            ) => Err(Rejection::new(ErrorType::ActionNotSupported)),
            Input::Order(order) => self.obey(at, order),
        };
        Ok(self.tell_account(at, step?))
    }

    fn apply(&mut self, _seq: u64, _time: u64, record: &FileRecord) {
        self.rung = 0;
        match record.clone() {
            FileRecord::Begun(begun) => {
                self.litter.extend(self.begun.take().map(|before| before.blob));
                self.phase = Phase::Begun;
                self.begun = Some(begun);
            }
            FileRecord::Parts(record) => self.apply_in_parts(record),
            FileRecord::Completed(content) => {
                self.leave_parts();
                self.phase = Phase::Complete;
                self.content = Some(content);
            }
            FileRecord::Posted => self.phase = Phase::Posted,
            FileRecord::Removed => self.leave(),
            FileRecord::Refused => {
                self.leave();
                self.refused = true;
            }
            FileRecord::Cleared { key } => self.litter.retain(|blob| blob.key != key),
        }
    }

    fn absorbs(input: &Input<FileOrder>) -> bool {
        matches!(input, Input::Order(FileOrder::Parts(_) | FileOrder::Due))
    }

    fn absorb(&mut self, now: u64, input: &Input<FileOrder>) {
        match input {
            Input::Order(FileOrder::Parts(order)) => self.note_told(now, order),
            Input::Order(FileOrder::Due) => self.rung = self.rung.saturating_add(1),
            _ => {}
        }
    }

    fn views(_id: &Id, _seq: u64, _time: u64, _entry: &Entry<FileRecord>) -> Vec<View> {
        Vec::new()
    }

    fn columns(_record: &FileRecord) -> Columns {
        Columns { kind: "file".into(), ..Columns::default() }
    }

    /// Nobody follows a file.
    fn glance(&self, _at: &Moment<'_>, _user: &Id) -> Glance {
        Glance::default()
    }

    fn rings(timer: Timer) -> Option<FileOrder> {
        match timer {
            Timer::File => Some(FileOrder::Due),
            Timer::Agent | Timer::Schedule | Timer::Visits | Timer::Member | Timer::Transcript => None,
        }
    }

    fn moves_line(_record: &FileRecord) -> bool {
        false
    }
}
