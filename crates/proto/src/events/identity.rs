//! Events: Identities: e-mail addresses and the like.

use super::events;
use crate::attrs::*;
use crate::types::*;

events! {
    /// Describes an identity.
    IdentityFound = "identity_found" { identity_name: Text, identity_type: Text, user_id: Id ; identity_attrs: IdentityAttrs }
    /// An identity was added.
    IdentityCreated = "identity_created" { identity_attrs: IdentityAttrs, identity_name: Text, identity_type: Text, user_id: Id ;  }
    /// An identity changed.
    IdentityUpdated = "identity_updated" { identity_attrs: IdentityAttrs, identity_name: Text, identity_type: Text, user_id: Id ;  }
    /// An identity was removed.
    IdentityDeleted = "identity_deleted" { identity_name: Text, identity_type: Text, user_id: Id ;  }
}
