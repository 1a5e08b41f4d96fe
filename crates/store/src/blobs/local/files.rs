//! What the local backend does to files, waiting for the disk. Nothing is answered before it is synced, and
//! nothing gets its name before it is whole.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::super::{BlobError, PART_MIN, Result, new_id};

/// The folder of uploads under way.
pub(super) const UPLOADS: &str = ".uploads";
/// The mark of a finished upload.
const FINISHED: &str = "finished";
/// Bytes of the hash at the end of a part's file.
const HASH: u64 = 32;

/// A file that is gone at the end unless it got another name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Temporary {
    /// Makes one in an upload's folder.
    fn create(folder: &Path, name: &str) -> Result<(Self, File)> {
        let temporary = Self(folder.join(format!("{name}.{}", new_id())));
        let file =
            File::create_new(&temporary.0).map_err(|error| unless_absent(error, BlobError::UnknownUpload))?;
        Ok((temporary, file))
    }

    /// Gives it a name, in place of what had it.
    fn rename(self, path: &Path) -> Result<()> {
        fs::rename(&self.0, path).map_err(|error| unless_absent(error, BlobError::UnknownUpload))
    }
}

/// Refuses what would leave less than so many bytes of the disk free, for those who are not root.
pub(super) fn make_sure_of_room(folder: &Path, spare: u64, bytes: u64) -> Result<()> {
    if spare == 0 || bytes == 0 {
        return Ok(());
    }
    let disk = rustix::fs::statvfs(folder).map_err(io::Error::from)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < spare.saturating_add(bytes) { Err(BlobError::Full) } else { Ok(()) }
}

/// How many bytes the parts of an upload have. One that is finished has none.
pub(super) fn parts_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Makes the folder of uploads, and tries out that files can be made in it.
pub(super) fn prepare(uploads: &Path) -> Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", uploads.display()));
    fs::create_dir_all(uploads).map_err(named)?;
    let (_probe, mut file) = Temporary::create(uploads, "probe")?;
    file.write_all(b"probe").and_then(|()| file.sync_all()).map_err(named)?;
    // The root's own name too; what is above it may not be ours to read.
    let _ = uploads.ancestors().nth(2).map(sync_folder);
    uploads.ancestors().take(2).try_for_each(sync_folder)
}

/// Makes an upload's folder.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir(folder)?;
    sync_folder(parent(folder))
}

/// Writes a part, whole or not at all, and answers its tag.
pub(super) fn write_part(folder: &Path, number: u32, bytes: &[u8]) -> Result<String> {
    if is_finished(folder) {
        return Err(BlobError::UnknownUpload);
    }
    let hash = Sha256::digest(bytes);
    let (temporary, mut file) = Temporary::create(folder, &number.to_string())?;
    file.write_all(bytes)?;
    file.write_all(&hash)?;
    file.sync_all()?;
    temporary.rename(&folder.join(number.to_string()))?;
    sync_folder(folder)?;
    Ok(hex(&hash))
}

/// Puts the blob together and makes it visible.
pub(super) fn finish(root: &Path, folder: &Path, blob: &Path, tags: &[String]) -> Result<()> {
    if is_finished(folder) {
        return Ok(());
    }
    match put_together(folder, tags).and_then(|whole| show(root, whole, blob)) {
        Ok(()) => mark_finished(folder),
        // Another node was faster, and its parts are gone.
        Err(_) if is_finished(folder) => return Ok(()),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Copies the parts into one file, in constant memory: the system copies, and shares the blocks if it can.
fn put_together(folder: &Path, tags: &[String]) -> Result<Temporary> {
    let (whole, mut file) = Temporary::create(folder, "whole")?;
    for (number, tag) in (1..).zip(tags) {
        let (part, length) = open_part(folder, number, tag)?;
        if length < PART_MIN as u64 && number < tags.len() {
            return Err(BlobError::BadPart(format!(
                "part {number} has {length} bytes only and is not the last"
            )));
        }
        if io::copy(&mut part.take(length), &mut file)? != length {
            return Err(BlobError::Unavailable(format!("part {number} ends early")));
        }
    }
    file.sync_all()?;
    Ok(whole)
}

/// Gives the blob its name, and answers when the name is on the disk.
fn show(root: &Path, whole: Temporary, blob: &Path) -> Result<()> {
    let folder = parent(blob);
    fs::create_dir_all(folder)?;
    whole.rename(blob)?;
    for folder in folder.ancestors().take_while(|folder| folder.starts_with(root)) {
        sync_folder(folder)?;
    }
    Ok(())
}

/// Notes that nothing is left to do, and drops the parts. If that fails the blob is there all the same, and the
/// upload waits to be swept.
fn mark_finished(folder: &Path) {
    let marked = File::create(folder.join(FINISHED)).map_err(BlobError::from);
    if let Err(error) = marked.and_then(|_| sync_folder(folder)) {
        tracing::warn!(%error, folder = %folder.display(), "a finished upload is not marked");
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name() != FINISHED {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A part's file at its beginning, and the length of its bytes, if it is the one of this tag.
fn open_part(folder: &Path, number: usize, tag: &str) -> Result<(File, u64)> {
    let missing = BlobError::BadPart(format!("part {number} is not there"));
    let mut file = open(&folder.join(number.to_string()), missing)?;
    let length = file.metadata()?.len().saturating_sub(HASH);
    let mut hash = [0; HASH as usize];
    file.seek(SeekFrom::Start(length))?;
    file.read_exact(&mut hash)?;
    if hex(&hash) != tag {
        return Err(BlobError::BadPart(format!("part {number} is another one")));
    }
    file.rewind()?;
    Ok((file, length))
}

/// Removes a blob.
pub(super) fn remove(blob: &Path) -> Result<()> {
    absent_is_fine(fs::remove_file(blob))?;
    absent_is_fine(File::open(parent(blob)).and_then(|folder| folder.sync_all()))
}

/// Removes the folders of uploads that were not changed for some time.
pub(super) fn sweep(uploads: &Path, unused: Duration) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(uploads)? {
        let entry = entry?;
        // One that goes away meanwhile is of no interest.
        let changed = entry.metadata().and_then(|metadata| metadata.modified());
        let age = changed.ok().and_then(|changed| changed.elapsed().ok());
        if age.is_some_and(|age| age >= unused) && entry.path().is_dir() {
            absent_is_fine(fs::remove_dir_all(entry.path()))?;
            count += 1;
        }
    }
    Ok(count)
}

/// Opens a file to read it.
pub(super) fn open(path: &Path, absent: BlobError) -> Result<File> {
    File::open(path).map_err(|error| unless_absent(error, absent))
}

/// That something is not there is what was wanted.
pub(super) fn absent_is_fine(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn unless_absent(error: io::Error, absent: BlobError) -> BlobError {
    if error.kind() == io::ErrorKind::NotFound { absent } else { error.into() }
}

fn is_finished(folder: &Path) -> bool {
    folder.join(FINISHED).exists()
}

/// Puts the names in a folder onto the disk.
fn sync_folder(folder: &Path) -> Result<()> {
    Ok(File::open(folder)?.sync_all()?)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
