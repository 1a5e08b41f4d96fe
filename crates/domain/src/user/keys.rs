//! What a user decides about master keys.

use super::User;
use super::decide::Decision;
use super::records::UserRecord;
use crate::machine::{Actor, Emit, Moment, Step};
use levee_proto::{ErrorType, KeyAction, Rejection, ids};

impl User {
    pub(super) fn keep_keys(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        action: KeyAction,
        payload: &[bytes::Bytes],
    ) -> Decision {
        if actor.user != *at.id {
            return Err(Rejection::denied());
        }
        match action {
            KeyAction::DescribeMasterKeys(_) => Ok(Step::emit(self.keys.found())),
            KeyAction::DescribeMaster(_) => Ok(Step::emit(self.keys.found_in_old_form())),
            KeyAction::CreateMasterKey(create) => {
                if self.attrs.guest.is_some() {
                    return Err(Rejection::denied().because("a guest has no master keys"));
                }
                let (made, claim) = self.keys.make(at, actor, &create, payload)?;
                Ok(Step::record(UserRecord::KeyMade(made)).and(Emit::Claim(claim)))
            }
            KeyAction::DeleteMasterKey(delete) => {
                if delete.master_key_secret.is_none() && delete.user_auth.is_none() {
                    return Err(Rejection::malformed("master_key_secret or user_auth is given"));
                }
                let token = delete.user_auth.as_ref().map(|token| ids::digest(token));
                let is_user = token.is_some() && token == self.auth;
                let (gone, _, claim) = self.keys.delete(actor, &delete)?;
                if !is_user && !self.keys.opens(&delete) {
                    return Err(Rejection::new(ErrorType::AccessDenied));
                }
                Ok(Step::record(UserRecord::KeyGone(gone)).and(Emit::Claim(claim)))
            }
        }
    }
}
