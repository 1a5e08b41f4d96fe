use super::*;
use actix_web::http::header::HeaderValue;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use futures_util::stream;
use std::io::Write;

const JSON: &str = "application/json";

fn headers(list: &[(&HeaderName, &'static str)]) -> HeaderMap {
    list.iter().map(|(name, value)| ((*name).clone(), HeaderValue::from_static(value))).collect()
}

async fn asked(list: &[(&HeaderName, &'static str)], body: &[u8]) -> Result<Asked, Refusal> {
    let chunks: Vec<_> = body.chunks(1000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    read(&headers(list), stream::iter(chunks), BODY_TIME).await
}

async fn compressed(encoding: &'static str, body: &[u8]) -> Result<Asked, Refusal> {
    asked(&[(&CONTENT_TYPE, JSON), (&CONTENT_ENCODING, encoding)], body).await
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn frames(frames: &[&[u8]]) -> Bytes {
    let mut body = Vec::new();
    frames.iter().for_each(|frame| framing::push_frame(&mut body, frame));
    body.into()
}

#[actix_rt::test]
async fn the_content_type_says_how_an_action_is_put_down() {
    for (content_type, framed) in [
        ("application/json", false),
        ("Application/JSON; charset=utf-8", false),
        ("application/octet-stream", true),
        ("application/octet-stream ; x=y", true),
    ] {
        let expected = if framed { Asked::Framed } else { Asked::Inline }(Bytes::from_static(b"{}"));
        assert_eq!(asked(&[(&CONTENT_TYPE, content_type)], b"{}").await, Ok(expected), "{content_type}");
    }
    for other in ["", "text/plain", "application/x-protobuf", "application/jsonx", "json", "a,b"] {
        let refused = asked(&[(&CONTENT_TYPE, other)], b"{}").await;
        assert_eq!(refused, Err(Refusal::ContentType), "{other}");
    }
    assert_eq!(asked(&[], b"{}").await, Err(Refusal::ContentType));
    let mut twice = headers(&[(&CONTENT_TYPE, JSON)]);
    twice.append(CONTENT_TYPE, HeaderValue::from_static(JSON));
    assert_eq!(read(&twice, stream::empty(), BODY_TIME).await, Err(Refusal::ContentType));
}

#[actix_rt::test]
async fn a_compressed_body_is_decompressed() {
    let text = Bytes::from(b"{\"action\":\"ping\"}".repeat(1000));
    let parts = [gzip(&text[..5000]), gzip(&text[5000..])].concat();
    for (encoding, body) in [
        ("deflate", zlib(&text)),
        ("Deflate", zlib(&text)),
        ("gzip", gzip(&text)),
        ("x-gzip", gzip(&text)),
        ("gzip", parts),
        ("identity", text.to_vec()),
    ] {
        assert_eq!(compressed(encoding, &body).await, Ok(Asked::Inline(text.clone())), "{encoding}");
    }
    for other in ["br", "zstd", "gzip, deflate", "compress", "chunked"] {
        assert_eq!(compressed(other, &zlib(&text)).await, Err(Refusal::Encoding), "{other}");
    }
}

#[actix_rt::test]
async fn what_is_not_compressed_as_it_says_is_corrupt() {
    let text = b"{\"action\":\"ping\"}".repeat(100);
    let (deflate, gzip) = (zlib(&text), gzip(&text));
    for (encoding, whole) in [("deflate", &deflate), ("gzip", &gzip)] {
        for end in 0..whole.len() {
            assert_eq!(compressed(encoding, &whole[..end]).await, Err(Refusal::Corrupt), "{encoding} {end}");
        }
        let with_more = [whole.as_slice(), b"more"].concat();
        assert_eq!(compressed(encoding, &with_more).await, Err(Refusal::Corrupt), "{encoding}");
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(compressed(encoding, &changed).await, Err(Refusal::Corrupt), "{encoding}");
        assert_eq!(compressed(encoding, &text).await, Err(Refusal::Corrupt), "{encoding}");
    }
    assert_eq!(compressed("deflate", &gzip).await, Err(Refusal::Corrupt));
    assert_eq!(compressed("gzip", &deflate).await, Err(Refusal::Corrupt));
}

#[actix_rt::test]
async fn a_body_has_a_limit_before_and_after_it_is_decompressed() {
    let most = vec![b' '; BODY_BYTES];
    let over = vec![b' '; BODY_BYTES + 1];
    let bomb = zlib(&vec![0; 64 << 20]);
    assert!(bomb.len() < BODY_BYTES / 8);
    for (encoding, body) in [("identity", most.clone()), ("deflate", zlib(&most)), ("gzip", gzip(&most))] {
        assert!(compressed(encoding, &body).await.is_ok(), "{encoding}");
    }
    for (encoding, body) in
        [("identity", over.clone()), ("deflate", zlib(&over)), ("gzip", gzip(&over)), ("deflate", bomb)]
    {
        assert_eq!(compressed(encoding, &body).await, Err(Refusal::TooLong), "{encoding}");
    }
    let bombs = gzip(&most).repeat(3);
    assert_eq!(compressed("gzip", &bombs).await, Err(Refusal::TooLong));
}

#[test]
fn a_bomb_is_decompressed_no_further_than_the_limit() {
    struct Counted(u64);
    impl Read for Counted {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }
    let mut endless = Counted(0);
    assert_eq!(inflate(&mut endless), Err(Refusal::TooLong));
    assert_eq!(endless.0, BODY_BYTES as u64 + 1);
}

#[actix_rt::test]
async fn a_body_that_does_not_end_is_given_up() {
    let headers = headers(&[(&CONTENT_TYPE, JSON)]);
    let pending = stream::iter([Ok(Bytes::from_static(b"{"))]).chain(stream::pending());
    assert_eq!(read(&headers, pending, Duration::from_millis(20)).await, Err(Refusal::TooSlow));
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(PayloadError::Incomplete(None))]);
    assert_eq!(read(&headers, broken, BODY_TIME).await, Err(Refusal::Broken));
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 4096])));
    assert_eq!(read(&headers, endless, BODY_TIME).await, Err(Refusal::TooLong));
}

