//! Parameters of actions: Channels, dialogues and messages.

use super::parameters;
use crate::attrs::*;
use crate::types::*;

parameters! {
    /// Makes a channel and joins it.
    CreateChannel {  ; channel_attrs: ChannelAttrsPatch, realm_id: Id }
    /// Asks for a channel.
    DescribeChannel { channel_id: Id ;  }
    /// Changes a channel's attributes.
    UpdateChannel { channel_attrs: ChannelAttrsPatch, channel_id: Id ;  }
    /// Deletes a suspended channel.
    DeleteChannel { channel_id: Id ;  }
    /// Reads a channel without joining it.
    FollowChannel { channel_id: Id ; master_key_type: Text, master_sign: Text }
    /// Joins a channel.
    JoinChannel {  ; access_key: Text, channel_id: Id, master_key_type: Text, master_sign: Text, member_attrs: Object }
    /// Leaves a channel.
    PartChannel { channel_id: Id ;  }
    /// Changes one's own side of a dialogue.
    UpdateDialogue { user_id: Id ; dialogue_status: Text, member_attrs: Object }
    /// Sends a message to a channel or a user.
    SendMessage { message_type: Text ; channel_id: Id, identity_name: Text, identity_type: Text, message_fold: bool, message_recipient_ids: Vec<Text>, message_ttl: f64, user_id: Id }
    /// Hides or shows a message.
    UpdateMessage { channel_id: Id, message_hidden: bool, message_id: Id ;  }
    /// Hides or shows what a user has sent.
    UpdateUserMessages { channel_id: Id, message_hidden: bool, message_user_id: Id ; interval_end: f64, message_id: Id }
    /// Asks for messages of a conversation.
    LoadHistory {  ; channel_id: Id, filter_property: Text, filter_substring: Text, history_length: u64, history_order: i64, message_fold: bool, message_id: Id, message_types: Vec<Text>, user_id: Id }
    /// Forgets the older part of a dialogue for oneself.
    DiscardHistory { message_id: Id, user_id: Id ;  }
    /// Sends a file to a channel or a user.
    SendFile { file_attrs: FileAttrsPatch ; channel_id: Id, user_id: Id }
    /// Asks where a file of any size goes, over connections that may break; its attributes are a name and, if it is known, a size.
    CreateUpload { file_attrs: FileAttrsPatch ; channel_id: Id, user_id: Id }
    /// Asks for a file's address.
    DescribeFile { file_id: Id ;  }
    /// Asks for a conversation as a whole.
    GetTranscript {  ; audience_id: Id, channel_id: Id, dialogue_id: Vec<Text>, interval_begin: f64, interval_end: f64, message_id: Id }
    /// Deletes a conversation's content.
    DeleteTranscript {  ; audience_id: Id, channel_id: Id, dialogue_id: Vec<Text> }
}
