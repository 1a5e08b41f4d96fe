//! Who writes: what comes is cut into parts, and each is stored before its file gets further by it.
//!
//! A request may break off at any byte: what has come by then is stored, too, so that not even a slow line sends
//! anything twice. Whoever comes next takes the turn, and who had it can't get any further.

use super::hash::Hash;
use super::join::read_tails;
use super::turns::Place;
use super::{Files, Refusal, Standing, UploadLink, standing};
use crate::hub::Hub;
use crate::letter::Job;
use bytes::{Bytes, BytesMut};
use levee_domain::file::parts::{Advance, Turn, tail_key};
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Id, Rejection, Text};
use levee_store::blobs::{Blobs, aside};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(30);
/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How many bytes more there is room made for at once.
const GROW: usize = 1 << 20;
/// How many pieces may be beside: more are made one.
const BESIDE: usize = 64;

/// What a request is about to write.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// From where on.
    pub from: u64,
    /// How many bytes the file shall have, if that is said only now.
    pub length: Option<u64>,
    /// How many are about to come, if that is known.
    pub coming: Option<u64>,
    /// What they must be.
    pub checksum: Option<Checksum>,
}

/// What bytes must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// Of this SHA-1.
    Sha1(Vec<u8>),
    /// Of this SHA-256.
    Sha256(Vec<u8>),
}

/// What comes. When nothing more comes and the end was not said, it is broken off.
#[derive(Debug)]
pub enum Chunk {
    /// Bytes.
    Bytes(Bytes),
    /// That was all.
    End,
}

/// How a request ended.
enum Ending {
    /// It was complete.
    Complete,
    /// Its connection broke.
    Broken,
    /// Nothing came for a while.
    Silent,
    /// Somebody else goes on.
    Taken,
}

/// A checksum under way.
enum Check {
    Sha1(Sha1, Vec<u8>),
    Sha256(Sha256, Vec<u8>),
}

impl Check {
    fn of(checksum: Checksum) -> Self {
        match checksum {
            Checksum::Sha1(wanted) => Self::Sha1(Sha1::new(), wanted),
            Checksum::Sha256(wanted) => Self::Sha256(Sha256::new(), wanted),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hash, _) => hash.update(bytes),
            Self::Sha256(hash, _) => hash.update(bytes),
        }
    }

    fn holds(self) -> bool {
        match self {
            Self::Sha1(hash, wanted) => hash.finalize()[..] == wanted[..],
            Self::Sha256(hash, wanted) => hash.finalize()[..] == wanted[..],
        }
    }
}

/// An upload while somebody writes.
struct Writing<'a> {
    hub: &'a Rc<Hub>,
    file: Stream,
    name: Id,
    turn: Turn,
    blobs: Arc<dyn Blobs>,
    /// What has come of the part that is coming; its beginning may be beside.
    buffer: BytesMut,
    /// How many bytes of that are beside.
    beside: u64,
    /// How far the file is.
    durable: u64,
    /// How far what has come leads.
    offset: u64,
    hash: Hash,
    /// How many parts are stored.
    parts: u32,
    /// Tags of those of which the file does not know yet.
    tags: Vec<Text>,
    check: Option<Check>,
}

impl Hub {
    /// Writes what comes, from where the upload is.
    ///
    /// # Errors
    /// See [`Refusal`]; what was stored by then is kept, unless there is a checksum.
    pub async fn write_upload(
        self: &Rc<Self>,
        link: &UploadLink,
        wish: Wish,
        chunks: mpsc::Receiver<Chunk>,
    ) -> Result<Standing, Refusal> {
        let file = self.upload_of(link).await?;
        let uploads = &self.shared.files.uploads;
        if let Some(length) = wish.length {
            self.shared.files.check_length(length)?;
        }
        let place = uploads.turns.take(&link.file).await?;
        if let Some(length) = wish.length {
            // It was not known how large it would be.
            let now = super::standing(self.ask(file.clone(), json!({"Parts": "Offset"})).await?)?;
            self.reserve_file(&now.owner, &link.file, length).await?;
        }
        let name = compact_str::format_compact!("{:016x}", rand::random::<u64>());
        let write = json!({"Parts": {"Write": {"turn": name, "from": wish.from, "length": wish.length}}});
        let turn = read_turn(self.ask(file.clone(), write).await?)?;
        let now = &turn.standing;
        if now.offset != wish.from {
            return Err(Refusal::Elsewhere);
        }
        if let (Some(length), Some(coming)) = (now.length, wish.coming)
            && coming > length - now.offset
        {
            return Err(Refusal::TooLarge("more bytes than the upload's length".into()));
        }
        if now.length == Some(now.offset) {
            // Nothing is missing, and who asks does not know it yet.
            return Ok(self.posted(&file, turn.standing).await);
        }
        let _room = uploads.turns.room(turn.part).await?;
        let blobs = self.shared.files.blobs()?.clone();
        let mut writing = Writing::begin(self, file.clone(), name, turn, blobs, wish.checksum).await?;
        let written = writing.take_in(&place, chunks).await;
        let standing = writing.end(written).await?;
        drop(place);
        Ok(self.posted(&file, standing).await)
    }
}

