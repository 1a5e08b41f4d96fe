//! What a file may be called: nothing that leads a browser, a shell or an eye astray.

use levee_proto::attrs::{FileAttrsPatch, Writable};
use levee_proto::{Rejection, Text, limits};

/// The name of a file that has none left.
const NAMELESS: &str = "file";

/// A name without folders, control characters and marks that turn the direction of writing; not longer than the limit,
/// of which the ending stays.
pub fn clean(name: &str) -> Text {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last.chars().filter(|c| !c.is_control() && !is_mark(*c)).collect();
    let trimmed = kept.trim().trim_matches('.').trim();
    if trimmed.is_empty() {
        return NAMELESS.into();
    }
    if trimmed.len() <= limits::FILE_NAME_BYTES {
        return trimmed.into();
    }
    // An ending of some letters tells what it is; a long one is none.
    let ending = trimmed.rfind('.').map(|at| &trimmed[at..]).filter(|ending| ending.len() <= 16);
    let ending = ending.unwrap_or_default();
    let mut end = limits::FILE_NAME_BYTES - ending.len();
    while !trimmed.is_char_boundary(end) {
        end -= 1;
    }
    Text::from(&trimmed[..end]) + ending
}

/// The name that a file shall have.
///
/// # Errors
/// `request_malformed` without one, `permission_denied` for attributes that are not the sender's to give.
pub fn wanted(attrs: &FileAttrsPatch) -> Result<Text, Rejection> {
    attrs.check(|writable| writable == Writable::Owner)?;
    match &attrs.name {
        Some(Some(given)) if !given.is_empty() => Ok(clean(given)),
        _ => Err(Rejection::malformed("file_attrs has a name")),
    }
}

/// Whether a character is not seen and changes how others are seen, or breaks a line.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_is_left_without_what_leads_astray() {
        for (name, cleaned) in [
            ("report.pdf", "report.pdf"),
            ("Ääkkösiä ja välejä.txt", "Ääkkösiä ja välejä.txt"),
            ("../../etc/passwd", "passwd"),
            ("\\\\share\\a.txt", "a.txt"),
            ("a\r\nSet-Cookie: x=1.png", "aSet-Cookie: x=1.png"),
            ("invoice\u{202e}gpj.exe", "invoicegpj.exe"),
            ("\u{2066}a\u{2069}\u{200b}b", "ab"),
            ("a\0b\u{7f}\u{85}c", "abc"),
            (" . .. ", "file"),
            ("..", "file"),
            ("x/", "file"),
            (".htaccess", "htaccess"),
            ("", "file"),
        ] {
            assert_eq!(clean(name), cleaned, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending_and_whole_characters() {
        let cleaned = clean(&format!("{}.tar", "ä".repeat(300)));
        assert!(cleaned.ends_with("ä.tar") && (250..=255).contains(&cleaned.len()), "{}", cleaned.len());
        let cleaned = clean(&"x.".repeat(400));
        assert_eq!(cleaned.len(), 255);
        assert_eq!(clean(&format!("a.{}", "y".repeat(300))).len(), 255);
    }
}
