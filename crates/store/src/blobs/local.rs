//! Blobs in a folder: a file for each, and a folder for each upload under way, on the same file system. Several
//! nodes may share the folder if they see one file system.
//!
//! ```text
//! realm/attachment.blob          the blob `realm/attachment`
//! .uploads/<id>/3                part 3 of an upload, with the hash of its bytes at its end
//! .uploads/<id>/whole.<id>       the blob while it is put together
//! .uploads/<id>/finished         it is visible: finishing again has nothing to do
//! ```
//!
//! Keys have no dots, so no key names an upload, and a blob never stands where a folder must be.

mod files;

use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::{
    BlobError, Blobs, Chunks, Result, aside, check_key, check_part, check_tags, clip, is_id, new_id,
};

/// Bytes that a read takes from the file at once.
const CHUNK: usize = 256 << 10;

/// Blobs in a folder. Clones and other nodes' handles of the same folder are alike.
#[derive(Debug, Clone)]
pub struct LocalBlobs {
    root: Arc<Path>,
    /// Bytes of the disk that are left free.
    spare: u64,
}

impl LocalBlobs {
    /// Opens the store, making the folder if it is not there, and tries out that it can be written to.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`] when it can't, [`BlobError::Full`] when the disk is full.
    pub async fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let root: Arc<Path> = std::path::absolute(folder)?.into();
        let uploads = root.join(files::UPLOADS);
        blocking(move || files::prepare(&uploads)).await?;
        Ok(Self { root, spare: 0 })
    }

    /// Leaves so many bytes of the disk free: a part for which less is left than these and itself finds no room, and
    /// neither does the blob that is made of parts.
    #[must_use]
    pub fn sparing(self, spare: u64) -> Self {
        Self { spare, ..self }
    }

    /// Removes uploads that nothing was done to for some time, with what finished ones left, and answers how
    /// many there were. Finishing one of them again is an error from then on.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn sweep(&self, unused: Duration) -> Result<usize> {
        let uploads = self.root.join(files::UPLOADS);
        blocking(move || files::sweep(&uploads, unused)).await
    }

    /// Where a blob is.
    fn blob(&self, key: &str) -> Result<PathBuf> {
        check_key(key)?;
        Ok(self.root.join(format!("{key}.blob")))
    }

    /// Where an upload's parts are, and where its blob shall be.
    fn upload(&self, handle: &str) -> Result<(PathBuf, PathBuf)> {
        let (id, key) = handle.split_once(':').ok_or(BlobError::UnknownUpload)?;
        if !is_id(id) {
            return Err(BlobError::UnknownUpload);
        }
        let blob = self.blob(key).map_err(|_| BlobError::UnknownUpload)?;
        Ok((self.root.join(files::UPLOADS).join(id), blob))
    }
}

#[async_trait]
impl Blobs for LocalBlobs {
    async fn begin(&self, key: &str) -> Result<String> {
        check_key(key)?;
        let id = new_id();
        let folder = self.root.join(files::UPLOADS).join(&id);
        blocking(move || files::make_folder(&folder)).await?;
        Ok(format!("{id}:{key}"))
    }

    async fn part(&self, upload: &str, number: u32, bytes: Bytes) -> Result<String> {
        let (folder, _) = self.upload(upload)?;
        check_part(number, &bytes)?;
        let (root, spare) = (self.root.clone(), self.spare);
        blocking(move || {
            files::make_sure_of_room(&root, spare, bytes.len() as u64)?;
            files::write_part(&folder, number, &bytes)
        })
        .await
    }

    async fn finish(&self, upload: &str, tags: &[String]) -> Result<()> {
        let (folder, blob) = self.upload(upload)?;
        check_tags(tags)?;
        let (root, spare, tags) = (self.root.clone(), self.spare, tags.to_vec());
        blocking(move || {
            // The blob is a copy of its parts.
            files::make_sure_of_room(&root, spare, files::parts_bytes(&folder))?;
            files::finish(&root, &folder, &blob, &tags)
        })
        .await
    }

    async fn abandon(&self, upload: &str) -> Result<()> {
        let (folder, _) = self.upload(upload)?;
        blocking(move || files::absent_is_fine(std::fs::remove_dir_all(folder))).await
    }

    async fn stat(&self, key: &str) -> Result<Option<u64>> {
        let path = self.blob(key)?;
        blocking(move || match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            found => Ok(Some(found?.len())),
        })
        .await
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks> {
        let path = self.blob(key)?;
        let opened = blocking(move || {
            let mut file = files::open(&path, BlobError::NotFound)?;
            let range = clip(&range, file.metadata()?.len())?;
            file.seek(SeekFrom::Start(range.start))?;
            Ok((file, range.end - range.start))
        })
        .await?;
        // An open file stays what it was, whatever its name stands for by then.
        let chunks = stream::try_unfold(opened, |(mut file, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let read = blocking(move || {
                let mut chunk = vec![0; left.min(CHUNK as u64) as usize];
                file.read_exact(&mut chunk)?;
                Ok((file, chunk))
            });
            let (file, chunk) = read.await?;
            let left = left - chunk.len() as u64;
            Ok(Some((Bytes::from(chunk), (file, left))))
        });
        Ok(chunks.boxed())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let path = self.blob(key)?;
        blocking(move || files::remove(&path)).await
    }
}

/// Does what waits for the disk where nobody else waits for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let broken = || Err(BlobError::Unavailable("the work was broken off".into()));
    aside(work).await.unwrap_or_else(broken)
}
