//! Parameters of actions: Sessions and connections.

use super::parameters;
use crate::attrs::*;
use crate::types::*;

parameters! {
    /// Opens a session: for a new guest, for a user by token, or by identity and password.
    CreateSession { message_types: Vec<Text> ; access_key: Text, identity_attrs: IdentityAttrsPatch, identity_auth: Text, identity_auth_new: Text, identity_name: Text, identity_name_new: Text, identity_type: Text, identity_type_new: Text, master_key_type: Text, master_sign: Text, puppet_attrs: PuppetAttrsPatch, site_secret: Text, user_attrs: UserAttrsPatch, user_auth: Text, user_existing: bool, user_id: Id, user_metadata: Object, user_settings: Object }
    /// Receives and acknowledges events of an existing session.
    ResumeSession {  ;  }
    /// Reports idleness, and how far a conversation was read.
    UpdateSession {  ; channel_id: Id, message_id: Id, session_idle: bool, user_id: Id }
    /// Ends the session.
    CloseSession {  ;  }
    /// Asks for a `pong`.
    Ping {  ;  }
    /// Asks how the server sees this connection.
    DescribeConn {  ;  }
    /// Reports a visitor's stage for statistics.
    Track { realm_id: Id, track_metadata: Object, track_stage: Text ; queue_ids: Vec<Text> }
    /// Asks for STUN and TURN servers with temporary credentials.
    BeginIce {  ;  }
    /// Asks for a group video room.
    DiscoverJitsi {  ; channel_id: Id, queue_id: Id }
}
