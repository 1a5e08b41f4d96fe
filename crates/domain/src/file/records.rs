//! What happens to a file, and what others order of one.

use super::parts::{PartsOrder, PartsRecord};
use levee_proto::attrs::FileAttrs;
use levee_proto::{Id, Object, Text};
use serde::{Deserialize, Serialize};

/// Where bytes are, or go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Their name.
    pub key: Text,
    /// The handle of the upload that makes them.
    pub upload: Text,
}

/// How a file begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Whose it is.
    pub owner: Id,
    /// The channel or dialogue that it is for; of an icon, the user.
    pub conversation: Id,
    /// Whether it is the icon of its owner, which everybody may see.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub icon: bool,
    /// What it is called, cleaned.
    pub name: Text,
    /// How many bytes it shall have.
    pub size: u64,
    /// Where its bytes go.
    pub blob: Blob,
    /// When it is given up unless a conversation has it, microseconds since 1970.
    pub expires: u64,
}

/// What was found out about a file's bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// How many there are.
    pub size: u64,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: Text,
    /// What they are, as they look.
    #[serde(rename = "type")]
    pub media_type: Text,
    /// The small picture that is beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<Thumbnail>,
}

/// A small picture of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbnail {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// How many bytes it has.
    pub size: u64,
    /// What they are.
    #[serde(rename = "type")]
    pub media_type: Text,
}

/// A complete file, as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Described {
    /// The file.
    pub file: Id,
    /// Whose it is.
    pub owner: Id,
    /// The channel or dialogue that it is for; of an icon, the user.
    pub conversation: Id,
    /// Whether it is the icon of its owner, which everybody may see.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub icon: bool,
    /// What it is called.
    pub name: Text,
    /// The name of its bytes.
    pub key: Text,
    /// Until when a conversation may take it in, microseconds since 1970.
    pub expires: u64,
    /// What was found out about them.
    pub content: Content,
}

impl Described {
    /// What others may know of it.
    pub fn attrs(&self) -> FileAttrs {
        FileAttrs {
            name: Some(self.name.clone()),
            size: Some(self.content.size),
            thumbnail: self.content.thumbnail.as_ref().map(|small| {
                let side = |name: &str, side: u32| (name.to_owned(), side.into());
                Object::from_iter([side("width", small.width), side("height", small.height)])
            }),
            r#type: Some(self.content.media_type.clone()),
        }
    }
}

/// What others order of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FileOrder {
    /// Begin; answers with what it is if it is complete already.
    Begin(Begun),
    /// What is to be done with a file that comes over connections that may break.
    Parts(PartsOrder),
    /// All parts are durable, and are one now.
    Complete {
        /// The name of the bytes.
        key: Text,
        /// What was found out about them.
        content: Content,
    },
    /// What is in it may not be kept.
    Refuse {
        /// The name of the bytes.
        key: Text,
    },
    /// Say what it is, if it is complete.
    About,
    /// A conversation has it.
    Posted,
    /// Nobody has it, or shall have it any more.
    Remove,
    /// See what is to be done by now.
    Due,
    /// Bytes were removed.
    Cleared {
        /// Their name.
        key: Text,
    },
}

/// What happens to a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileRecord {
    /// It began, perhaps anew.
    Begun(Begun),
    /// What happens to a file that comes over connections that may break.
    Parts(PartsRecord),
    /// It is complete.
    Completed(Content),
    /// A conversation has it.
    Posted,
    /// It was removed, or came to nothing.
    Removed,
    /// It came to nothing because of what is in it.
    Refused,
    /// Bytes are gone.
    Cleared {
        /// Their name.
        key: Text,
    },
}
