//! Which stream decides an action.

use levee_domain::conversation::Conversation;
use levee_domain::view::{Kind, Stream};
use levee_proto::{
    AccessAction, Action, ConversationAction, ErrorType, FileAction, Id, IdentityAction, KeyAction,
    MemberAction, QueueAction, RealmAction, Rejection, SessionAction, Text, UserAction, VideoAction,
    WebhookAction, ids,
};

/// Refuses what is about the session itself, and so nothing that a master does through a puppet.
pub(super) fn may_act_through(action: &Action) -> Result<(), Rejection> {
    let about_session = match action {
        Action::Session(action) => match action {
            SessionAction::CreateSession(_)
            | SessionAction::ResumeSession(_)
            | SessionAction::UpdateSession(_)
            | SessionAction::CloseSession(_)
            | SessionAction::DescribeConn(_) => true,
            SessionAction::Ping(_)
            | SessionAction::BeginIce(_)
            | SessionAction::Search(_)
            | SessionAction::SearchUsers(_)
            | SessionAction::SearchChannels(_) => false,
        },
        Action::User(_)
        | Action::Identity(_)
        | Action::Realm(_)
        | Action::Queue(_)
        | Action::Conversation(_)
        | Action::File(_)
        | Action::Video(_)
        | Action::Access(_)
        | Action::Key(_)
        | Action::Webhook(_)
        | Action::Member(_) => false,
    };
    match about_session {
        true => Err(Rejection::new(ErrorType::ActionNotSupported).because("not through a puppet")),
        false => Ok(()),
    }
}

