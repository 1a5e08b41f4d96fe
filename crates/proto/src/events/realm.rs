//! Events: Realms (organisations) and their tags.

use super::events;
use crate::attrs::*;
use crate::types::*;

events! {
    /// Describes a realm.
    RealmFound = "realm_found" { realm_attrs: RealmAttrs, realm_id: Id ; realm_members: Object, realm_settings: Object }
    /// Describes a realm's queues.
    RealmQueuesFound = "realm_queues_found" { realm_id: Id, realm_queues: Object ;  }
    /// The user is a member of a realm now.
    RealmJoined = "realm_joined" { realm_attrs: RealmAttrs, realm_id: Id, realm_members: Object, realm_settings: Object ;  }
    /// The user is no longer a member of a realm.
    RealmParted = "realm_parted" { realm_id: Id ; event_cause: Text }
    /// A realm changed.
    RealmUpdated = "realm_updated" { realm_attrs: RealmAttrs, realm_id: Id ; realm_settings: Object }
    /// A realm was deleted.
    RealmDeleted = "realm_deleted" { realm_id: Id ;  }
    /// Somebody joined a realm.
    RealmMemberJoined = "realm_member_joined" { member_attrs: RealmMemberAttrs, realm_id: Id, user_attrs: UserAttrs, user_id: Id ; puppet_attrs: PuppetAttrs }
    /// Somebody left a realm.
    RealmMemberParted = "realm_member_parted" { realm_id: Id, user_id: Id ; event_cause: Text }
    /// A realm member changed.
    RealmMemberUpdated = "realm_member_updated" { member_attrs: RealmMemberAttrs, realm_id: Id, user_id: Id ;  }
    /// A tag was made.
    TagCreated = "tag_created" { tag_attrs: TagAttrs, tag_id: Id ; realm_id: Id }
    /// Describes a tag.
    TagFound = "tag_found" { tag_attrs: TagAttrs, tag_id: Id ; realm_id: Id }
    /// Describes a tree of tags.
    TagsFound = "tags_found" { tag_children: Object ; realm_id: Id, tag_attrs: TagAttrs, tag_id: Id }
    /// A tag changed.
    TagUpdated = "tag_updated" { tag_attrs: TagAttrs, tag_id: Id ; realm_id: Id }
    /// A tag was deleted.
    TagDeleted = "tag_deleted" { tag_attrs: TagAttrs, tag_id: Id ; realm_id: Id }
    /// A site was made.
    SiteCreated = "levee_site_created" { enabled: bool, realm_id: Id, site_config: Object, site_key: Text ;  }
    /// Describes sites, by their keys: whether each is `enabled`, its `description`, and if one was asked for, its `site_config`.
    SitesFound = "levee_sites_found" { realm_id: Id, sites: Object ;  }
    /// A site changed.
    SiteUpdated = "levee_site_updated" { enabled: bool, realm_id: Id, site_config: Object, site_key: Text ;  }
    /// A site was deleted.
    SiteDeleted = "levee_site_deleted" { realm_id: Id, site_key: Text ;  }
}
