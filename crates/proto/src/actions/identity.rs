//! Parameters of actions: Identities: e-mail addresses and the like.

use super::parameters;
use crate::attrs::*;
use crate::types::*;

parameters! {
    /// Adds an identity to the user.
    CreateIdentity { identity_name: Text, identity_type: Text ; identity_attrs: IdentityAttrsPatch, identity_auth_new: Text }
    /// Adds an identity whose password is chosen by a mailed link.
    CreateIdentityWithAuthResetAccess { identity_name: Text, identity_type: Text ; identity_attrs: IdentityAttrsPatch }
    /// Sends the verification link again.
    RequestIdentityVerifyAccess { identity_name: Text, identity_type: Text ;  }
    /// Accepts or rejects a pending identity.
    VerifyIdentity { access_key: Text, identity_accept: bool ;  }
    /// Asks for an identity.
    DescribeIdentity { identity_name: Text, identity_type: Text ;  }
    /// Changes an identity's attributes.
    UpdateIdentity { identity_attrs: IdentityAttrsPatch, identity_name: Text, identity_type: Text ;  }
    /// Sets, changes or removes an identity's password.
    UpdateIdentityAuth { identity_name: Text, identity_type: Text ; identity_auth: Text, identity_auth_new: Text }
    /// Sends a link to choose a new password.
    RequestIdentityAuthResetAccess { identity_name: Text, identity_type: Text ;  }
    /// Chooses a new password by an access key.
    ResetIdentityAuth { access_key: Text, identity_auth_new: Text ;  }
    /// Removes an identity.
    DeleteIdentity { identity_name: Text, identity_type: Text ; identity_auth: Text }
}
