//! Parameters of actions: Realms (organisations) and their tags.

use super::parameters;
use crate::attrs::*;
use crate::types::*;

parameters! {
    /// Makes a realm, and a first channel if asked.
    CreateRealm {  ; channel_attrs: ChannelAttrsPatch, realm_attrs: RealmAttrsPatch, realm_settings: Object }
    /// Asks for a realm.
    DescribeRealm { realm_id: Id ;  }
    /// Asks for a realm's queues and goes on hearing of their changes.
    DescribeRealmQueues { realm_id: Id ; queue_ids: Vec<Text>, track_metadata: Object, track_stage: Text }
    /// Changes a realm's attributes and settings.
    UpdateRealm { realm_id: Id ; realm_attrs: RealmAttrsPatch, realm_settings: Object }
    /// Deletes a realm with its queues and tags.
    DeleteRealm { realm_id: Id ;  }
    /// Makes a queue in a realm.
    CreateQueue { queue_attrs: QueueAttrsPatch, realm_id: Id ;  }
    /// Makes a tag.
    CreateTag { realm_id: Id, tag_attrs: TagAttrsPatch ;  }
    /// Asks for a tag.
    DescribeTag { tag_id: Id ;  }
    /// Asks for the tags of a realm, or for those beneath a tag, as a tree of 1 to 10 levels.
    DescribeTags {  ; realm_id: Id, tag_depth: u64, tag_id: Id }
    /// Changes a tag.
    UpdateTag { tag_attrs: TagAttrsPatch, tag_id: Id ;  }
    /// Deletes a tag, and with it the tags beneath it.
    DeleteTag { tag_id: Id ;  }
    /// Makes a site: the configuration of a web page's chat, under a key that the server chooses unless one is given.
    CreateSite { realm_id: Id, site_config: Object ; enabled: bool, site_key: Text }
    /// Lists a realm's sites; with a key, shows one with its configuration.
    DescribeSites { realm_id: Id ; site_key: Text }
    /// Replaces a site's configuration, or enables or disables it.
    UpdateSite { realm_id: Id, site_key: Text ; enabled: bool, site_config: Object }
    /// Deletes a site; its key is free again.
    DeleteSite { realm_id: Id, site_key: Text ;  }
}
