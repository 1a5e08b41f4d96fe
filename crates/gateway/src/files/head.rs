//! Heads of requests for files and of the answers: which bytes are wanted, what a browser is to make of them.

use actix_http::header::HeaderMap;
use std::fmt::Write as _;
use std::ops::Range;

/// Types that are shown. What looks like one of these is drawn, and never run.
const SHOWN: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Which bytes a request wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All.
    All,
    /// Some.
    Part(Range<u64>),
    /// None: it has them.
    Nothing,
    /// Such as are not there.
    Unsatisfiable,
}

/// Reads which bytes of a file a request wants. A range that can't be understood is as if it was not there; several at
/// once are refused, for each of them would cost a reading.
pub(super) fn wanted(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let known = text("if-none-match").is_some_and(|known| {
        known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == etag)
    });
    if known {
        return Wanted::Nothing;
    }
    let Some(range) = text("range").and_then(|range| range.strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    if text("if-range").is_some_and(|condition| condition != etag) {
        return Wanted::All;
    }
    if range.contains(',') || headers.get_all("range").count() > 1 {
        return Wanted::Unsatisfiable;
    }
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::All };
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    match (first.is_empty(), number(first), last.is_empty(), number(last)) {
        // The last so many bytes.
        (true, _, false, Some(0)) => Wanted::Unsatisfiable,
        (true, _, false, Some(_)) if size == 0 => Wanted::Unsatisfiable,
        (true, _, false, Some(count)) => Wanted::Part(size.saturating_sub(count)..size),
        (false, Some(first), true, _) if first < size => Wanted::Part(first..size),
        (false, Some(first), false, Some(last)) if first > last => Wanted::All,
        (false, Some(first), false, Some(last)) if first < size => {
            Wanted::Part(first..last.saturating_add(1).min(size))
        }
        (false, Some(_), true, _) | (false, Some(_), false, Some(_)) => Wanted::Unsatisfiable,
        _ => Wanted::All,
    }
}

/// The type that a file is served as: its own if nothing of it can run, otherwise none in particular.
pub(super) fn served_type(media_type: &str) -> &str {
    if media_type.starts_with("text/") {
        return "text/plain; charset=utf-8";
    }
    let harmless = SHOWN.contains(&media_type)
        || media_type.starts_with("audio/")
        || media_type.starts_with("video/")
        || media_type == "application/pdf";
    if harmless { media_type } else { "application/octet-stream" }
}

/// Whether a browser shows a file or saves it, and under which name.
pub(super) fn disposition(name: &str, media_type: &str) -> String {
    let way = if SHOWN.contains(&media_type) { "inline" } else { "attachment" };
    // For those who don't know the second form.
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || " .-_()".contains(c) { c } else { '_' })
        .collect();
    let mut whole = String::with_capacity(name.len() * 3);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            whole.push(byte.into());
        } else {
            let _ = write!(whole, "%{byte:02X}");
        }
    }
    format!("{way}; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_http::header::{HeaderName, HeaderValue};

    fn of(headers: &[(&'static str, &str)], size: u64) -> Wanted {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
        wanted(&map, size, "\"abc\"")
    }

    #[test]
    fn a_range_is_read_and_nonsense_is_not() {
        for (range, expected) in [
            ("bytes=0-", Wanted::Part(0..10)),
            ("bytes=2-4", Wanted::Part(2..5)),
            ("bytes=2-99", Wanted::Part(2..10)),
            ("bytes=9-18446744073709551615", Wanted::Part(9..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=10-12", Wanted::Unsatisfiable),
            ("bytes=0-1,3-4", Wanted::Unsatisfiable),
            ("bytes=,", Wanted::Unsatisfiable),
            ("bytes=4-2", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=x-2", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=1-99999999999999999999", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(of(&[("range", range)], 10), expected, "{range}");
        }
        assert_eq!(of(&[("range", "bytes=-1")], 0), Wanted::Unsatisfiable);
        assert_eq!(of(&[("range", "bytes=0-0"), ("range", "bytes=1-1")], 10), Wanted::Unsatisfiable);
    }

    #[test]
    fn what_is_known_is_not_sent_and_a_range_is_of_what_is_known() {
        assert_eq!(of(&[("if-none-match", "\"x\", W/\"abc\"")], 10), Wanted::Nothing);
        assert_eq!(of(&[("if-none-match", "\"x\"")], 10), Wanted::All);
        assert_eq!(of(&[("range", "bytes=1-1"), ("if-range", "\"abc\"")], 10), Wanted::Part(1..2));
        assert_eq!(of(&[("range", "bytes=1-1"), ("if-range", "\"x\"")], 10), Wanted::All);
    }

    #[test]
    fn only_pictures_are_shown_and_names_stay_in_their_place() {
        assert_eq!(disposition("a.png", "image/png"), "inline; filename=\"a.png\"; filename*=UTF-8''a.png");
        assert_eq!(
            disposition("ä\"; x\r\n.html", "text/html"),
            "attachment; filename=\"___ x__.html\"; filename*=UTF-8''%C3%A4%22%3B%20x%0D%0A.html"
        );
        for (of, served) in [
            ("text/html", "text/plain; charset=utf-8"),
            ("image/svg+xml", "application/octet-stream"),
            ("application/xhtml+xml", "application/octet-stream"),
            ("image/png", "image/png"),
            ("video/mp4", "video/mp4"),
        ] {
            assert_eq!(served_type(of), served);
        }
        assert!(disposition("a.svg", "image/svg+xml").starts_with("attachment"));
    }
}
