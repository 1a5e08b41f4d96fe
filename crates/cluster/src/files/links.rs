//! Links to files: signed for one user, until a time. Who may read a file is looked at again when one is used; a link
//! tells who asks, without a session.

use super::Files;
use super::intake::hex;
use crate::enter::unavailable;
use crate::hub::Hub;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use levee_domain::file::Described;
use levee_proto::{ErrorType, Id, Rejection, Text, events};
use levee_store::{Commit, DirectoryChange, Expect, StoreError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

/// The namespace of the cluster's own keys in the directory, and the one for links to files.
const KEYS: &str = "own_key";
const LINKS: &str = "file_links";
/// For how long a link holds at least, and to which it is rounded up: within it, links are the same, and what was
/// loaded by one is not loaded again.
const HOLDS_S: u64 = 3600;
/// How many bytes a signature has.
const SIGNATURE: usize = 32;
/// What stays as it is in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The key, as the directory keeps it.
#[derive(Serialize, Deserialize)]
struct Row {
    v: u8,
    key: [u8; 32],
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) file: &'a str,
    pub(super) user: &'a str,
    /// Seconds since 1970.
    pub(super) expires: u64,
    /// Whether the small picture is meant.
    pub(super) thumbnail: bool,
}

impl Signed<'_> {
    fn mac(&self, key: &[u8; 32]) -> Hmac<Sha256> {
        // A block, as the key is filled up with zeros to one anyway.
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        for part in [self.file, self.user] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(&self.expires.to_be_bytes());
        mac.update(&[self.thumbnail.into()]);
        mac
    }

    pub(super) fn signature(&self, key: &[u8; 32]) -> String {
        hex(&self.mac(key).finalize().into_bytes())
    }

    pub(super) fn is_signed(&self, key: &[u8; 32], signature: &str) -> bool {
        let digit = |at: usize| u8::from_str_radix(signature.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..SIGNATURE).map(|at| digit(at * 2)).collect();
        let bytes = bytes.filter(|_| signature.len() == SIGNATURE * 2);
        bytes.is_some_and(|bytes| self.mac(key).verify_slice(&bytes).is_ok())
    }
}

impl Files {
    /// The link to a file, or to its small picture.
    fn link(&self, key: &[u8; 32], signed: Signed<'_>, name: &str) -> Text {
        let (origin, name) = (&self.options.origin, utf8_percent_encode(name, PLAIN));
        let Signed { file, user, expires, thumbnail } = signed;
        let (which, signature) = (if thumbnail { "&thumbnail=true" } else { "" }, signed.signature(key));
        format!("{origin}/files/{file}/{name}?expires={expires}&user={user}{which}&signature={signature}")
            .into()
    }
}

impl Hub {
    /// What a user is told of a file that they may read.
    ///
    /// # Errors
    /// `internal` when the store does not answer.
    pub(crate) async fn file_found(&self, answer: Value) -> Result<events::FileFound, Rejection> {
        let (user, file): (Id, Described) = serde_json::from_value(answer).map_err(|error| {
            tracing::error!(%error, "what a file is can't be read");
            Rejection::new(ErrorType::Internal)
        })?;
        let key = self.link_key().await?;
        let expires = (crate::now() / 1_000_000 / HOLDS_S + 2) * HOLDS_S;
        let whole = Signed { file: &file.file, user: &user, expires, thumbnail: false };
        let link = |signed| self.shared.files.link(&key, signed, &file.name);
        let small = file.content.thumbnail.is_some().then_some(Signed { thumbnail: true, ..whole });
        Ok(events::FileFound {
            file_id: file.file.clone(),
            file_attrs: file.attrs(),
            file_url: link(whole),
            url_expiry: expires,
            thumbnail_url: small.map(link),
        })
    }

    /// What links are signed with: the same for all nodes, made when it is needed first.
    pub(super) async fn link_key(&self) -> Result<[u8; 32], Rejection> {
        self.shared.files.key.get_or_try_init(|| self.read_or_make_key()).await.copied()
    }

    async fn read_or_make_key(&self) -> Result<[u8; 32], Rejection> {
        let store = self.store();
        let nobody = || Rejection::new(ErrorType::Internal).because("the node owns no shard; try again");
        for _ in 0..2 {
            if let Some(entry) = store.get(KEYS, LINKS).await.map_err(unavailable)? {
                let row: Result<Row, _> = serde_json::from_slice(&entry.value);
                return row.map(|row| row.key).map_err(|error| {
                    tracing::error!(%error, "the key of links to files can't be read");
                    Rejection::new(ErrorType::Internal)
                });
            }
            let shard = self.own_shard(0).ok_or_else(nobody)?;
            let epoch = self.placement().epoch(shard, &self.shared.node).ok_or_else(nobody)?;
            let row = Row { v: 1, key: rand::random() };
            let change = DirectoryChange {
                namespace: KEYS.into(),
                key: LINKS.into(),
                expect: Expect::Absent,
                value: serde_json::to_vec(&row).ok().map(Bytes::from),
            };
            let commit = Commit { shard, epoch, directory: vec![change], ..Commit::default() };
            match store.commit(commit).await {
                Ok(()) => return Ok(row.key),
                // Another node was faster: its key is ours.
                Err(StoreError::Taken { .. }) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(nobody())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_for_one_file_one_user_and_one_time() {
        let (key, signed) = ([7; 32], Signed { file: "00f", user: "00u", expires: 5, thumbnail: false });
        let signature = signed.signature(&key);
        assert!(signed.is_signed(&key, &signature));
        for other in [
            Signed { file: "00g", ..signed },
            Signed { user: "00v", ..signed },
            Signed { expires: 6, ..signed },
            Signed { thumbnail: true, ..signed },
            Signed { file: "00f00", user: "u", ..signed },
        ] {
            assert!(!other.is_signed(&key, &signature), "{other:?}");
        }
        assert!(!signed.is_signed(&[8; 32], &signature));
        let longer = format!("{signature}0");
        for wrong in ["", "x", &signature[2..], &longer, &"ä".repeat(32), &"zz".repeat(32)] {
            assert!(!signed.is_signed(&key, wrong), "{wrong}");
        }
    }
}
