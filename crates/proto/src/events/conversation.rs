//! Events: Channels, dialogues and messages.

use super::events;
use crate::attrs::*;
use crate::types::*;

events! {
    /// A dialogue began or changed.
    DialogueUpdated = "dialogue_updated" { dialogue_members: Object, user_id: Id ; audience_metadata: Object, dialogue_metadata: Object, dialogue_status: Text, message_time: f64 }
    /// An audience channel was made.
    ChannelCreated = "channel_created" { channel_attrs: ChannelAttrs, channel_id: Id, realm_id: Id ;  }
    /// Describes a channel.
    ChannelFound = "channel_found" { channel_attrs: ChannelAttrs, channel_id: Id ; audience_metadata: Object, channel_member_count: u64, channel_members: Object, channel_members_metadata: Object, channel_metadata: Object, channel_status: Text, member_message_metadata: Object, message_time: f64, realm_id: Id }
    /// The user is a member of a channel now.
    ChannelJoined = "channel_joined" { channel_attrs: ChannelAttrs, channel_id: Id, channel_members: Object ; audience_metadata: Object, channel_members_metadata: Object, channel_metadata: Object, member_message_metadata: Object, message_time: f64, realm_id: Id }
    /// The user is no longer a member of a channel.
    ChannelParted = "channel_parted" { channel_id: Id ; event_cause: Text }
    /// A channel's attributes changed.
    ChannelUpdated = "channel_updated" { channel_attrs: ChannelAttrs, channel_id: Id ; event_cause: Text, realm_id: Id }
    /// A channel was deleted.
    ChannelDeleted = "channel_deleted" { channel_id: Id ;  }
    /// Somebody joined a channel.
    ChannelMemberJoined = "channel_member_joined" { channel_id: Id, member_attrs: ChannelMemberAttrs, user_attrs: UserAttrs, user_id: Id ; member_metadata: Object, puppet_attrs: PuppetAttrs }
    /// Somebody left a channel.
    ChannelMemberParted = "channel_member_parted" { channel_id: Id, user_id: Id ; event_cause: Text }
    /// A channel member changed.
    ChannelMemberUpdated = "channel_member_updated" { channel_id: Id, member_attrs: ChannelMemberAttrs, user_id: Id ;  }
    /// A message.
    MessageReceived = "message_received" { message_id: Id, message_time: f64, message_type: Text ; channel_id: Id, history_length: u64, message_fold: bool, message_hidden: bool, message_recipient_ids: Vec<Text>, message_ttl: f64, message_user_id: Id, message_user_name: Text, user_id: Id }
    /// A message was hidden or shown.
    MessageUpdated = "message_updated" { message_id: Id ; channel_id: Id, message_hidden: bool }
    /// A message was deleted.
    MessageDeleted = "message_deleted" { message_id: Id ; channel_id: Id, user_id: Id }
    /// How much history follows.
    HistoryResults = "history_results" { history_length: u64 ; channel_id: Id, message_id: Id, user_id: Id }
    /// History was forgotten.
    HistoryDiscarded = "history_discarded" { message_id: Id ; channel_id: Id, user_id: Id }
    /// Describes a file.
    FileFound = "file_found" { file_attrs: FileAttrs, file_id: Id, file_url: Text, url_expiry: u64 ; thumbnail_url: Text }
    /// Where a file goes, by tus 1.0, and until when, in seconds since 1970.
    UploadCreated = "levee_upload_created" { upload_url: Text, url_expiry: u64 ; channel_id: Id, user_id: Id }
    /// How far a file is that somebody sends; at its end, how that was.
    UploadUpdated = "levee_upload_updated" { file_attrs: FileAttrs, upload_id: Id, upload_offset: u64, user_id: Id ; channel_id: Id, dialogue_id: Vec<Text>, upload_ended: Text }
    /// A conversation as a whole.
    TranscriptContents = "transcript_contents" {  ; audience_id: Id, audience_members: Object, audience_metadata: Object, channel_id: Id, dialogue_id: Vec<Text>, dialogue_members: Object, message_id: Id, transcript_messages: Vec<Object> }
    /// A conversation's content was deleted.
    TranscriptDeleted = "transcript_deleted" {  ; audience_id: Id, channel_id: Id, dialogue_id: Vec<Text> }
}
