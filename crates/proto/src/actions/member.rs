//! Parameters of actions: Membership of realms, queues and channels.

use super::parameters;
use crate::types::*;

parameters! {
    /// Adds a user to a realm, a queue or an audience channel.
    AddMember { user_id: Id ; channel_id: Id, member_attrs: Object, queue_id: Id, realm_id: Id }
    /// Changes a member's attributes.
    UpdateMember { member_attrs: Object, user_id: Id ; channel_id: Id, interval_end: f64, realm_id: Id }
    /// Removes a member.
    RemoveMember { user_id: Id ; channel_id: Id, queue_id: Id, realm_id: Id }
}
