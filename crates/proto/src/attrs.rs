//! Attributes: typed, each with who may write it, and patches of them.
//!
//! A patch sets the attributes that it names and unsets those that it names with `null`. A boolean
//! that is set to `false` is unset, for that is what an unset boolean means.

use crate::catalog::AttributeInfo;
use crate::error::Rejection;
use crate::limits;
use crate::types::{Id, Object, Text};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// Who may write an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writable {
    /// Nobody; the server sets it.
    Never,
    /// Whoever creates the thing, at that time.
    Initially,
    /// Nobody; the server sets it, and the user it describes may unset it.
    Unset,
    /// The user it describes.
    OneSelf,
    /// Members of the queue, and realm operators.
    Member,
    /// Moderators and operators.
    Moderator,
    /// Operators.
    Operator,
    /// The owner.
    Owner,
}

/// A type that an attribute can have.
pub trait Value: Clone {
    /// Whether this value is the same as none.
    fn is_unset(&self) -> bool {
        false
    }
    /// Bytes that it takes, for the limits.
    fn size(&self) -> usize {
        8
    }
}
impl Value for bool {
    fn is_unset(&self) -> bool {
        !self
    }
}
impl Value for u64 {}
impl Value for i64 {}
impl Value for Text {
    fn size(&self) -> usize {
        self.len()
    }
}
impl Value for Vec<Text> {
    fn size(&self) -> usize {
        self.iter().map(|item| item.len() + 4).sum()
    }
}
impl Value for Object {
    fn size(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |text| text.len())
    }
}

/// Takes an attribute out of an object: absent (leave), `null` (unset) or a value.
fn take<T: DeserializeOwned, E: serde::de::Error>(
    object: &mut Object,
    name: &str,
) -> Result<Option<Option<T>>, E> {
    object
        .remove(name)
        .map(|value| {
            serde_json::from_value(value).map_err(|error| E::custom(format_args!("{name}: {error}")))
        })
        .transpose()
}

/// An attribute's name on the wire.
fn wire(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}

macro_rules! attributes {
    ($( $(#[doc = $doc:literal])* $name:ident, $patch:ident { $( $attr:ident : $ty:ty, $who:ident; )* } )*) => { $(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub struct $name { $(
            #[doc = concat!("`", stringify!($attr), "`")]
            #[serde(default, skip_serializing_if = "Option::is_none")] pub $attr: Option<$ty>,
        )* }

        #[doc = concat!("A change of [`", stringify!($name), "`].")]
        #[derive(Debug, Clone, Default, PartialEq, Serialize)]
        pub struct $patch { $(
            #[doc = concat!("`", stringify!($attr), "`: absent, `null` or a value.")]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $attr: Option<Option<$ty>>,
        )* }

        // By hand, for a derived one takes arrays too.
        impl<'de> Deserialize<'de> for $patch {
            #[allow(unused_mut, unused_variables)]
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut object = Object::deserialize(deserializer)?;
                Ok(Self { $( $attr: take(&mut object, wire(stringify!($attr)))?, )* })
            }
        }

        impl $name {
            /// The table of these attributes.
            pub const TABLE: &'static [AttributeInfo] = &[ $( AttributeInfo {
                name: stringify!($attr), ty: stringify!($ty), writable: Writable::$who,
            }, )* ];

            /// What setting all of these would be.
            pub fn into_patch(self) -> $patch { $patch { $( $attr: self.$attr.map(Some), )* } }
        }

        impl $patch {
            /// Whether nothing would change.
            pub fn is_empty(&self) -> bool { true $( && self.$attr.is_none() )* }

            /// The attributes that this names.
            pub fn names(&self) -> Vec<&'static str> {
                let all: &[(bool, &'static str)] = &[ $( (self.$attr.is_some(), wire(stringify!($attr))) ),* ];
                all.iter().filter(|(named, _)| *named).map(|(_, name)| *name).collect()
            }

            /// Fails unless `may` allows every attribute that this names, and all fit the limits.
            ///
            /// # Errors
            /// `permission_denied` for an attribute that may not be written, `request_malformed`
            /// for one that is too long.
            #[allow(unused_variables)]
            pub fn check(&self, may: impl Fn(Writable) -> bool) -> Result<(), Rejection> {
                $( if let Some(value) = &self.$attr {
                    let unsets = Writable::$who == Writable::Unset && value.is_none();
                    if !may(if unsets { Writable::OneSelf } else { Writable::$who }) {
                        return Err(Rejection::denied()
                            .because(concat!("attribute ", stringify!($attr), " can't be set")));
                    }
                    if value.as_ref().is_some_and(|v| v.size() > limits::OBJECT_BYTES
                        || stringify!($attr) == "name" && v.size() > limits::NAME_BYTES) {
                        return Err(Rejection::malformed(concat!("attribute ", stringify!($attr), " is too long")));
                    }
                } )*
                Ok(())
            }

            /// Applies the change.
            #[allow(unused_variables)]
            pub fn apply(&self, attrs: &mut $name) {
                $( if let Some(value) = &self.$attr {
                    attrs.$attr = value.clone().filter(|v| !Value::is_unset(v));
                } )*
            }
        }
    )* };
}

