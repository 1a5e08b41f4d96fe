//! Frames within one body, as a single call carries them: an action's as octets, an answer's as octets or
//! as the protobuf message `Response`.

use bytes::Bytes;

/// Sizes up to this are one byte.
const SMALL: u64 = 125;
/// What announces a size of two bytes.
const MEDIUM: u8 = 126;
/// What announces a size of eight bytes.
const LARGE: u8 = 127;
/// What a frame's size adds to it at most.
pub const OVERHEAD_BYTES: usize = 9;

/// `Response.event` and `Event.frame`: both are field 1, and have a length before them.
const FIELD: u64 = 1 << 3 | WITH_LENGTH;
/// The kinds of values in protobuf; groups, the kinds 3 and 4, are long gone.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const WITH_LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// Why a body can't be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// It ends within the size of a frame.
    #[error("the body ends within the size of a frame")]
    Size,
    /// A size is negative, or larger than any could be.
    #[error("a frame's size is not valid")]
    Absurd,
    /// A frame is larger than what is left of the body.
    #[error("a frame is larger than the body")]
    Truncated,
    /// A field of a protobuf message has no number, or is of a kind that there is not.
    #[error("the body is no protobuf message")]
    Field,
}

/// Appends a frame to a body of octets.
pub fn push_frame(body: &mut Vec<u8>, frame: &[u8]) {
    let size = frame.len() as u64;
    match (u8::try_from(size), u16::try_from(size)) {
        (Ok(small), _) if size <= SMALL => body.push(small),
        (_, Ok(medium)) => {
            body.push(MEDIUM);
            body.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            body.push(LARGE);
            body.extend_from_slice(&size.to_be_bytes());
        }
    }
    body.extend_from_slice(frame);
}

/// Takes the next frame off a body of octets; `None` at its end.
///
/// # Errors
/// When what is left begins with no frame. Nothing after it can be understood then.
pub fn next_frame(body: &mut Bytes) -> Result<Option<Bytes>, FramingError> {
    if body.is_empty() {
        return Ok(None);
    }
    let size = match take(body, 1)?[0] {
        MEDIUM => big_endian(body, 2)?,
        LARGE => big_endian(body, 8)?,
        small if u64::from(small) <= SMALL => small.into(),
        _ => return Err(FramingError::Absurd),
    };
    if i64::try_from(size).is_err() {
        return Err(FramingError::Absurd);
    }
    take(body, size).map(Some)
}

/// Encodes a `Response`: events, each with its header and the parts of its payload as frames.
pub fn encode_response<'a>(events: impl IntoIterator<Item = &'a [Bytes]>) -> Vec<u8> {
    let (mut body, mut event) = (Vec::new(), Vec::new());
    for frames in events {
        event.clear();
        for frame in frames {
            push_field(&mut event, frame);
        }
        push_field(&mut body, &event);
    }
    body
}

/// Decodes a `Response` to the frames of its events. Fields that are not known are skipped.
///
/// # Errors
/// When it is none. Nothing is set aside for a length before that much is there.
pub fn decode_response(body: Bytes) -> Result<Vec<Vec<Bytes>>, FramingError> {
    fields(body)?.into_iter().map(fields).collect()
}

/// The values of a message's field 1.
fn fields(mut message: Bytes) -> Result<Vec<Bytes>, FramingError> {
    let mut values = Vec::new();
    while !message.is_empty() {
        let field = varint(&mut message)?;
        // A number has 29 bits and is not 0; three more bits are the kind.
        if field >> 3 == 0 || field > u32::MAX.into() {
            return Err(FramingError::Field);
        }
        match field & 7 {
            VARINT => _ = varint(&mut message)?,
            EIGHT_BYTES => _ = take(&mut message, 8)?,
            FOUR_BYTES => _ = take(&mut message, 4)?,
            WITH_LENGTH => {
                let length = varint(&mut message)?;
                let value = take(&mut message, length)?;
                if field == FIELD {
                    values.push(value);
                }
            }
            _ => return Err(FramingError::Field),
        }
    }
    Ok(values)
}

fn push_field(message: &mut Vec<u8>, value: &[u8]) {
    push_varint(message, FIELD);
    push_varint(message, value.len() as u64);
    message.extend_from_slice(value);
}

fn push_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

fn varint(message: &mut Bytes) -> Result<u64, FramingError> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = take(message, 1).map_err(|_| FramingError::Size)?[0];
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err(FramingError::Absurd);
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(FramingError::Absurd)
}

fn big_endian(body: &mut Bytes, bytes: u64) -> Result<u64, FramingError> {
    let size = take(body, bytes).map_err(|_| FramingError::Size)?;
    Ok(size.iter().fold(0, |size, byte| size << 8 | u64::from(*byte)))
}

fn take(body: &mut Bytes, size: u64) -> Result<Bytes, FramingError> {
    if size > body.len() as u64 {
        return Err(FramingError::Truncated);
    }
    Ok(body.split_to(size as usize))
}

#[cfg(test)]
mod tests;
