//! What is alike in most sessions, and shared by them: guests say nothing of themselves, and clients
//! of one make take the same message types.

use levee_proto::Text;
use levee_proto::attrs::UserAttrs;
use std::cell::RefCell;
use std::sync::Arc;

/// The latest of each. A session that has the same shares it.
#[derive(Default)]
pub(crate) struct Alike {
    card: RefCell<Arc<UserAttrs>>,
    types: RefCell<Arc<[Text]>>,
}

impl Alike {
    /// A user's card.
    pub(crate) fn card(&self, card: UserAttrs) -> Arc<UserAttrs> {
        let mut latest = self.card.borrow_mut();
        if **latest != card {
            *latest = Arc::new(card);
        }
        latest.clone()
    }

    /// The message types that a client takes.
    pub(crate) fn types(&self, types: &[Text]) -> Arc<[Text]> {
        let mut latest = self.types.borrow_mut();
        if **latest != *types {
            *latest = types.into();
        }
        latest.clone()
    }
}
