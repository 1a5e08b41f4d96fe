//! What comes in a frame with an action becomes a file before the action is decided about: with `send_file` a message's,
//! with `update_user` an icon.
//!
//! First it is asked whether the file may be sent at all, and nothing is kept before that. Then the file begins, so that
//! what comes to nothing is removed in time; then its bytes go into a blob, whose name follows from the file and from
//! the bytes: a retry makes the same one.

use super::intake::{Intake, hex};
use super::{Files, Verdict, small_key};
use crate::hub::Hub;
use bytes::Bytes;
use levee_domain::file::{Begun, Blob, Content, Described, File, FileOrder, name};
use levee_domain::found::Found;
use levee_domain::view::Stream;
use levee_proto::actions::conversation::SendFile;
use levee_proto::actions::user::UpdateUser;
use levee_proto::attrs::Writable;
use levee_proto::{Action, ConversationAction, ErrorType, Id, Rejection, Text, UserAction};
use levee_store::blobs::BlobError;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::rc::Rc;
use tokio::sync::SemaphorePermit;

/// What an action brings with it that becomes a file.
#[derive(Clone, Copy)]
pub(crate) enum Brings<'a> {
    /// A file for a conversation.
    File(&'a SendFile),
    /// The user's icon.
    Icon(&'a UpdateUser),
}

impl<'a> Brings<'a> {
    /// What an action brings.
    pub(crate) fn of(action: &'a Action) -> Option<Self> {
        if let Action::Conversation(ConversationAction::SendFile(send)) = action {
            return Some(Self::File(send));
        }
        if let Action::User(UserAction::UpdateUser(update)) = action
            && update.payload_attrs.as_ref().is_some_and(|names| !names.is_empty())
        {
            return Some(Self::Icon(update));
        }
        None
    }
}

/// A file that somebody sends.
pub(crate) struct Sent<'a> {
    /// What it is for.
    pub(crate) brings: Brings<'a>,
    /// Who.
    pub(crate) user: &'a Id,
    /// The file's id, the same for a retry.
    pub(crate) file: Id,
    /// The stream that decides about the action.
    pub(crate) stream: &'a Stream,
}

