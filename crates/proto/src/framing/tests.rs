use super::*;

fn octets(mut body: Bytes) -> Result<Vec<Bytes>, FramingError> {
    let mut frames = Vec::new();
    while let Some(frame) = next_frame(&mut body)? {
        frames.push(frame);
    }
    Ok(frames)
}

#[test]
fn a_frame_has_its_size_before_it_in_one_three_or_nine_bytes() {
    for (size, before) in [
        (0, &[0][..]),
        (1, &[1]),
        (125, &[125]),
        (126, &[126, 0, 126]),
        (0x1234, &[126, 0x12, 0x34]),
        (65_535, &[126, 255, 255]),
        (65_536, &[127, 0, 0, 0, 0, 0, 1, 0, 0]),
        (0x01_02_03, &[127, 0, 0, 0, 0, 0, 1, 2, 3]),
    ] {
        let frame = vec![b'x'; size];
        let mut body = Vec::new();
        push_frame(&mut body, &frame);
        assert!(body.len() - size <= OVERHEAD_BYTES);
        assert_eq!((&body[..before.len()], &body[before.len()..]), (before, &frame[..]), "{size}");
        push_frame(&mut body, b"next");
        assert_eq!(octets(body.into()).unwrap(), [Bytes::from(frame), Bytes::from_static(b"next")]);
    }
}

#[test]
fn octets_that_are_no_frames_are_an_error() {
    use FramingError::{Absurd, Size, Truncated};
    for (body, error) in [
        (&b"\x02a"[..], Truncated),
        (b"\x01a\x05bcd", Truncated),
        (b"\x7e", Size),
        (b"\x7e\x01", Size),
        (b"\x7e\xff\xffa", Truncated),
        (b"\x7f\x00\x00\x00\x00\x00\x00\x00", Size),
        (b"\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", Truncated),
        (b"\x7f\x80\x00\x00\x00\x00\x00\x00\x00", Absurd),
        (b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff", Absurd),
        (b"\x80", Absurd),
        (b"{\"action\":\"ping\"}", Truncated),
    ] {
        assert_eq!(octets(Bytes::from_static(body)), Err(error), "{body:x?}");
    }
    assert_eq!(octets(Bytes::new()), Ok(Vec::new()));
}

#[test]
fn a_response_is_events_of_frames() {
    let event = |frames: &[&'static [u8]]| frames.iter().map(|f| Bytes::from_static(f)).collect::<Vec<_>>();
    let long = Bytes::from(vec![b'y'; 300]);
    let events = [event(&[b"{}"]), event(&[b"ab", b"", b"c"]), event(&[]), vec![long.clone()]];
    let body = encode_response(events.iter().map(Vec::as_slice));
    // Field 1 as the encoding's rules put it down: 0x0a, the length in groups of seven bits, the value.
    let mut expected = b"\x0a\x04\x0a\x02{}\x0a\x09\x0a\x02ab\x0a\x00\x0a\x01c\x0a\x00".to_vec();
    expected.extend_from_slice(b"\x0a\xaf\x02\x0a\xac\x02");
    expected.extend_from_slice(&long);
    assert_eq!(body, expected);
    assert_eq!(decode_response(body.into()).unwrap(), events);
    assert_eq!(encode_response([]), b"");
}

#[test]
fn unknown_fields_of_a_response_are_skipped() {
    let body: &[u8] = b"\x10\x96\x01\x1a\x02xx\x21abcdefgh\x2dabcd\x0a\x06\x10\x01\x0a\x02{}";
    assert_eq!(decode_response(Bytes::from_static(body)).unwrap(), [[Bytes::from_static(b"{}")]]);
}

#[test]
fn what_is_no_response_is_an_error() {
    use FramingError::{Absurd, Field, Size, Truncated};
    for (body, error) in [
        (&b"\x0a"[..], Size),
        (b"\x0a\x80", Size),
        (b"\x0a\x05abc", Truncated),
        (b"\x0a\x02\x0a\x01", Truncated),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", Truncated),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Truncated),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Absurd),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Absurd),
        (b"\x00\x00", Field),
        (b"\x02\x00", Field),
        (b"\x0b\x0c", Field),
        (b"\x0f", Field),
        (b"\xfa\xff\xff\xff\x7f\x00", Field),
        (b"\x11abc", Truncated),
        (b"\x15abc", Truncated),
        (b"\x10", Size),
    ] {
        assert_eq!(decode_response(Bytes::from_static(body)), Err(error), "{body:x?}");
    }
}
