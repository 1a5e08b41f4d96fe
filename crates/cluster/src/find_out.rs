//! What an action needs to be known before its owner decides it: another user's card, a secret drawn by lot,
//! whether a signature is right, what encrypted metadata says, what answers to a site's questions come to.

use crate::enter::unavailable;
use crate::hub::Hub;
use crate::puppets::{Carded, carded};
use levee_domain::account::Thing;
use levee_domain::found::{Authority, Brought, Found, Granted, Nonce};
use levee_domain::master::{self, KEYS, Key, KeyRow, KeyType, Refused, Wanted};
use levee_domain::site::Asked;
use levee_domain::view::Stream;
use levee_proto::attrs::UserAttrs;
use levee_proto::{
    Action, ConversationAction, ErrorType, FileAction, Id, KeyAction, MemberAction, Object, QueueAction,
    RealmAction, Rejection, Text, ids,
};
use std::rc::Rc;
use std::sync::Arc;

/// What is to be found out for an action.
enum Question<'a> {
    /// What may be known of a user.
    Card(&'a Id),
    /// What may be known of a user who is to become a member, and whose puppet they are.
    Member(&'a Id),
    /// A secret.
    Secret,
    /// Whether the user who acts has an identity that was verified.
    Verified,
    /// Whether a signature or a token lets a user into a channel.
    Grant(Pass<'a>),
    /// Whether the user who acts may read the message that a file came with.
    Reads(&'a Id),
    /// How far the user who acts has read a channel.
    Reading(&'a Id),
    /// What encrypted metadata says, and what answers to a site's questions come to.
    Asking(Asking<'a>),
    /// Whether somebody may have one more realm, and one more channel with it.
    Realm(bool),
    /// Whether its owner may have one more of what it makes: one's own, or something of a realm.
    Quota(Thing, Option<&'a Id>),
    /// What is left in the account of a realm's owner.
    OwnerAccount(&'a Id),
    /// How many members a queue may have.
    QueueMembers,
}

/// What is said by whoever asks for an audience, or leaves a contact request.
struct Asking<'a> {
    metadata: Option<&'a Object>,
    /// What is encrypted in that; what is no text there is refused by the queue.
    secure: Option<&'a str>,
    /// The site whose questions were answered, and the environments of it that its page names.
    site: Option<(&'a str, &'a [Text])>,
}

/// What is to let a user into a channel.
struct Pass<'a> {
    sign: &'a str,
    key_type: Option<&'a str>,
    channel: Option<&'a str>,
    attrs: Option<&'a Object>,
    /// Whether the channel is to be followed only.
    follows: bool,
}

fn question(action: &Action) -> Option<Question<'_>> {
    match action {
        Action::Session(_)
        | Action::User(_)
        | Action::Identity(_)
        | Action::Webhook(_)
        | Action::Video(_)
        | Action::Access(_) => None,
        Action::File(FileAction::DescribeFile(of)) => Some(Question::Reads(&of.file_id)),
        Action::Realm(action) => match action {
            RealmAction::CreateRealm(create) => Some(Question::Realm(create.channel_attrs.is_some())),
            RealmAction::CreateQueue(create) => Some(Question::Quota(Thing::Queues, Some(&create.realm_id))),
            RealmAction::DescribeRealm(describe) => Some(Question::OwnerAccount(&describe.realm_id)),
            RealmAction::DescribeRealmQueues(_)
            | RealmAction::Track(_)
            | RealmAction::UpdateRealm(_)
            | RealmAction::DeleteRealm(_)
            | RealmAction::CreateTag(_)
            | RealmAction::DescribeTag(_)
            | RealmAction::DescribeTags(_)
            | RealmAction::UpdateTag(_)
            | RealmAction::DeleteTag(_)
            | RealmAction::CreateSite(_)
            | RealmAction::DescribeSites(_)
            | RealmAction::UpdateSite(_)
            | RealmAction::DeleteSite(_) => None,
        },
        Action::Queue(action) => match action {
            QueueAction::RequestAudience(of) => {
                asking(&of.audience_metadata, &of.levee_site, &of.levee_environments)
            }
            QueueAction::RegisterAudience(of) => {
                asking(&of.audience_metadata, &of.levee_site, &of.levee_environments)
            }
            QueueAction::UpdateQueue(_)
            | QueueAction::DeleteQueue(_)
            | QueueAction::DescribeQueue(_)
            | QueueAction::AcceptAudience(_)
            | QueueAction::GetQueueStats(_)
            | QueueAction::CreateAudience(_)
            | QueueAction::DescribeQueueTranscripts(_)
            | QueueAction::DeleteQueueTranscripts(_) => None,
        },
        Action::Conversation(action) => match action {
            ConversationAction::SendMessage(send) => send.user_id.as_ref().map(Question::Card),
            ConversationAction::CreateUpload(create) => create.user_id.as_ref().map(Question::Card),
            ConversationAction::JoinChannel(join) => match (&join.master_sign, &join.access_key) {
                (Some(sign), _) => Some(Question::Grant(Pass {
                    sign,
                    key_type: join.master_key_type.as_deref(),
                    channel: join.channel_id.as_deref(),
                    attrs: join.member_attrs.as_ref(),
                    follows: false,
                })),
                (None, None) => Some(Question::Verified),
                // Whoever has a key was invited.
                (None, Some(_)) => None,
            },
            ConversationAction::FollowChannel(follow) => {
                let pass = |sign| Pass {
                    sign,
                    key_type: follow.master_key_type.as_deref(),
                    channel: Some(&follow.channel_id),
                    attrs: None,
                    follows: true,
                };
                follow.master_sign.as_deref().map(pass).map(Question::Grant)
            }
            ConversationAction::CreateChannel(create) => {
                Some(Question::Quota(Thing::Channels, create.realm_id.as_ref()))
            }
            // One that is not suspended any more counts again.
            ConversationAction::UpdateChannel(update) => {
                let again = matches!(update.channel_attrs.suspended, Some(None | Some(false)));
                again.then_some(Question::Quota(Thing::Channels, None))
            }
            ConversationAction::DescribeChannel(describe) => Some(Question::Reading(&describe.channel_id)),
            ConversationAction::DeleteChannel(_)
            | ConversationAction::PartChannel(_)
            | ConversationAction::UpdateDialogue(_)
            | ConversationAction::UpdateMessage(_)
            | ConversationAction::UpdateUserMessages(_)
            | ConversationAction::LoadHistory(_)
            | ConversationAction::DiscardHistory(_)
            | ConversationAction::TransferAudience(_)
            // Its bytes are taken in before it gets here.
            | ConversationAction::SendFile(_)
            | ConversationAction::GetTranscript(_)
            | ConversationAction::DeleteTranscript(_) => None,
        },
        Action::Member(action) => match action {
            MemberAction::AddMember(add) if add.realm_id.is_some() && add.queue_id.is_none() => {
                Some(Question::Member(&add.user_id))
            }
            MemberAction::AddMember(add) if add.queue_id.is_some() => Some(Question::QueueMembers),
            MemberAction::AddMember(_) | MemberAction::UpdateMember(_) | MemberAction::RemoveMember(_) => {
                None
            }
        },
        Action::Key(action) => match action {
            KeyAction::CreateMasterKey(_) => Some(Question::Secret),
            KeyAction::DescribeMasterKeys(_)
            | KeyAction::DescribeMaster(_)
            | KeyAction::DeleteMasterKey(_) => None,
        },
    }
}

fn asking<'a>(
    metadata: &'a Option<Object>,
    site: &'a Option<Text>,
    environments: &'a Option<Vec<Text>>,
) -> Option<Question<'a>> {
    let metadata = metadata.as_ref();
    let secure = metadata.and_then(|metadata| metadata.get("secure")?.as_str());
    let site = site.as_ref().map(|site| (site.as_str(), environments.as_deref().unwrap_or_default()));
    (secure.is_some() || site.is_some()).then_some(Question::Asking(Asking { metadata, secure, site }))
}

/// Whether something has to be found out before an action is decided.
pub(crate) fn asks(action: &Action) -> bool {
    question(action).is_some()
}

impl Hub {
    /// Finds out what an action of a user needs, which a stream decides; `secret` is the same for a retry only.
    ///
    /// # Errors
    /// The same one for all that is wrong with a signature, a token or metadata; another one for what has expired;
    /// `user_not_found`; what exceeds a quota; `internal` when the store does not answer.
    pub(crate) async fn find_out(
        self: &Rc<Self>,
        action: &Action,
        user: &Id,
        stream: &Stream,
        secret: impl FnOnce() -> Id,
    ) -> Result<Option<Found>, Rejection> {
        Ok(match question(action) {
            None => None,
            Some(Question::Card(of)) => Some(Found::Peer(of.clone(), self.card(of).await?)),
            Some(Question::Member(of)) => {
                let (card, puppet) = self.carded(of).await?;
                let peer = Some((of.clone(), card));
                Some(Found::Brought(Box::new(Brought { peer, puppet, ..Brought::default() })))
            }
            Some(Question::Secret) => Some(Found::Secret(master::secret(&rand::random()))),
            Some(Question::Verified) => {
                let verified = self.ask(Stream::user(user), serde_json::json!("Verified")).await?;
                Some(Found::Verified(verified.as_bool().unwrap_or_default()))
            }
            Some(Question::Grant(pass)) => Some(Found::Granted(self.grant(pass, user).await?)),
            Some(Question::Reads(file)) => {
                let file = self.about_file(file).await?;
                Some(Found::Reads(self.reads_file(&file, user).await?))
            }
            Some(Question::Reading(channel)) => Some(Found::Reading(self.reading(channel, user).await?)),
            Some(Question::Quota(thing, realm)) => {
                let reserved = self.reserve(thing, realm, user, stream, secret).await?;
                reserved.map(|reservation| Found::Reserved(vec![reservation]))
            }
            Some(Question::Realm(with_channel)) => {
                Some(Found::Reserved(self.reserve_realm(user, stream, with_channel).await?))
            }
            Some(Question::OwnerAccount(realm)) => self.owner_account(realm, user).await?.map(Found::Account),
            Some(Question::QueueMembers) => Some(Found::Limit(self.shared.options.quotas.queue_members)),
            Some(Question::Asking(Asking { metadata, secure, site })) => {
                let secure = match secure {
                    Some(text) => Some(self.opened(text, user).await?),
                    None => None,
                };
                match site {
                    Some((key, environments)) => {
                        let row = self.site_row(key).await?;
                        let asked = Asked::new(row.as_ref(), environments, metadata);
                        Some(Found::Asked(Box::new(asked), secure.map(Box::new)))
                    }
                    None => secure,
                }
            }
        })
    }

    /// What encrypted metadata says.
    async fn opened(&self, text: &str, user: &Id) -> Result<Found, Rejection> {
        let key_type = KeyType::of_secure(text);
        let (key, authority) = self.key(key_type, text).await?.ok_or_else(Rejection::denied)?;
        let secure = master::open(&key, text, user, crate::now()).map_err(permission)?;
        Ok(Found::Secure(authority, secure.metadata, secure.user_name))
    }

    /// What may be known of a user.
    pub(crate) async fn card(self: &Rc<Self>, user: &Id) -> Result<Arc<UserAttrs>, Rejection> {
        Ok(self.carded(user).await?.0)
    }

    async fn carded(self: &Rc<Self>, user: &Id) -> Result<Carded, Rejection> {
        let absent = || Rejection::new(ErrorType::UserNotFound).about("user_id", user);
        if ids::shard(user).is_none() {
            return Err(absent());
        }
        let card = self.ask(Stream::user(user), serde_json::json!("Card")).await?;
        carded(card).ok_or_else(absent)
    }

    async fn grant(&self, pass: Pass<'_>, user: &Id) -> Result<Granted, Rejection> {
        let Pass { sign, key_type, channel, attrs, follows } = pass;
        let key_type = signed_with(key_type)?;
        let channel_id = channel.ok_or_else(|| Rejection::malformed("channel_id is missing"))?;
        let (key, authority) = self.key(key_type, sign).await?.ok_or_else(Rejection::denied)?;
        let now = crate::now();
        let nonce = match key_type {
            KeyType::Jwt => {
                master::authorize(&key, sign, channel_id, now).map_err(permission)?;
                None
            }
            KeyType::Ninchat => {
                let attrs = attrs.and_then(|attrs| serde_json::to_string(attrs).ok());
                let member_attrs = attrs.as_deref();
                let wanted = Wanted::Channel { channel_id, follows, member_attrs, user_id: user };
                let grant = master::verify(&key, sign, &wanted, now).map_err(permission)?;
                Some(nonce(&grant))
            }
        };
        Ok(Granted { authority, nonce })
    }

    /// The master key that a text names, if there is such a one, and for whom it speaks.
    pub(crate) async fn key(
        &self,
        key_type: KeyType,
        text: &str,
    ) -> Result<Option<(Key, Authority)>, Rejection> {
        let Ok(id) = master::key_id_of(key_type, text) else { return Ok(None) };
        let row = self.shared.store.get(KEYS, &master::row_key(key_type, &id)).await.map_err(unavailable)?;
        let row: Option<KeyRow> = row.and_then(|row| serde_json::from_slice(&row.value).ok());
        Ok(row.and_then(|row| {
            let key = Key::parse(&id, key_type, &row.secret).ok()?;
            Some((key, Authority { owner: row.owner, realm: row.realm }))
        }))
    }
}

/// The type of the key that something was signed with.
pub(crate) fn signed_with(name: Option<&str>) -> Result<KeyType, Rejection> {
    let known = KeyType::named(name.unwrap_or(KeyType::Ninchat.name()));
    known.ok_or_else(|| Rejection::malformed("master_key_type is ninchat or jwt"))
}

/// What a signature spends.
pub(crate) fn nonce(grant: &master::Grant) -> Nonce {
    Nonce { digest: ids::digest(&format!("{}:{}", grant.key_id, grant.nonce)), expires: grant.expires }
}

fn permission(refused: Refused) -> Rejection {
    Rejection::new(match refused {
        Refused::Denied => ErrorType::PermissionDenied,
        Refused::Expired => ErrorType::PermissionExpired,
    })
}
