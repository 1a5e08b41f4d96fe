//! What bytes are, as they look: a file's name and what its sender says of it are no proof.

/// How many bytes of the beginning are looked at.
pub(super) const HEAD: usize = 8 << 10;

/// The media type that the beginning of some bytes looks like.
pub(super) fn media_type(head: &[u8]) -> &'static str {
    // Three letters make no picture.
    let is_gif = || head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a");
    match infer::get(head).map(|kind| kind.mime_type()) {
        Some("image/gif") if !is_gif() => {}
        Some(media_type) => return media_type,
        None => {}
    }
    if head.is_empty() || is_text(head) { "text/plain" } else { "application/octet-stream" }
}

/// Whether the beginning of some bytes is text; its last character may be cut in two.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_what_they_look_like() {
        for (head, wanted) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a\x01\0\x01\0", "image/gif"),
            (b"GIF = 1; alert(1)", "text/plain"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"plain words\n", "text/plain"),
            ("ääkkösiä".as_bytes(), "text/plain"),
            (&"ä".as_bytes()[..1], "text/plain"),
            (b"", "text/plain"),
            (b"\0\x01\x02\x03", "application/octet-stream"),
            (b"\xff\xfe\xfd", "application/octet-stream"),
        ] {
            assert_eq!(media_type(head), wanted, "{head:?}");
        }
    }
}
