//! The protocol's tables in the order in which they are shown.

use levee_proto::attrs::{self, Writable};
use levee_proto::catalog::AttributeInfo;

/// A kind of attributes.
pub(super) struct Attributes {
    /// The Rust type's name, which is the TypeScript one's too.
    pub(super) name: &'static str,
    /// What they describe.
    pub(super) title: &'static str,
    /// Its rows.
    pub(super) table: &'static [AttributeInfo],
}

macro_rules! attributes {
    ($( $name:ident $title:literal, )*) => {
        &[ $( Attributes { name: stringify!($name), title: $title, table: attrs::$name::TABLE }, )* ]
    };
}

/// Every kind of attributes.
pub(super) static ATTRIBUTES: &[Attributes] = attributes![
    UserAttrs "User",
    IdentityAttrs "Identity",
    PuppetAttrs "Puppet",
    RealmAttrs "Realm",
    RealmMemberAttrs "Realm member",
    QueueAttrs "Queue",
    QueueMemberAttrs "Queue member",
    ChannelAttrs "Channel",
    ChannelMemberAttrs "Channel member",
    DialogueMemberAttrs "Dialogue member",
    FileAttrs "File",
    TagAttrs "Tag",
];

/// Who may write an attribute, in words.
pub(super) fn writer(writable: Writable) -> &'static str {
    match writable {
        Writable::Never => "the server",
        Writable::Unset => "the server; the user may unset it",
        Writable::Initially => "its creator, at that time",
        Writable::OneSelf => "the user",
        Writable::Member => "members and operators",
        Writable::Moderator => "moderators and operators",
        Writable::Operator => "operators",
        Writable::Owner => "the owner",
    }
}

/// The name on the wire: without what Rust needs for its own words.
pub(super) fn wire_name(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}
