//! Parameters of actions: Users and search.

use super::parameters;
use crate::attrs::*;
use crate::types::*;

parameters! {
    /// Makes a user without opening a session.
    CreateUser {  ; puppet_attrs: PuppetAttrsPatch, user_attrs: UserAttrsPatch, user_settings: Object }
    /// Asks for a user; without an id, for oneself.
    DescribeUser {  ; user_id: Id }
    /// Changes one's own attributes and settings.
    UpdateUser {  ; payload_attrs: Vec<Text>, user_attrs: UserAttrsPatch, user_settings: Object }
    /// Deletes one's own account.
    DeleteUser {  ; user_auth: Text }
    /// Finds users and channels by the beginning of their names.
    Search { search_term: Text ; realm_id: Id }
    /// Finds users by the beginning of their names.
    SearchUsers { search_term: Text ; realm_id: Id }
    /// Finds channels by the beginning of their names.
    SearchChannels { search_term: Text ; realm_id: Id }
}