/// The stream of the entity that decides an action.
///
/// # Errors
/// `request_malformed` when it is not told which; the one that says that it is not there, for an id
/// that can't be.
pub(crate) fn target(action: &Action, user: &Id) -> Result<Stream, Rejection> {
    let stream = match action {
        Action::Session(_) => return Err(Rejection::new(ErrorType::ActionNotSupported)),
        Action::User(UserAction::DescribeUser(describe)) => {
            Stream::user(describe.user_id.as_ref().unwrap_or(user))
        }
        Action::User(UserAction::UpdateUser(_) | UserAction::DeleteUser(_))
        | Action::Identity(
            IdentityAction::CreateIdentity(_)
            | IdentityAction::CreateIdentityWithAuthResetAccess(_)
            | IdentityAction::UpdateIdentity(_)
            | IdentityAction::UpdateIdentityAuth(_)
            | IdentityAction::DeleteIdentity(_),
        ) => Stream::user(user),
        // Whose matter it is, is looked up by the key, or by the name.
        Action::Identity(
            IdentityAction::RequestIdentityVerifyAccess(_)
            | IdentityAction::RequestIdentityAuthResetAccess(_)
            | IdentityAction::VerifyIdentity(_)
            | IdentityAction::ResetIdentityAuth(_)
            | IdentityAction::DescribeIdentity(_),
        )
        | Action::Access(AccessAction::DescribeAccess(_)) => {
            return Err(Rejection::new(ErrorType::AccessDenied));
        }
        Action::Video(VideoAction::DiscoverJitsi(of)) => match (&of.channel_id, &of.queue_id) {
            (Some(channel), None) => Stream::conversation(channel),
            (None, Some(queue)) => Stream::queue(queue),
            _ => return Err(Rejection::malformed("exactly one of channel_id and queue_id is given")),
        },
        Action::File(FileAction::DescribeFile(of)) => Stream::file(&of.file_id),
        Action::Key(of) => {
            let realm = match of {
                KeyAction::DescribeMasterKeys(of) => &of.realm_id,
                KeyAction::DescribeMaster(_) => &None,
                KeyAction::CreateMasterKey(of) => &of.realm_id,
                KeyAction::DeleteMasterKey(of) => &of.realm_id,
            };
            realm.as_ref().map_or_else(|| Stream::user(user), Stream::realm)
        }
        Action::Webhook(of) => Stream::realm(match of {
            WebhookAction::CreateWebhook(of) => &of.realm_id,
            WebhookAction::DescribeWebhooks(of) => &of.realm_id,
            WebhookAction::UpdateWebhook(of) => &of.realm_id,
            WebhookAction::DeleteWebhook(of) => &of.realm_id,
            WebhookAction::TestWebhook(of) => &of.realm_id,
            WebhookAction::DescribeWebhookDeliveries(of) => &of.realm_id,
            WebhookAction::ReplayWebhook(of) => &of.realm_id,
        }),
        Action::User(UserAction::CreateUser(_))
        | Action::Realm(RealmAction::CreateRealm(_))
        | Action::Conversation(ConversationAction::CreateChannel(_)) => {
            return Err(Rejection::new(ErrorType::ActionNotSupported));
        }
        Action::Realm(RealmAction::DescribeRealm(of)) => Stream::realm(&of.realm_id),
        Action::Realm(RealmAction::DescribeRealmQueues(of)) => Stream::realm(&of.realm_id),
        Action::Realm(RealmAction::Track(of)) => Stream::realm(&of.realm_id),
        Action::Realm(RealmAction::UpdateRealm(of)) => Stream::realm(&of.realm_id),
        Action::Realm(RealmAction::DeleteRealm(of)) => Stream::realm(&of.realm_id),
        Action::Realm(RealmAction::CreateQueue(of)) => Stream::realm(&of.realm_id),
        Action::Realm(RealmAction::CreateTag(of)) => Stream::realm(&of.realm_id),
        Action::Realm(RealmAction::DescribeTag(of)) => realm_of(&of.tag_id)?,
        Action::Realm(RealmAction::DescribeTags(of)) => match (&of.realm_id, &of.tag_id) {
            (Some(realm), None) => Stream::realm(realm),
            (None, Some(tag)) => realm_of(tag)?,
            _ => return Err(Rejection::malformed("exactly one of realm_id and tag_id is given")),
        },
        Action::Realm(RealmAction::UpdateTag(of)) => realm_of(&of.tag_id)?,
        Action::Realm(RealmAction::DeleteTag(of)) => realm_of(&of.tag_id)?,
        Action::Realm(RealmAction::CreateSite(of)) => Stream::realm(&of.realm_id),
        Action::Realm(RealmAction::DescribeSites(of)) => Stream::realm(&of.realm_id),
        Action::Realm(RealmAction::UpdateSite(of)) => Stream::realm(&of.realm_id),
        Action::Realm(RealmAction::DeleteSite(of)) => Stream::realm(&of.realm_id),
        Action::Queue(QueueAction::UpdateQueue(of)) => Stream::queue(&of.queue_id),
        Action::Queue(QueueAction::DeleteQueue(of)) => Stream::queue(&of.queue_id),
        Action::Queue(QueueAction::DescribeQueue(of)) => Stream::queue(&of.queue_id),
        Action::Queue(QueueAction::RequestAudience(of)) => Stream::queue(&of.queue_id),
        Action::Queue(QueueAction::DescribeQueueTranscripts(of)) => Stream::queue(&of.queue_id),
        Action::Queue(QueueAction::DeleteQueueTranscripts(of)) => Stream::queue(&of.queue_id),
        Action::Queue(QueueAction::AcceptAudience(of)) => Stream::queue(&of.queue_id),
        Action::Queue(QueueAction::GetQueueStats(of)) => Stream::queue(&of.queue_id),
        Action::Queue(QueueAction::CreateAudience(of)) => Stream::queue(&of.queue_id),
        Action::Queue(QueueAction::RegisterAudience(of)) => Stream::queue(&of.queue_id),
        Action::Conversation(of) => match of {
            ConversationAction::CreateChannel(_) => {
                return Err(Rejection::new(ErrorType::ActionNotSupported));
            }
            ConversationAction::DescribeChannel(of) => Stream::conversation(&of.channel_id),
            ConversationAction::UpdateChannel(of) => Stream::conversation(&of.channel_id),
            ConversationAction::DeleteChannel(of) => Stream::conversation(&of.channel_id),
            ConversationAction::FollowChannel(of) => Stream::conversation(&of.channel_id),
            ConversationAction::UpdateMessage(of) => Stream::conversation(&of.channel_id),
            ConversationAction::UpdateUserMessages(of) => Stream::conversation(&of.channel_id),
            ConversationAction::PartChannel(of) => Stream::conversation(&of.channel_id),
            ConversationAction::JoinChannel(of) if of.access_key.is_some() => {
                return Err(Rejection::new(ErrorType::AccessDenied));
            }
            ConversationAction::JoinChannel(of) => Stream::conversation(
                of.channel_id.as_ref().ok_or_else(|| Rejection::malformed("channel_id is missing"))?,
            ),
            ConversationAction::UpdateDialogue(of) => Stream::conversation(&ids::dialogue(user, &of.user_id)),
            ConversationAction::DiscardHistory(of) => either(&None, &Some(of.user_id.clone()), user)?,
            ConversationAction::SendMessage(of) if of.identity_name.is_some() => {
                return Err(Rejection::new(ErrorType::IdentityNotFound));
            }
            ConversationAction::SendMessage(of) => either(&of.channel_id, &of.user_id, user)?,
            ConversationAction::SendFile(of) => either(&of.channel_id, &of.user_id, user)?,
            ConversationAction::CreateUpload(of) => either(&of.channel_id, &of.user_id, user)?,
            ConversationAction::TransferAudience(of) => audience(&of.audience_id)?,
            ConversationAction::GetTranscript(of) => {
                transcript(&of.channel_id, &of.dialogue_id, &of.audience_id)?
            }
            ConversationAction::DeleteTranscript(of) => {
                transcript(&of.channel_id, &of.dialogue_id, &of.audience_id)?
            }
            ConversationAction::LoadHistory(of) => either(&of.channel_id, &of.user_id, user)?,
        },
        Action::Access(AccessAction::CreateAccess(of)) => match (of.access_type.as_str(), &of.channel_id) {
            ("session", _) => Stream::user(user),
            ("channel" | "audience", Some(channel)) => Stream::conversation(channel),
            ("channel" | "audience", None) => return Err(Rejection::malformed("channel_id is missing")),
            _ => return Err(Rejection::malformed("access_type is session, channel or audience")),
        },
        Action::Access(AccessAction::SendAccess(_)) => Stream::user(user),
        Action::Member(action) => {
            let (channel, queue, realm) = match action {
                MemberAction::AddMember(of) => (&of.channel_id, &of.queue_id, &of.realm_id),
                MemberAction::UpdateMember(of) => (&of.channel_id, &None, &of.realm_id),
                MemberAction::RemoveMember(of) => (&of.channel_id, &of.queue_id, &of.realm_id),
            };
            match (channel, queue, realm) {
                (Some(channel), None, None) => Stream::conversation(channel),
                (None, Some(queue), _) => Stream::queue(queue),
                (None, None, Some(realm)) => Stream::realm(realm),
                _ => {
                    return Err(Rejection::malformed(
                        "exactly one of channel_id, queue_id and realm_id is given",
                    ));
                }
            }
        }
    };
    if ids::shard(&stream.id).is_none() {
        return Err(absent(&stream));
    }
    Ok(stream)
}