attributes! {
    /// User attributes.
    UserAttrs, UserAttrsPatch {
        admin: bool, Never;
        connected: bool, Never;
        deleted: bool, Never;
        guest: bool, OneSelf;
        iconurl: Text, Unset;
        idle: u64, Never;
        info: Object, OneSelf;
        name: Text, OneSelf;
        realname: Text, OneSelf;
    }
    /// Identity attributes.
    IdentityAttrs, IdentityAttrsPatch {
        auth: bool, Never;
        blocked: bool, OneSelf;
        pending: bool, Never;
        protected: bool, OneSelf;
        public: bool, OneSelf;
        rejected: bool, Never;
    }
    /// Dialogue membership attributes.
    DialogueMemberAttrs, DialogueMemberAttrsPatch {
        audience_ended: bool, OneSelf;
        audience_id: Id, Never;
        queue_id: Id, Never;
        rating: i64, OneSelf;
        writing: bool, OneSelf;
    }
    /// Channel attributes.
    ChannelAttrs, ChannelAttrsPatch {
        audience: Object, Initially;
        audience_id: Id, Never;
        audience_transferred: bool, Never;
        autohide: bool, Operator;
        autosilence: bool, Operator;
        blacklisted_message_types: Vec<Text>, Operator;
        closed: bool, Operator;
        disclosed_since: u64, Operator;
        followable: bool, Operator;
        name: Text, Operator;
        owner_id: Id, Never;
        private: bool, Operator;
        public: bool, Initially;
        queue_id: Id, Never;
        ratelimit: Text, Operator;
        requester_id: Id, Never;
        schedule: Object, Operator;
        suspended: bool, Owner;
        topic: Text, Operator;
        upload: Text, Operator;
        verified_join: bool, Operator;
        video: Text, Operator;
    }
    /// Channel membership attributes.
    ChannelMemberAttrs, ChannelMemberAttrsPatch {
        autohide: bool, Moderator;
        invitee: bool, OneSelf;
        moderator: bool, Operator;
        operator: bool, Operator;
        silenced: bool, Moderator;
        since: u64, Never;
        writing: bool, OneSelf;
    }
    /// Realm attributes.
    RealmAttrs, RealmAttrsPatch {
        name: Text, Initially;
        owner_account: Object, Never;
        owner_id: Id, Never;
        suspended: bool, Never;
        theme: Object, Operator;
    }
    /// Realm membership attributes.
    RealmMemberAttrs, RealmMemberAttrsPatch {
        operator: bool, Operator;
    }
    /// Queue attributes.
    QueueAttrs, QueueAttrsPatch {
        capacity: u64, Member;
        closed: bool, Member;
        ignore_secure_metadata: bool, Member;
        length: u64, Never;
        name: Text, Member;
        ninchat_metadata: Vec<Text>, Member;
        schedule: Object, Member;
        screensharing: Text, Member;
        secure_metadata: bool, Member;
        suspended: bool, Operator;
        upload: Text, Member;
        video: Text, Member;
    }
    /// Queue membership attributes: none yet.
    QueueMemberAttrs, QueueMemberAttrsPatch { }
    /// File attributes.
    FileAttrs, FileAttrsPatch {
        name: Text, Owner;
        size: u64, Never;
        thumbnail: Object, Never;
        r#type: Text, Never;
    }
    /// Tag attributes.
    TagAttrs, TagAttrsPatch {
        name: Text, Operator;
        parent_id: Id, Initially;
        theme: Object, Operator;
    }
    /// Puppet attributes.
    PuppetAttrs, PuppetAttrsPatch {
        name: Text, OneSelf;
    }
}

impl QueueAttrs {
    /// What people who are neither members nor operators may see.
    #[must_use]
    pub fn public(&self) -> Self {
        Self { ignore_secure_metadata: None, ninchat_metadata: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_tells_absent_from_null_and_refuses_what_is_no_object() {
        let patch: QueueAttrsPatch = serde_json::from_value(json!({"name": null, "closed": true})).unwrap();
        assert_eq!((patch.name.clone(), patch.closed, patch.capacity), (Some(None), Some(Some(true)), None));
        for wrong in [json!([]), json!("x"), json!({"closed": "yes"}), json!({"capacity": -1})] {
            assert!(serde_json::from_value::<QueueAttrsPatch>(wrong.clone()).is_err(), "{wrong}");
        }
        let file: FileAttrsPatch = serde_json::from_value(json!({"type": "text/plain"})).unwrap();
        assert_eq!(file.names(), ["type"]);
    }

    #[test]
    fn a_boolean_set_to_false_is_unset() {
        let mut attrs = QueueAttrs { closed: Some(true), ..QueueAttrs::default() };
        let patch: QueueAttrsPatch = serde_json::from_value(json!({"closed": false})).unwrap();
        patch.apply(&mut attrs);
        assert_eq!(attrs, QueueAttrs::default());
    }
}
