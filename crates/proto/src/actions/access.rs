//! Parameters of actions: Access keys and master keys.

use super::parameters;
use crate::attrs::*;
use crate::types::*;

parameters! {
    /// Makes an access key.
    CreateAccess { access_type: Text ; channel_id: Id, channel_unsilence: bool, member_metadata: Object, realm_member: bool, user_attrs: UserAttrsPatch, user_id: Id, user_settings: Object }
    /// Sends an access key to somebody.
    SendAccess {  ; access_key: Text, identity_name: Text, identity_type: Text, user_id: Id }
    /// Asks what an access key opens.
    DescribeAccess { access_key: Text ;  }
    /// Lists master keys.
    DescribeMasterKeys {  ; realm_id: Id }
    /// Lists one's own master keys (old form).
    DescribeMaster {  ;  }
    /// Makes a master key.
    CreateMasterKey {  ; master_key_id: Id, master_key_type: Text, realm_id: Id }
    /// Deletes a master key.
    DeleteMasterKey { master_key_id: Id ; master_key_secret: Text, master_key_type: Text, realm_id: Id, user_auth: Text }
}
