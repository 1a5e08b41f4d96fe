//! Small pictures beside files, and icons: drawn where nobody else waits for it, a few at a time.

use super::picture::{self, Picture};
use super::{Files, inspect, small_key};
use bytes::Bytes;
use levee_domain::file::Thumbnail;
use levee_proto::{ErrorType, Rejection};
use levee_store::blobs::BlobError;
use std::time::Duration;
use tokio::time::timeout;

/// How many small pictures a node draws at a time; each takes as much memory as the picture.
pub(super) const AT_ONCE: usize = 2;
/// For how long a file waits until it is its turn, and then until its small picture is drawn. Without one by then, it
/// has none: a file that takes long to draw must not keep others from being sent.
const PATIENCE: Duration = Duration::from_secs(15);

impl Files {
    /// Draws a small picture and keeps it beside the bytes, if they are a picture. A file is one without it, too.
    pub(super) async fn draw(&self, key: &str, bytes: Bytes, media_type: &str) -> Option<Thumbnail> {
        if !picture::draws(media_type) || bytes.len() as u64 > picture::BYTES {
            return None;
        }
        let of = media_type.to_owned();
        let drawn = self.drawn(move || picture::small(&bytes, &of)).await.ok()?;
        let Picture { bytes, width, height, media_type } = drawn?;
        let size = bytes.len() as u64;
        if let Err(error) = self.put(&small_key(key), bytes).await {
            tracing::warn!(%error, "a small picture was not kept");
            return None;
        }
        Some(Thumbnail { width, height, size, media_type: media_type.into() })
    }

    /// Draws an icon.
    ///
    /// # Errors
    /// `file_not_supported` for what is no picture, or too large a one; `send_rate_limited` when too many are drawn.
    pub(super) async fn draw_icon(&self, bytes: Bytes) -> Result<Bytes, Rejection> {
        let media_type = inspect::media_type(&bytes[..bytes.len().min(inspect::HEAD)]);
        let none = || Rejection::new(ErrorType::FileNotSupported).because("no picture that can be an icon");
        let icon = self.drawn(move || picture::icon(&bytes, media_type)).await?.ok_or_else(none)?;
        Ok(icon.bytes)
    }

    /// Draws when it is the turn of this picture, and waits no longer than that is worth.
    async fn drawn(
        &self,
        draw: impl FnOnce() -> Option<Picture> + Send + 'static,
    ) -> Result<Option<Picture>, Rejection> {
        let slow = |_| {
            self.metrics.drop("picture");
            Rejection::new(ErrorType::SendRateLimited).because("too many pictures at once")
        };
        let place = timeout(PATIENCE, self.drawing.clone().acquire_owned()).await.map_err(slow)?;
        // Whoever does not wait any more must not give its place away while the thread is still at it.
        let drawing = tokio::task::spawn_blocking(move || (draw(), place));
        let drawn = timeout(PATIENCE, drawing).await.map_err(slow)?;
        // A decoder that has panicked has drawn nothing.
        Ok(drawn.ok().and_then(|(picture, _)| picture))
    }

    /// Keeps some bytes under a name.
    pub(super) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        let none = |_| BlobError::Unavailable("there is none".into());
        let blobs = self.blobs().map_err(none)?;
        let upload = blobs.begin(key).await?;
        let kept = match blobs.part(&upload, 1, bytes).await {
            Ok(tag) => blobs.finish(&upload, &[tag]).await,
            Err(error) => Err(error),
        };
        if kept.is_err() {
            self.let_go(&upload).await;
        }
        kept
    }
}
