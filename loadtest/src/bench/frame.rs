//! WebSocket frames, no more than a benchmark needs: complete data frames up to 64 KiB, read in place.
//!
//! A codec of its own, for the relay is the yardstick: whatever a library would add to it in buffers
//! and copies would flatter the server. Both sides of the benchmark use it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;
use tokio::net::TcpStream;

/// A text frame.
pub(crate) const TEXT: u8 = 1;
/// The frame that ends a connection; higher numbers ask and tell whether somebody is there.
pub(crate) const CLOSE: u8 = 8;

/// How many bytes one read takes at most.
const READ: usize = 64 * 1024;

thread_local! {
    /// The buffer that all connections of a thread read through.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// A frame and where it ends.
struct Found<'a> {
    opcode: u8,
    payload: &'a mut [u8],
    end: usize,
}

/// The frame at the beginning of `bytes`, unmasked; `None` if it is not complete.
fn frame(bytes: &mut [u8]) -> io::Result<Option<Found<'_>>> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    let masked = second & 0x80 != 0;
    let (mut at, length) = match second & 0x7f {
        126 => match bytes.get(2..4) {
            Some(length) => (4, usize::from(length[0]) << 8 | usize::from(length[1])),
            None => return Ok(None),
        },
        127 => return Err(io::Error::other("a frame longer than 64 KiB")),
        short => (2, usize::from(short)),
    };
    let mut mask = [0; 4];
    if masked {
        match bytes.get(at..at + 4) {
            Some(key) => mask.copy_from_slice(key),
            None => return Ok(None),
        }
        at += 4;
    }
    let end = at + length;
    let Some(payload) = bytes.get_mut(at..end) else { return Ok(None) };
    if mask != [0; 4] {
        unmask(payload, mask);
    }
    Ok(Some(Found { opcode: first & 0x0f, payload, end }))
}

/// Eight bytes at a time, as libraries do.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Adds a frame to what is to be written, masked if a key is given.
pub(crate) fn put(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) {
    out.push(0x80 | opcode);
    let masked = if mask.is_some() { 0x80 } else { 0 };
    if payload.len() < 126 {
        out.push(masked | payload.len() as u8);
    } else {
        out.push(masked | 126);
        out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask);
    }
    let at = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = mask {
        unmask(&mut out[at..], mask);
    }
}

/// What a connection has received of a frame that is not complete; it holds nothing between frames.
#[derive(Default)]
pub(crate) struct Input(Vec<u8>);

impl Input {
    /// Begins with bytes that came along with the handshake.
    pub(crate) fn new(early: Vec<u8>) -> Self {
        Self(early)
    }

    /// Reads what is there and shows each complete frame. `Ok(false)` when the other side is gone.
    ///
    /// # Errors
    /// What the socket says, and `take`; `WouldBlock` is none.
    pub(crate) fn read(
        &mut self,
        socket: &TcpStream,
        mut take: impl FnMut(u8, &[u8]) -> io::Result<()>,
    ) -> io::Result<bool> {
        BUFFER.with_borrow_mut(|buffer| {
            let kept = self.0.len();
            if kept >= READ {
                return Err(io::Error::other("a frame longer than the buffer"));
            }
            buffer[..kept].copy_from_slice(&self.0);
            let read = match socket.try_read(&mut buffer[kept..]) {
                Ok(0) => return Ok(false),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            let filled = &mut buffer[..kept + read];
            let mut at = 0;
            while let Some(found) = frame(&mut filled[at..])? {
                take(found.opcode, found.payload)?;
                at += found.end;
            }
            self.0 = filled[at..].to_vec();
            Ok(true)
        })
    }
}

/// Writes as much as the socket takes now, and answers how much that was.
///
/// # Errors
/// What the socket says; `WouldBlock` is none.
pub(crate) fn write(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match socket.try_write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

/// A payload as text, for an error message.
pub(crate) fn lossy(payload: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(payload)
}
