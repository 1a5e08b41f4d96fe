//! Events: Sessions and connections.

use super::events;
use crate::attrs::*;
use crate::types::*;

events! {
    /// An action failed, or the connection or session did.
    Error = "error" { error_type: Text ; channel_id: Id, error_reason: Text, identity_name: Text, identity_type: Text, message_type: Text, queue_id: Id, realm_id: Id, tag_id: Id, user_id: Id }
    /// The session is open; says what its user has.
    SessionCreated = "session_created" { session_id: Id, user_account: Object, user_attrs: UserAttrs, user_channels: Object, user_dialogues: Object, user_id: Id, user_identities: Object, user_realms: Object, user_settings: Object ; puppet_masters: Object, session_host: Text, user_auth: Text, user_queues: Object, user_realms_member: Object }
    /// Another session of the user has read up to a message.
    SessionStatusUpdated = "session_status_updated" { message_id: Id ; channel_id: Id, user_id: Id }
    /// Answers `ping`.
    Pong = "pong" {  ;  }
    /// An action succeeded.
    Ack = "ack" {  ;  }
    /// Answers `describe_conn`.
    ConnFound = "conn_found" { conn_address: Text ;  }
    /// STUN and TURN servers.
    IceBegun = "ice_begun" { stun_servers: Vec<Object>, turn_servers: Vec<Object> ;  }
    /// A group video room.
    JitsiDiscovered = "jitsi_discovered" {  ; jitsi_domain: Text, jitsi_room: Text, jitsi_token: Text }
}
