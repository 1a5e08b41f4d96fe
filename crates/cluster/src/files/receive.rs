//! `send_file`: what comes in one frame becomes a file before its conversation decides about the message.
//!
//! First it is asked whether the file may be sent at all, and nothing is kept before that. Then the file begins, so that
//! what comes to nothing is removed in time; then its bytes go into a blob, whose name follows from the file and from
//! the bytes: a retry makes the same one.

use super::intake::{Intake, hex};
use super::{Files, small_key};
use crate::hub::Hub;
use bytes::Bytes;
use levee_domain::file::{Content, Described, name};
use levee_domain::found::Found;
use levee_domain::view::Stream;
use levee_proto::actions::conversation::SendFile;
use levee_proto::attrs::Writable;
use levee_proto::{ErrorType, Id, Rejection, Text};
use levee_store::blobs::BlobError;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::rc::Rc;

/// A file that somebody sends.
pub(crate) struct Sent<'a> {
    /// The action.
    pub(crate) send: &'a SendFile,
    /// Who.
    pub(crate) user: &'a Id,
    /// The file's id, the same for a retry.
    pub(crate) file: Id,
    /// The stream of the conversation that it is for.
    pub(crate) stream: &'a Stream,
}

impl Hub {
    /// Takes in a file's bytes, if they may be sent. They leave `parts`, for they go no further with the action. A
    /// refusal goes to the conversation, too: it knows whether this is a retry of what it has answered.
    ///
    /// It is the conversation's own; `request_malformed` or `payload_has_too_many_parts` for what is no file;
    /// `upload_quota_exceeded` for one that is too large, or when there is no room; `send_rate_limited` when too many
    /// come at once; `internal` when the bytes can't be kept now.
    pub(crate) async fn take_in(self: &Rc<Self>, sent: Sent<'_>, parts: &mut Vec<Bytes>) -> Found {
        let outcome = self.take_in_bytes(&sent, std::mem::take(parts)).await;
        let (label, found) = match outcome {
            Ok(found) => ("complete", found),
            Err(rejection) => {
                let failed = rejection.error_type == ErrorType::Internal;
                (if failed { "failed" } else { "refused" }, Found::Refused(Box::new(rejection)))
            }
        };
        self.shared.metrics.uploads.with_label_values(&[label]).inc();
        found
    }

    async fn take_in_bytes(self: &Rc<Self>, sent: &Sent<'_>, parts: Vec<Bytes>) -> Result<Found, Rejection> {
        let (files, send) = (&self.shared.files, sent.send);
        let name = wanted_name(send)?;
        let [bytes] = &parts[..] else {
            return Err(match parts.is_empty() {
                true => Rejection::malformed("the payload is the content of the file"),
                false => Rejection::new(ErrorType::PayloadHasTooManyParts).because("a file is one part"),
            });
        };
        let size = bytes.len() as u64;
        files.check_size(size)?;
        let peer = match &send.user_id {
            Some(peer) if peer == sent.user => {
                return Err(Rejection::denied().because("a dialogue takes two"));
            }
            Some(peer) => Some((peer.clone(), self.card(peer).await?)),
            None => None,
        };
        let may = json!({"MayUpload": {"user": sent.user, "in_dialogue": peer.is_some()}});
        self.ask(sent.stream.clone(), may).await?;
        let Ok(_place) = files.places.try_acquire() else {
            self.shared.metrics.drop("uploads_at_once");
            return Err(Rejection::new(ErrorType::SendRateLimited).because("too many files at once"));
        };
        let described = self.keep(sent, name, bytes.clone()).await?;
        files.metrics.file_bytes.with_label_values(&["in"]).inc_by(size);
        Ok(Found::File(Box::new(described), peer))
    }

    /// Makes the file, unless an earlier try has made it.
    async fn keep(
        self: &Rc<Self>,
        sent: &Sent<'_>,
        name: Text,
        bytes: Bytes,
    ) -> Result<Described, Rejection> {
        let (files, file) = (&self.shared.files, Stream::file(&sent.file));
        let blobs = files.blobs()?;
        let digest = hex(&Sha256::digest(&bytes)[..16]);
        let key = format!("files/{}/{digest}", sent.file);
        let upload = blobs.begin(&key).await.map_err(|error| files.failed(&error))?;
        let expires = crate::now() + files.options.expire_after.as_micros() as u64;
        let begin = json!({"Begin": {"owner": sent.user, "conversation": sent.stream.id, "name": name,
            "size": bytes.len(), "blob": {"key": key, "upload": upload}, "expires": expires}});
        let begun = match self.ask(file.clone(), begin).await {
            Ok(begun) => begun,
            Err(rejection) => {
                files.let_go(&upload).await;
                return Err(rejection);
            }
        };
        if begun != Value::Null {
            files.let_go(&upload).await;
            return described(begun);
        }
        let mut content = match fill(Intake::new(blobs.clone(), upload.clone()), bytes.clone()).await {
            Ok(content) => content,
            Err(error) => {
                // What began is removed in time; what is known to be of no use, now.
                files.let_go(&upload).await;
                return Err(files.failed(&error));
            }
        };
        content.thumbnail = files.draw(&key, bytes, &content.media_type).await;
        let complete = json!({"Complete": {"key": key, "content": content}});
        match self.ask(file, complete).await {
            Ok(file) => described(file),
            Err(rejection) => {
                if rejection.error_type == ErrorType::FileNotFound {
                    // It went meanwhile, and other bytes never get this name: nobody else removes these.
                    files.remove_bytes(&key).await;
                }
                Err(rejection)
            }
        }
    }
}

impl Files {
    /// Refuses a file that is too large.
    fn check_size(&self, size: u64) -> Result<(), Rejection> {
        match self.options.max_bytes {
            Some(most) if size > most => {
                self.metrics.drop("file_bytes");
                let reason = format!("a file may have {most} bytes");
                Err(Rejection::new(ErrorType::UploadQuotaExceeded).because(reason))
            }
            _ => Ok(()),
        }
    }

    /// Removes bytes that nobody has. If that fails, they stay.
    async fn remove_bytes(&self, key: &str) {
        let Ok(blobs) = self.blobs() else { return };
        for key in [small_key(key), key.into()] {
            if let Err(error) = blobs.remove(&key).await {
                tracing::warn!(%error, %key, "bytes that are of no use were not removed");
            }
        }
    }

    /// Drops an upload that came to nothing. If that fails, the store of blobs drops it in time.
    async fn let_go(&self, upload: &str) {
        if let Ok(blobs) = self.blobs()
            && let Err(error) = blobs.abandon(upload).await
        {
            tracing::debug!(%error, "an upload was not dropped");
        }
    }
}

async fn fill(mut intake: Intake, bytes: Bytes) -> Result<Content, BlobError> {
    intake.push(bytes).await?;
    intake.finish().await
}

/// The name that a file shall have.
fn wanted_name(send: &SendFile) -> Result<Text, Rejection> {
    send.file_attrs.check(|writable| writable == Writable::Owner)?;
    match &send.file_attrs.name {
        Some(Some(given)) if !given.is_empty() => Ok(name::clean(given)),
        _ => Err(Rejection::malformed("file_attrs has a name")),
    }
}

fn described(answer: Value) -> Result<Described, Rejection> {
    serde_json::from_value(answer).map_err(|error| {
        tracing::error!(%error, "what a file is can't be read");
        Rejection::new(ErrorType::Internal)
    })
}
