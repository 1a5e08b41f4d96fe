//! What leads to an upload: a signed ticket to begin it, and an address that only who began it knows.
//!
//! Both are made with the key of links to files; so any node knows them, and what was guessed gets no further.

use super::{Refusal, UploadLink};
use crate::files::intake::hex;
use crate::hub::Hub;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use levee_domain::file::parts::Upload;
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Id, Rejection, events, ids};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use std::rc::Rc;
use subtle::ConstantTimeEq as _;

/// For how long a ticket is good, in seconds.
const HOLDS_S: u64 = 3600;

/// What one may upload.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ticket {
    v: u8,
    /// The file that it will be.
    pub(super) file: Id,
    #[serde(flatten)]
    pub(super) upload: Upload,
    /// Until when, in seconds since 1970.
    expires: u64,
}

impl Ticket {
    fn written(&self, key: &[u8; 32]) -> String {
        let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default());
        format!("{text}.{}", signature(key, "ticket", &text))
    }

    fn read(key: &[u8; 32], ticket: &str) -> Option<Self> {
        let (text, signed) = ticket.split_once('.')?;
        if !is_signature(key, "ticket", text, signed) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// What stands for a text and a purpose, in hexadecimal digits.
fn signature(key: &[u8; 32], purpose: &str, text: &str) -> String {
    // A block, as the key is filled up with zeros to one anyway.
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    for part in ["upload", purpose, text] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    hex(&mac.finalize().into_bytes())
}

fn is_signature(key: &[u8; 32], purpose: &str, text: &str, signed: &str) -> bool {
    signature(key, purpose, text).as_bytes().ct_eq(signed.as_bytes()).into()
}

/// Where an upload goes on.
pub(super) fn path(UploadLink { file, secret }: &UploadLink) -> String {
    format!("/files/upload/{file}/{secret}")
}

impl Hub {
    /// What a user is told who may upload a file.
    ///
    /// # Errors
    /// `upload_quota_exceeded` for one that is too large, or larger than what is left in the user's account, `internal` when the store does not answer.
    pub(crate) async fn upload_created(
        self: &Rc<Self>,
        answer: Value,
        file: Id,
    ) -> Result<events::UploadCreated, Rejection> {
        let upload: Upload = serde_json::from_value(answer).map_err(|error| {
            tracing::error!(%error, "what may be uploaded can't be read");
            Rejection::new(ErrorType::Internal)
        })?;
        let files = &self.shared.files;
        files.blobs()?;
        let size = upload.size.unwrap_or_default();
        files.check_size(size)?;
        self.reserve_file(&upload.owner, &file, size).await?;
        let expires = crate::now() / 1_000_000 + HOLDS_S;
        let (channel_id, user_id) = match &upload.peer {
            Some(peer) => (None, Some(peer.clone())),
            None => (Some(upload.conversation.clone()), None),
        };
        let ticket = Ticket { v: 1, file, upload, expires }.written(&self.link_key().await?);
        let url = format!("{}/files/upload/{ticket}", files.options.origin);
        Ok(events::UploadCreated { upload_url: url.into(), url_expiry: expires, channel_id, user_id })
    }

    pub(super) async fn ticket(&self, ticket: &str) -> Result<Ticket, Refusal> {
        let read = Ticket::read(&self.link_key().await?, ticket);
        let Some(ticket) = read.filter(|ticket| ticket.v == 1) else {
            self.shared.metrics.drop("upload_ticket");
            return Err(Refusal::Absent);
        };
        if ticket.expires <= crate::now() / 1_000_000 { Err(Refusal::Gone) } else { Ok(ticket) }
    }

    pub(super) async fn upload_secret(&self, file: &str) -> Result<String, Refusal> {
        Ok(signature(&self.link_key().await?, "address", file))
    }

    /// The file of an address, if it is one of ours.
    pub(super) async fn upload_of(self: &Rc<Self>, link: &UploadLink) -> Result<Stream, Refusal> {
        let key = self.link_key().await?;
        let is_ours = ids::shard(&link.file).is_some();
        if !is_ours || !is_signature(&key, "address", &link.file, &link.secret) {
            self.shared.metrics.drop("upload_link");
            return Err(Refusal::Absent);
        }
        Ok(Stream::file(&link.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        let upload = Upload {
            owner: "00u".into(),
            conversation: "00c".into(),
            peer: None,
            name: "ä b.txt".into(),
            size: Some(5),
        };
        Ticket { v: 1, file: "00f".into(), upload, expires: 7 }
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written_and_no_other_is() {
        let (key, text) = ([7; 32], ticket().written(&[7; 32]));
        assert_eq!(Ticket::read(&key, &text), Some(ticket()));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{text}");
        let (body, signed) = text.split_once('.').unwrap_or_default();
        let other = Ticket { expires: 8, ..ticket() }.written(&[8; 32]);
        for wrong in
            ["", ".", body, &format!("{body}."), &format!("{body}.{signed}0"), &format!("x{text}"), &other]
        {
            assert_eq!(Ticket::read(&key, wrong), None, "{wrong}");
        }
        // An address is no ticket.
        assert_eq!(Ticket::read(&key, &format!("{body}.{}", signature(&key, "address", body))), None);
    }
}
