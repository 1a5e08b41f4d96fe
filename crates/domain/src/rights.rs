//! Who may do what: the one table of permissions.

use levee_proto::attrs::Writable;

/// How a user stands to a thing, the strongest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Knows that it exists, no more.
    Stranger,
    /// A member of the realm that it belongs to.
    RealmMember,
    /// A member of it.
    Member,
    /// A moderator of it.
    Moderator,
    /// An operator of it, or of its realm.
    Operator,
    /// Its owner.
    Owner,
}

/// Something that takes a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// See a private channel.
    SeeChannel,
    /// Read and write messages of a conversation.
    Talk,
    /// Enter the room for group video.
    Meet,
    /// Send notices.
    Notify,
    /// Write to a conversation in which others are silenced.
    SpeakSilenced,
    /// Write more than a channel's rate allows.
    Outpace,
    /// See hidden messages.
    SeeHidden,
    /// Hide messages and show them again.
    Moderate,
    /// Read the whole transcript of a channel.
    ReadTranscript,
    /// Erase what was said in a channel, or see and erase all transcripts of a queue.
    EraseTranscript,
    /// See the transcripts of a queue's audiences that one has served.
    ListTranscripts,
    /// Change a channel's members.
    ManageChannelMembers,
    /// Let others join a channel by an access key.
    Invite,
    /// Send an audience's customer to another queue.
    TransferAudience,
    /// Delete a channel.
    DeleteChannel,
    /// See a realm's members and settings.
    SeeRealm,
    /// Change a realm, its members, queues and settings.
    ManageRealm,
    /// Make, list and delete a realm's master keys.
    ManageKeys,
    /// Delete a realm.
    DeleteRealm,
    /// See a realm's tags.
    SeeTags,
    /// Make, change and delete a realm's tags.
    ManageTags,
    /// Make, see, change and delete a realm's sites.
    ManageSites,
    /// Make, see, test, change and delete a realm's webhooks.
    ManageWebhooks,
    /// Serve a queue: see who waits, accept.
    ServeQueue,
    /// See a queue's statistics.
    SeeStats,
    /// Make an audience in a queue without a customer.
    CreateAudience,
    /// Change a queue's settings and members, delete it.
    ManageQueue,
}

/// The least standing that has a right.
pub const TABLE: &[(Right, Standing)] = &[
    (Right::SeeChannel, Standing::Member),
    (Right::Talk, Standing::Member),
    (Right::Meet, Standing::Member),
    (Right::Notify, Standing::Operator),
    (Right::SpeakSilenced, Standing::Moderator),
    (Right::Outpace, Standing::Moderator),
    (Right::SeeHidden, Standing::Moderator),
    (Right::Moderate, Standing::Moderator),
    (Right::ReadTranscript, Standing::Operator),
    (Right::EraseTranscript, Standing::Operator),
    (Right::ListTranscripts, Standing::Member),
    (Right::ManageChannelMembers, Standing::Moderator),
    (Right::Invite, Standing::Moderator),
    (Right::TransferAudience, Standing::Moderator),
    (Right::DeleteChannel, Standing::Operator),
    (Right::SeeRealm, Standing::RealmMember),
    (Right::ManageRealm, Standing::Operator),
    (Right::ManageKeys, Standing::Operator),
    (Right::DeleteRealm, Standing::Owner),
    (Right::SeeTags, Standing::RealmMember),
    (Right::ManageTags, Standing::Operator),
    (Right::ManageSites, Standing::Operator),
    (Right::ManageWebhooks, Standing::Operator),
    (Right::ServeQueue, Standing::Member),
    (Right::SeeStats, Standing::Member),
    (Right::CreateAudience, Standing::Member),
    (Right::ManageQueue, Standing::Operator),
];

impl Standing {
    /// Whether this standing has a right.
    pub fn may(self, right: Right) -> bool {
        TABLE.iter().any(|(of, least)| *of == right && self >= *least)
    }

    /// Whether this standing may send files where the attribute `upload` says this. What nobody knows enables
    /// nobody.
    pub fn uploads(self, upload: Option<&str>) -> bool {
        match upload {
            Some("member") => self >= Self::Member,
            // The name that queues had for it.
            Some("moderator" | "agent") => self >= Self::Moderator,
            Some("operator") => self >= Self::Operator,
            Some(_) | None => false,
        }
    }

    /// Whether this standing may write attributes of a kind; `oneself` if they describe the user.
    pub fn writes(self, writable: Writable, oneself: bool) -> bool {
        match writable {
            Writable::Never | Writable::Initially | Writable::Unset => false,
            Writable::OneSelf => oneself,
            Writable::Member => self >= Self::Member,
            Writable::Moderator => self >= Self::Moderator,
            Writable::Operator => self >= Self::Operator,
            Writable::Owner => self >= Self::Owner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_standing_may_all_that_a_weaker_one_may() {
        let ladder = [
            Standing::Stranger,
            Standing::RealmMember,
            Standing::Member,
            Standing::Moderator,
            Standing::Operator,
            Standing::Owner,
        ];
        for (right, least) in TABLE {
            for standing in ladder {
                assert_eq!(standing.may(*right), standing >= *least, "{standing:?} {right:?}");
            }
        }
    }

    #[test]
    fn strangers_have_no_rights_and_nobody_writes_what_the_server_sets() {
        assert!(TABLE.iter().all(|(right, _)| !Standing::Stranger.may(*right)));
        assert!(!Standing::Owner.writes(Writable::Never, true));
        assert!(Standing::Stranger.writes(Writable::OneSelf, true));
        assert!(!Standing::Owner.writes(Writable::OneSelf, false));
    }
}
