//! A file of any size that nobody keeps: each of its bytes follows from its place.

use anyhow::{Context, Result, bail};
use levee_client::Address;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// How many bytes are made at once; a multiple of a word.
pub(crate) const CHUNK: usize = 256 << 10;

/// The bytes from an offset on, which is a multiple of a word of eight.
fn fill(offset: u64, chunk: &mut [u8]) {
    for (at, word) in (offset / 8..).zip(chunk.chunks_mut(8)) {
        // SplitMix64: no two places are alike.
        let mut mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word.copy_from_slice(&(mixed ^ mixed >> 31).to_le_bytes()[..word.len()]);
    }
}

/// The bytes of a range, at most a chunk of them.
pub(crate) fn bytes(from: u64, to: u64) -> Vec<u8> {
    let begin = from - from % 8;
    let end = to.min(begin + CHUNK as u64);
    let mut chunk = vec![0; (end - begin) as usize];
    fill(begin, &mut chunk);
    chunk.split_off((from - begin) as usize)
}

/// The SHA-256 of a file of this size.
pub(crate) fn digest(size: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < size {
        let some = bytes(at, size);
        at += some.len() as u64;
        hash.update(&some);
    }
    hash.finalize().into()
}

/// Loads what a link leads to, and answers how many bytes those are and their SHA-256.
pub(crate) async fn load(
    address: &Address,
    link: &str,
    mut seen: impl FnMut(u64),
) -> Result<(u64, [u8; 32])> {
    let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    let request =
        format!("GET {link} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", address.authority());
    stream.write_all(request.as_bytes()).await?;
    let mut stream = BufReader::with_capacity(CHUNK, stream);
    let mut length = None;
    for number in 0.. {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if number == 0 && !line.starts_with("HTTP/1.1 200") {
            bail!("the file is not there: {}", line.trim());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let length: u64 = length.context("the file has no length")?;
    let (mut hash, mut at) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK];
    while at < length {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            bail!("the file ends after {at} of {length} bytes");
        }
        hash.update(&chunk[..read]);
        at += read as u64;
        seen(at);
    }
    Ok((at, hash.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_the_same_wherever_one_begins() {
        let all = bytes(0, 1000);
        assert_eq!(all.len(), 1000);
        for from in [0, 1, 7, 8, 9, 500, 999] {
            assert_eq!(bytes(from, 1000), &all[from as usize..], "{from}");
        }
        assert_eq!(bytes(CHUNK as u64 - 3, 2 * CHUNK as u64)[..3], bytes(0, CHUNK as u64)[CHUNK - 3..]);
        assert_eq!(digest(1000)[..], Sha256::digest(&all)[..]);
    }
}
