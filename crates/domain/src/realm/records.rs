//! What a realm is ordered, and what happens to it.

use super::{RealmMember, SitePut, WebhookPut};
use crate::master::{KeyGone, KeyMade};
use crate::puppet::Puppet;
use crate::search::Search;
use levee_proto::attrs::{RealmAttrs, RealmMemberAttrs, TagAttrs, UserAttrs};
use levee_proto::{Id, Object, Text};
use serde::{Deserialize, Serialize};

/// What others order of a realm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RealmOrder {
    /// A queue was deleted.
    QueueDeleted {
        /// The queue.
        queue: Id,
    },
    /// Take in somebody who was invited.
    Admit {
        /// Who.
        user: Id,
        /// What others may know of them.
        card: UserAttrs,
        /// Whose puppet they are, if they are one.
        #[serde(default)]
        puppet: Option<Puppet>,
    },
    /// A member's user attributes changed.
    UserChanged {
        /// Who.
        user: Id,
        /// The attributes as they are now.
        attrs: UserAttrs,
        /// Whose puppet they are, if they are one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        puppet: Option<Puppet>,
    },
    /// A user looks for members and channels.
    Search {
        /// Who.
        user: Id,
        /// For which.
        search: Search,
    },
    /// The URL of a webhook has answered the challenge, or did not.
    Challenged {
        /// The webhook.
        webhook: Id,
        /// The record by which the challenge began.
        challenge: u64,
        /// Why it failed, if it did.
        failure: Option<Text>,
    },
}

/// What happens to a realm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RealmRecord {
    /// Made.
    Created {
        /// Attributes.
        attrs: RealmAttrs,
        /// Settings.
        settings: Object,
        /// The owner's card.
        owner: UserAttrs,
    },
    /// Attributes or settings changed.
    Changed {
        /// The attributes as they are now.
        attrs: RealmAttrs,
        /// The settings as they are now.
        settings: Object,
    },
    /// A member's user attributes changed.
    UserChanged {
        /// Who.
        user: Id,
        /// The attributes as they are now.
        attrs: UserAttrs,
        /// Whose puppet they are, if they are one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        puppet: Option<Puppet>,
    },
    /// Somebody joined.
    MemberJoined {
        /// Who.
        user: Id,
        /// As a member.
        member: RealmMember,
    },
    /// A member's attributes changed.
    MemberUpdated {
        /// Who.
        user: Id,
        /// The attributes as they are now.
        attrs: RealmMemberAttrs,
    },
    /// Somebody left.
    MemberParted {
        /// Who.
        user: Id,
        /// Whether somebody else removed them.
        removed: bool,
    },
    /// A queue was made.
    QueueAdded {
        /// The queue.
        queue: Id,
    },
    /// A queue was deleted.
    QueueRemoved {
        /// The queue.
        queue: Id,
    },
    /// A tag was made.
    TagCreated {
        /// The tag.
        tag: Id,
        /// Its attributes.
        attrs: TagAttrs,
    },
    /// A tag changed.
    TagChanged {
        /// The tag.
        tag: Id,
        /// Its attributes as they are now.
        attrs: TagAttrs,
    },
    /// A tag was deleted.
    TagDeleted {
        /// The tag.
        tag: Id,
        /// Its last attributes.
        attrs: TagAttrs,
    },
    /// A site was made.
    SiteCreated(SitePut),
    /// A site changed.
    SiteChanged(SitePut),
    /// A site was deleted.
    SiteDeleted {
        /// Its key.
        key: Text,
        /// Who did it.
        by: Id,
    },
    /// A webhook was made, or changed.
    WebhookPut(WebhookPut),
    /// A webhook is told once more what it was not told in time.
    WebhookReplayed {
        /// Which.
        id: Id,
        /// How much of it.
        deliveries: u64,
        /// Whether there is more.
        more: bool,
        /// Who did it.
        by: Id,
    },
    /// A webhook was deleted.
    WebhookDeleted {
        /// Which.
        id: Id,
        /// Who did it.
        by: Id,
    },
    /// A master key was made.
    KeyMade(KeyMade),
    /// A master key was deleted.
    KeyGone(KeyGone),
    /// Deleted, with all that is in it.
    Deleted,
}