fn either(channel: &Option<Id>, peer: &Option<Id>, user: &Id) -> Result<Stream, Rejection> {
    match (channel, peer) {
        (Some(channel), None) => Ok(Stream::conversation(channel)),
        (None, Some(peer)) if ids::shard(peer).is_none() => {
            Err(Rejection::new(ErrorType::UserNotFound).about("user_id", peer))
        }
        (None, Some(peer)) => Ok(Stream::conversation(&ids::dialogue(user, peer))),
        _ => Err(Rejection::malformed("exactly one of channel_id and user_id is given")),
    }
}

/// The stream of an audience's channel.
fn audience(id: &Id) -> Result<Stream, Rejection> {
    if ids::shard(id).is_none() {
        return Err(Rejection::new(ErrorType::AudienceNotFound).about("audience_id", id));
    }
    Ok(Stream::conversation(&Conversation::of_audience(id)))
}

/// The stream of a conversation whose transcript is meant.
fn transcript(
    channel: &Option<Id>,
    dialogue: &Option<Vec<Text>>,
    of: &Option<Id>,
) -> Result<Stream, Rejection> {
    match (channel, dialogue.as_deref(), of) {
        (Some(channel), None, None) => Ok(Stream::conversation(channel)),
        (None, Some([one, other]), None) => Ok(Stream::conversation(&ids::dialogue(one, other))),
        (None, Some(_), None) => Err(Rejection::malformed("dialogue_id is a pair of users")),
        (None, None, Some(id)) => audience(id),
        _ => Err(Rejection::malformed("exactly one of channel_id, dialogue_id and audience_id is given")),
    }
}

/// The stream of the realm that a tag belongs to.
fn realm_of(tag: &Id) -> Result<Stream, Rejection> {
    let realm = ids::owner(tag).ok_or_else(|| Rejection::new(ErrorType::TagNotFound).about("tag_id", tag))?;
    Ok(Stream::realm(&realm))
}

/// What is said of something that is not there.
pub(super) fn absent(stream: &Stream) -> Rejection {
    let (error_type, parameter) = match stream.kind {
        Kind::User => (ErrorType::UserNotFound, "user_id"),
        Kind::Realm => (ErrorType::RealmNotFound, "realm_id"),
        Kind::Queue => (ErrorType::QueueNotFound, "queue_id"),
        Kind::Conversation => (ErrorType::ChannelNotFound, "channel_id"),
        Kind::File => (ErrorType::FileNotFound, "file_id"),
    };
    Rejection::new(error_type).about(parameter, &stream.id)
}
