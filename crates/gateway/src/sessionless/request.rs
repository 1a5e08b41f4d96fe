//! What a POST request brings: a body of limited size, perhaps compressed, of one of two content types.

use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::{Bytes, BytesMut};
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use futures_util::{Stream, StreamExt};
use levee_proto::framing::{self, OVERHEAD_BYTES};
use levee_proto::{ErrorType, Rejection, limits};
use std::io::Read;
use std::pin::pin;
use std::time::Duration;

/// Bytes that a body may have, as it comes and as it was before it was compressed: the largest action.
pub(super) const BODY_BYTES: usize =
    limits::HEADER_BYTES + limits::PAYLOAD_BYTES + (limits::PARTS + 1) * OVERHEAD_BYTES;
/// How long a body may take.
pub(super) const BODY_TIME: Duration = Duration::from_secs(30);

/// An action as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// An object with the payload in it.
    Inline(Bytes),
    /// Frames: the header, then the parts of the payload.
    Framed(Bytes),
}

/// Why a body is not even looked at. It is answered with a status, for nothing tells which action it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is of another content type.
    ContentType,
    /// It is compressed in another way.
    Encoding,
    /// It is not what its encoding says, or its end is missing.
    Corrupt,
    /// It did not come whole.
    Broken,
    /// It is too long, as it came or decompressed.
    TooLong,
    /// It took too long.
    TooSlow,
}

impl Refusal {
    fn says(self) -> (StatusCode, &'static str) {
        match self {
            Self::ContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the content type is application/json or application/octet-stream\n",
            ),
            Self::Encoding => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content encoding is deflate or gzip, or none\n")
            }
            Self::Corrupt => (StatusCode::BAD_REQUEST, "the body can't be decompressed\n"),
            Self::Broken => (StatusCode::BAD_REQUEST, "the body did not come whole\n"),
            Self::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long\n"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n"),
        }
    }

    /// The answer that says this.
    pub(super) fn response(self) -> HttpResponse {
        let (status, text) = self.says();
        let mut response = super::answer::begin(status);
        match self {
            Self::Encoding => _ = response.insert_header((ACCEPT_ENCODING, "deflate, gzip")),
            // The rest of the body is still on its way.
            Self::Broken | Self::TooLong | Self::TooSlow => {
                _ = HttpResponseBuilder::force_close(&mut response)
            }
            Self::ContentType | Self::Corrupt => {}
        }
        response.content_type("text/plain; charset=utf-8").body(text)
    }
}

/// Reads a body. It is read to its end even if nothing can be made of it, so that the connection goes on.
pub(super) async fn read(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<Bytes, PayloadError>>,
    time: Duration,
) -> Result<Asked, Refusal> {
    let body = actix_rt::time::timeout(time, collect(body)).await.map_err(|_| Refusal::TooSlow)??;
    let content_type = value(headers, &CONTENT_TYPE).ok_or(Refusal::ContentType)?;
    let asked = match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => Asked::Inline,
        "application/octet-stream" => Asked::Framed,
        _ => return Err(Refusal::ContentType),
    };
    let encoding = value(headers, &CONTENT_ENCODING).ok_or(Refusal::Encoding)?;
    Ok(asked(match encoding.as_str() {
        "" | "identity" => body,
        "deflate" => {
            let mut decoder = ZlibDecoder::new(&body[..]);
            let plain = inflate(&mut decoder)?;
            // A second stream would belong to it as well.
            if !decoder.into_inner().is_empty() {
                return Err(Refusal::Corrupt);
            }
            plain
        }
        "gzip" | "x-gzip" => inflate(MultiGzDecoder::new(&body[..]))?,
        _ => return Err(Refusal::Encoding),
    }))
}

async fn collect(body: impl Stream<Item = Result<Bytes, PayloadError>>) -> Result<Bytes, Refusal> {
    let (mut body, mut whole) = (pin!(body), BytesMut::new());
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| Refusal::Broken)?;
        if chunk.len() > BODY_BYTES - whole.len() {
            return Err(Refusal::TooLong);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// Decompresses no further than the limit, whatever there is.
fn inflate(decoder: impl Read) -> Result<Bytes, Refusal> {
    let mut plain = Vec::new();
    decoder.take(BODY_BYTES as u64 + 1).read_to_end(&mut plain).map_err(|_| Refusal::Corrupt)?;
    if plain.len() > BODY_BYTES {
        return Err(Refusal::TooLong);
    }
    Ok(plain.into())
}

/// A header's value in lower case, empty if there is none; `None` if it is no text, or there are several.
fn value(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut all = headers.get_all(name);
    let value = all.next().map_or(Some(""), |value| value.to_str().ok())?;
    all.next().is_none().then(|| value.trim().to_ascii_lowercase())
}

/// Takes the header's frame off a body of frames.
pub(super) fn header(body: &mut Bytes) -> Result<Bytes, Rejection> {
    let header = framing::next_frame(body).map_err(malformed)?;
    let header = header.ok_or_else(|| Rejection::malformed("there is no frame"))?;
    if header.len() > limits::HEADER_BYTES {
        return Err(Rejection::malformed("the header is too long"));
    }
    Ok(header)
}

/// The parts of the payload, in the frames after the header, which may say how many follow.
pub(super) fn parts(mut body: Bytes, announced: Option<u64>) -> Result<Vec<Bytes>, Rejection> {
    let (mut parts, mut bytes) = (Vec::new(), 0);
    while let Some(frame) = framing::next_frame(&mut body).map_err(malformed)? {
        if parts.len() == limits::PARTS {
            return Err(Rejection::new(ErrorType::PayloadHasTooManyParts));
        }
        if frame.len() > limits::PART_BYTES {
            return Err(Rejection::new(ErrorType::MessagePartTooLong));
        }
        bytes += frame.len();
        if bytes > limits::PAYLOAD_BYTES {
            return Err(Rejection::new(ErrorType::MessageTooLong));
        }
        // A slice would keep the whole body for as long as the part.
        parts.push(Bytes::copy_from_slice(&frame));
    }
    match announced {
        Some(frames) if frames != parts.len() as u64 => {
            Err(Rejection::malformed(format!("the header says {frames} frames, and {} follow", parts.len())))
        }
        _ => Ok(parts),
    }
}

fn malformed(error: framing::FramingError) -> Rejection {
    Rejection::malformed(error.to_string())
}

#[cfg(test)]
mod tests;
