//! What a realm decides about its master keys: its operators make and delete them, and each is listed by the user
//! who made it too.

use super::{Decision, Realm, RealmRecord};
use crate::machine::{Actor, Emit, Moment, Step};
use crate::master::{KeyGone, KeyMade};
use crate::rights::Right;
use crate::view::Stream;
use levee_proto::{ErrorType, KeyAction, Rejection};
use serde_json::json;

impl Realm {
    pub(super) fn keep_keys(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        action: KeyAction,
        payload: &[bytes::Bytes],
    ) -> Decision {
        self.allow(at, self.standing(&actor.user), Right::ManageKeys)?;
        match action {
            KeyAction::DescribeMasterKeys(_) => Ok(Step::emit(self.keys.found())),
            // It knows no realms: the user answers it.
            KeyAction::DescribeMaster(_) => Err(Rejection::new(ErrorType::ActionNotSupported)),
            KeyAction::CreateMasterKey(create) => {
                let (made, claim) = self.keys.make(at, actor, &create, payload)?;
                let told = KeyMade { digest: None, secret: None, by: None, ..made.clone() };
                let order = json!({"KeyMade": told});
                Ok(Step::record(RealmRecord::KeyMade(KeyMade { owner: Some(actor.user.clone()), ..made }))
                    .and(Emit::Claim(claim))
                    .and(Emit::Forward(Stream::user(&actor.user), order)))
            }
            KeyAction::DeleteMasterKey(delete) => {
                let (gone, owner, claim) = self.keys.delete(actor, &delete)?;
                let told = KeyGone { by: None, ..gone.clone() };
                let mut step = Step::record(RealmRecord::KeyGone(gone)).and(Emit::Claim(claim));
                let tell = |owner| Emit::Forward(Stream::user(&owner), json!({"KeyGone": told}));
                step.emits.extend(owner.map(tell));
                Ok(step)
            }
        }
    }
}