impl Hub {
    /// Takes in a file's bytes, if they may be sent. They leave `parts`, for they go no further with the action. A
    /// refusal goes to whoever decides about the action, too: it knows whether this is a retry of what it has answered.
    ///
    /// It is the conversation's own; `request_malformed` or `payload_has_too_many_parts` for what is no file;
    /// `file_not_supported` for an icon that is no picture, and for what was looked at and refused;
    /// `upload_quota_exceeded` for a file that is too large, when there is no room, or none left in the user's account;
    /// `send_rate_limited` when too many come at once; `internal` when the bytes can't be kept now.
    pub(crate) async fn take_in(self: &Rc<Self>, sent: Sent<'_>, parts: &mut Vec<Bytes>) -> Found {
        let parts = std::mem::take(parts);
        let outcome = match sent.brings {
            Brings::File(send) => self.take_file(&sent, send, parts).await,
            Brings::Icon(update) => self.take_icon(&sent, update, parts).await,
        };
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

    async fn take_file(
        self: &Rc<Self>,
        sent: &Sent<'_>,
        send: &SendFile,
        parts: Vec<Bytes>,
    ) -> Result<Found, Rejection> {
        let files = &self.shared.files;
        let name = wanted_name(send)?;
        let bytes = the_one(parts)?;
        files.check_size(bytes.len() as u64)?;
        let peer = match &send.user_id {
            Some(peer) if peer == sent.user => {
                return Err(Rejection::denied().because("a dialogue takes two"));
            }
            Some(peer) => Some((peer.clone(), self.card(peer).await?)),
            None => None,
        };
        let may = json!({"MayUpload": {"user": sent.user, "in_dialogue": peer.is_some()}});
        self.ask(sent.stream.clone(), may).await?;
        let _place = files.place()?;
        let reserved = self.reserve_file(sent.user, &sent.file, bytes.len() as u64).await?;
        let described = match self.keep(sent, name, bytes).await {
            Ok(described) => described,
            Err(rejection) => {
                self.free_all(&[reserved]);
                return Err(rejection);
            }
        };
        Ok(Found::File(Box::new(described), peer))
    }

    /// Takes in a picture as the user's icon: drawn anew, small and square. It is the user's own matter.
    async fn take_icon(
        self: &Rc<Self>,
        sent: &Sent<'_>,
        update: &UpdateUser,
        parts: Vec<Bytes>,
    ) -> Result<Found, Rejection> {
        let files = &self.shared.files;
        if update.payload_attrs.as_deref() != Some(&["icon".into()]) {
            return Err(Rejection::malformed("payload_attrs may have \"icon\", once"));
        }
        let bytes = the_one(parts)?;
        let _place = files.place()?;
        let icon = files.draw_icon(bytes).await?;
        let described = self.keep(sent, "icon".into(), icon).await?;
        let url = format!("{}/icons/{}", files.options.origin, described.file);
        Ok(Found::Icon(Box::new(described), url.into()))
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
        let size = bytes.len() as u64;
        let key = format!("files/{}/{}", sent.file, hex(&Sha256::digest(&bytes)[..16]));
        let upload = blobs.begin(&key).await.map_err(|error| files.failed(&error))?;
        let begin = FileOrder::Begin(Begun {
            owner: sent.user.clone(),
            conversation: sent.stream.id.clone(),
            icon: matches!(sent.brings, Brings::Icon(_)),
            name,
            size,
            blob: Blob { key: key.as_str().into(), upload: upload.as_str().into() },
            expires: crate::now() + files.options.expire_after.as_micros() as u64,
        });
        let begin = serde_json::to_value(begin).map_err(|error| {
            tracing::error!(%error, "an order can't be written");
            Rejection::new(ErrorType::Internal)
        })?;
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
        files.metrics.file_bytes.with_label_values(&["in"]).inc_by(size);
        // An icon was drawn anew: nothing is left of what came.
        if let Brings::File(_) = sent.brings {
            self.let_through(&file, &key, size).await?;
            content.thumbnail = files.draw(&key, bytes, &content.media_type).await;
        }
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

impl Hub {
    /// Has the bytes of a file looked at. What is refused goes.
    async fn let_through(self: &Rc<Self>, file: &Stream, key: &str, size: u64) -> Result<(), Rejection> {
        match self.shared.files.look_at(key, size).await {
            Ok(Verdict::Clean) => Ok(()),
            Ok(Verdict::Refused) => {
                tracing::info!(%file, "a file was looked at and refused");
                if let Err(rejection) = self.ask(file.clone(), json!({"Refuse": {"key": key}})).await {
                    // It never completes, and is removed in time.
                    tracing::warn!(%rejection, %file, "a file did not hear that it is refused");
                }
                Err(File::refused())
            }
            Err(why) => {
                tracing::warn!(%why, %file, "a file could not be looked at");
                Err(Rejection::new(ErrorType::Internal).because("files can't be looked at now; try again"))
            }
        }
    }
}

impl Files {
    /// A place among those that come at a time.
    fn place(&self) -> Result<SemaphorePermit<'_>, Rejection> {
        self.places.try_acquire().map_err(|_| {
            self.metrics.drop("uploads_at_once");
            Rejection::new(ErrorType::SendRateLimited).because("too many files at once")
        })
    }

    /// Refuses a file that is too large.
    pub(super) fn check_size(&self, size: u64) -> Result<(), Rejection> {
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
    pub(super) async fn let_go(&self, upload: &str) {
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

/// The bytes, which are the one part of a payload.
fn the_one(mut parts: Vec<Bytes>) -> Result<Bytes, Rejection> {
    match (parts.pop(), parts.is_empty()) {
        (Some(bytes), true) => Ok(bytes),
        (Some(_), false) => {
            Err(Rejection::new(ErrorType::PayloadHasTooManyParts).because("a file is one part"))
        }
        (None, _) => Err(Rejection::malformed("the payload is the content of the file")),
    }
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