#[test]
fn frames_are_a_header_and_the_parts_of_a_payload() {
    let mut body = frames(&[b"{}", b"a", b"", b"c"]);
    assert_eq!(header(&mut body).unwrap(), "{}");
    assert_eq!(parts(body.clone(), None).unwrap(), ["a", "", "c"]);
    assert_eq!(parts(body.clone(), Some(3)).unwrap().len(), 3);
    for wrong in [0, 2, 4, u64::MAX] {
        assert_eq!(
            parts(body.clone(), Some(wrong)).unwrap_err().error_type,
            ErrorType::RequestMalformed,
            "{wrong}"
        );
    }
    assert!(parts(Bytes::new(), Some(0)).unwrap().is_empty());
}

#[test]
fn frames_have_limits() {
    let refused = |mut body: Bytes| match header(&mut body).and_then(|_| parts(body, None)) {
        Ok(parts) => Ok(parts.len()),
        Err(rejection) => Err(rejection.error_type),
    };
    let part = vec![b'x'; limits::PART_BYTES];
    let mut most: Vec<&[u8]> = vec![b"{}"];
    most.extend([&b"x"[..]; limits::PARTS]);
    assert_eq!(refused(frames(&most)), Ok(limits::PARTS));
    most.push(b"x");
    assert_eq!(refused(frames(&most)), Err(ErrorType::PayloadHasTooManyParts));
    assert_eq!(refused(frames(&[b"{}", &part, &part])), Ok(2));
    assert_eq!(refused(frames(&[b"{}", &part, &part, b"x"])), Err(ErrorType::MessageTooLong));
    let long = [part.as_slice(), b"x"].concat();
    assert_eq!(refused(frames(&[b"{}", &long])), Err(ErrorType::MessagePartTooLong));
    let header = vec![b' '; limits::HEADER_BYTES];
    assert_eq!(refused(frames(&[&header])), Ok(0));
    assert_eq!(refused(frames(&[&[header.as_slice(), b" "].concat()])), Err(ErrorType::RequestMalformed));
    for wrong in ["", "\u{3}{}", "\u{2}{}\u{5}abc", "\u{7e}", "{\"action\":\"ping\"}"] {
        assert_eq!(refused(Bytes::from(wrong.to_owned())), Err(ErrorType::RequestMalformed), "{wrong}");
    }
}

#[test]
fn a_refusal_has_a_status_and_says_why() {
    for (refusal, status) in [
        (Refusal::ContentType, 415),
        (Refusal::Encoding, 415),
        (Refusal::Corrupt, 400),
        (Refusal::Broken, 400),
        (Refusal::TooLong, 413),
        (Refusal::TooSlow, 408),
    ] {
        let response = refusal.response();
        assert_eq!(response.status().as_u16(), status, "{refusal:?}");
        assert_eq!(response.headers().contains_key(ACCEPT_ENCODING), refusal == Refusal::Encoding);
    }
}