impl<'a> Writing<'a> {
    async fn begin(
        hub: &'a Rc<Hub>,
        file: Stream,
        name: Id,
        turn: Turn,
        blobs: Arc<dyn Blobs>,
        checksum: Option<Checksum>,
    ) -> Result<Self, Refusal> {
        let hash = Hash::resume(&turn.hash).ok_or(Refusal::Later)?;
        let buffer =
            read_tails(&*blobs, &turn.tails).await.map_err(|error| hub.shared.files.refused(error))?;
        let offset = turn.standing.offset;
        Ok(Self {
            hub,
            file,
            name,
            blobs,
            beside: buffer.len() as u64,
            buffer,
            durable: offset,
            offset,
            hash,
            parts: turn.parts,
            tags: Vec::new(),
            check: checksum.map(Check::of),
            turn,
        })
    }

    fn files(&self) -> &'a Files {
        &self.hub.shared.files
    }

    /// Takes in what comes, and tells others now and then how far it is.
    async fn take_in(&mut self, place: &Place, mut chunks: mpsc::Receiver<Chunk>) -> Result<Ending, Refusal> {
        let arrived = self.files().metrics.file_bytes.with_label_values(&["in"]);
        let mut told = Instant::now();
        loop {
            let chunk = tokio::select! {
                biased;
                () = place.wanted() => return Ok(Ending::Taken),
                chunk = tokio::time::timeout(SILENCE, chunks.recv()) => match chunk {
                    Ok(chunk) => chunk,
                    Err(_) => return Ok(Ending::Silent),
                },
            };
            match chunk {
                Some(Chunk::Bytes(bytes)) => {
                    arrived.inc_by(bytes.len() as u64);
                    self.files().pace.wait(bytes.len()).await;
                    self.push(bytes).await?;
                }
                Some(Chunk::End) => return Ok(Ending::Complete),
                None => return Ok(Ending::Broken),
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let progress = json!({"Parts": {"Progress": {"turn": self.name, "offset": self.offset}}});
                self.hub.route(self.file.clone(), Job::Tell(progress));
            }
        }
    }

    async fn push(&mut self, mut bytes: Bytes) -> Result<(), Refusal> {
        match self.turn.standing.length {
            Some(length) if bytes.len() as u64 > length - self.offset => {
                return Err(Refusal::TooLarge("more bytes than the upload's length".into()));
            }
            Some(_) => {}
            None => {
                let end = self.offset + bytes.len() as u64;
                self.files().check_length(end)?;
                if end > u64::from(levee_store::blobs::PARTS_MAX) * self.turn.part {
                    return Err(Refusal::TooLarge("so many bytes need a length at their beginning".into()));
                }
            }
        }
        if let Some(check) = &mut self.check {
            check.update(&bytes);
        }
        let part = self.turn.part as usize;
        while !bytes.is_empty() {
            let some = bytes.split_to(bytes.len().min(part - self.buffer.len()));
            if self.buffer.capacity() - self.buffer.len() < some.len() {
                self.buffer.reserve(GROW.min(part - self.buffer.len()).max(some.len()));
            }
            self.buffer.extend_from_slice(&some);
            self.offset += some.len() as u64;
            if self.buffer.len() == part {
                self.store_part().await?;
                if self.check.is_none() {
                    self.advance(0, false, false).await?;
                }
            }
        }
        Ok(())
    }

    /// Stores what has come as a part.
    async fn store_part(&mut self) -> Result<(), Refusal> {
        let part = self.buffer.split().freeze();
        let mut hash = self.hash.clone();
        let hashed = part.clone();
        // Milliseconds for each: not where messages are served.
        let hashing = aside(move || {
            hash.update(&hashed);
            hash
        });
        let _turn = self.files().uploads.turns.store().await;
        let storing = self.blobs.part(&self.turn.blob.upload, self.parts + 1, part);
        let (tag, hash) = tokio::join!(storing, hashing);
        let tag = tag.map_err(|error| self.files().refused(error))?;
        self.hash = hash.ok_or(Refusal::Later)?;
        self.parts += 1;
        self.tags.push(tag.into());
        // What was beside is in it.
        self.turn.tails.clear();
        self.beside = 0;
        Ok(())
    }

    /// Stores beside what does not fill a part. Answers how many bytes those are, and whether all that was beside is in
    /// them.
    async fn store_tail(&mut self) -> Result<(u64, bool), Refusal> {
        if self.buffer.len() as u64 == self.beside {
            return Ok((0, false));
        }
        let whole = self.turn.tails.len() >= BESIDE;
        let tail = self.buffer.split().split_off(if whole { 0 } else { self.beside as usize }).freeze();
        let (size, key) = (tail.len() as u64, tail_key(&self.turn.blob.key, &self.name));
        let _turn = self.files().uploads.turns.store().await;
        self.files().put(&key, tail).await.map_err(|error| self.files().refused(error))?;
        Ok((size, whole))
    }

    /// Lets the file get further by what is stored.
    async fn advance(&mut self, tail: u64, whole: bool, ends: bool) -> Result<Standing, Refusal> {
        let (from, tags) = (self.durable, std::mem::take(&mut self.tags));
        let hash = if tags.is_empty() { Text::default() } else { self.hash.state() };
        let advance =
            Advance { turn: self.name.clone(), from, to: self.offset, tags, hash, tail, whole, ends };
        let answer = self.hub.ask(self.file.clone(), json!({"Parts": {"Advance": advance}})).await;
        let now = answer.and_then(standing)?;
        if now.missed {
            return Err(Refusal::Taken);
        }
        self.durable = now.offset;
        Ok(now)
    }

    /// Stores the rest of what has come, and ends the turn.
    async fn end(&mut self, written: Result<Ending, Refusal>) -> Result<Standing, Refusal> {
        let (complete, mut refusal) = match written {
            Ok(Ending::Complete) => (true, None),
            Ok(Ending::Broken | Ending::Silent) => (false, Some(Refusal::Silent)),
            Ok(Ending::Taken) => (false, Some(Refusal::Taken)),
            Err(refusal) => {
                self.let_go().await;
                return Err(refusal);
            }
        };
        // What is not all there can't be looked at.
        if let Some(check) = self.check.take()
            && !(complete && check.holds())
        {
            self.let_go().await;
            return Err(refusal.take().unwrap_or(Refusal::Mismatch));
        }
        if self.turn.standing.length == Some(self.offset) && !self.buffer.is_empty() {
            self.store_part().await?;
        }
        let (tail, whole) = self.store_tail().await?;
        let standing = self.advance(tail, whole, true).await;
        if tail > 0 && matches!(standing, Err(Refusal::Taken | Refusal::Gone)) {
            self.files().remove_beside(&tail_key(&self.turn.blob.key, &self.name)).await;
        }
        match refusal {
            Some(refusal) => standing.and(Err(refusal)),
            None => standing,
        }
    }

    /// Ends the turn with what the file knows of. Parts that it does not are replaced by those who come after.
    async fn let_go(&mut self) {
        (self.offset, self.tags) = (self.durable, Vec::new());
        if let Err(refusal) = self.advance(0, false, true).await {
            tracing::debug!(?refusal, file = %self.file, "the turn was over");
        }
    }
}

fn read_turn(answer: Value) -> Result<Turn, Rejection> {
    serde_json::from_value(answer).map_err(|error| {
        tracing::error!(%error, "a turn can't be read");
        Rejection::new(ErrorType::Internal)
    })
}
