//! Events: Users and search.

use super::events;
use crate::attrs::*;
use crate::types::*;

events! {
    /// A user was made.
    UserCreated = "user_created" { user_attrs: UserAttrs, user_id: Id, user_settings: Object ; puppet_masters: Object, user_auth: Text }
    /// Describes a user.
    UserFound = "user_found" { user_attrs: UserAttrs, user_id: Id, user_identities: Object ; audience_metadata: Object, dialogue_members: Object, dialogue_status: Text, message_time: f64, puppet_masters: Object, user_account: Object, user_channels: Object, user_dialogues: Object, user_queues: Object, user_realms: Object, user_realms_member: Object, user_settings: Object }
    /// A user changed.
    UserUpdated = "user_updated" { user_attrs: UserAttrs, user_id: Id ; puppet_masters: Object, user_account: Object, user_settings: Object }
    /// A user was deleted.
    UserDeleted = "user_deleted" { user_id: Id ;  }
    /// A part of what a search found.
    SearchResults = "search_results" {  ; channels: Object, users: Object }
}
