//! Events: Access keys and master keys.

use super::events;
use crate::attrs::*;
use crate::types::*;

events! {
    /// Describes an access key.
    AccessFound = "access_found" { access_type: Text ; access_time: f64, channel_attrs: ChannelAttrs, channel_id: Id, channel_unsilence: bool, identity_name: Text, identity_type: Text, queue_attrs: QueueAttrs, queue_id: Id, realm_attrs: RealmAttrs, realm_id: Id, realm_member: bool, user_attrs: UserAttrs, user_id: Id }
    /// An access key was made.
    AccessCreated = "access_created" { access_type: Text ; access_key: Text, access_time: f64 }
    /// Lists master keys.
    MasterKeysFound = "master_keys_found" { master_keys: Object ;  }
    /// Lists one's own master keys (old form).
    MasterFound = "master_found" { master_keys: Object ;  }
    /// A master key was made.
    MasterKeyCreated = "master_key_created" { master_key_id: Id, master_key_type: Text ; master_key_secret: Text, realm_id: Id }
    /// A master key was deleted.
    MasterKeyDeleted = "master_key_deleted" { master_key_id: Id, master_key_type: Text ; realm_id: Id }
}
