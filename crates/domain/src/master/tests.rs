mod tokens;

use super::vectors::*;
use super::*;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use levee_proto::Object;
use proptest::prelude::*;
use sha2::{Digest as _, Sha512};

const SECOND: u64 = 1_000_000;
/// An hour before all expires.
const NOW: u64 = (EXPIRE - 3600) * SECOND;
/// A second before nothing is right any more.
const LATE: u64 = EXPIRE * SECOND - 1;
/// The first moment at which what expires is not too far away.
const EARLY: u64 = EXPIRE * SECOND - WEEK;
const DENIED: Refused = Refused::Denied;

fn key() -> Key {
    Key::parse(KEY_ID, KeyType::Ninchat, SECRET).unwrap()
}

fn jwt_key() -> Key {
    Key::parse(JWT_KEY_ID, KeyType::Jwt, SECRET).unwrap()
}

/// A key of the same id with another secret.
fn other(key: &Key) -> Key {
    let mut other = key.clone();
    other.secret[31] ^= 1;
    other
}

fn metadata() -> Object {
    serde_json::from_str(METADATA).unwrap()
}

/// Something that takes a text and a time.
type Check<'a> = Box<dyn Fn(&Key, &str, u64) -> Result<(), Refused> + 'a>;

/// Every vector, with what takes it and its key.
fn vectors() -> Vec<(&'static str, Key, Check<'static>)> {
    let mut all: Vec<(&str, Key, Check<'_>)> = Vec::new();
    for (wanted, text) in SIGNS {
        all.push((text, key(), Box::new(|key, text, now| verify(key, text, wanted, now).map(drop))));
    }
    for (_, text) in SECURES {
        all.push((text, key(), Box::new(|key, text, now| open(key, text, USER, now).map(drop))));
    }
    for text in [JWE, JWE_NAME] {
        all.push((text, jwt_key(), Box::new(|key, text, now| open(key, text, USER, now).map(drop))));
    }
    for text in [AUTHENTICATION, AUTHENTICATION_NAME, BOTH] {
        all.push((text, jwt_key(), Box::new(|key, text, now| authenticate(key, text, now).map(drop))));
    }
    for text in [SCOPES, BOTH] {
        all.push((text, jwt_key(), Box::new(|key, text, now| authorize(key, text, "1bfbr0u", now))));
    }
    all
}

#[test]
fn what_the_official_libraries_make_is_right_from_a_week_before_until_it_expires() {
    for (text, key, check) in vectors() {
        assert_eq!(key_id_of(key.key_type(), text).as_ref(), Ok(key.id()), "{text}");
        // Some of it expires a quarter of a second later.
        let times = [(EARLY + SECOND, Ok(())), (NOW, Ok(())), (LATE, Ok(()))];
        for (now, result) in times {
            assert_eq!(check(&key, text, now), result, "{text} at {now}");
        }
        assert_eq!(check(&key, text, EXPIRE * SECOND + SECOND / 4), Err(Refused::Expired), "{text}");
        assert_eq!(check(&key, text, u64::MAX), Err(Refused::Expired), "{text}");
        assert_eq!(check(&key, text, EARLY - 1), Err(DENIED), "{text}");
        assert_eq!(check(&key, text, 0), Err(DENIED), "{text}");
    }
}

#[test]
fn a_quarter_of_a_second_counts() {
    for (special, text) in SECURES {
        let at = |now| open(&key(), text, USER, now).map(drop);
        let ends = EXPIRE * SECOND + if *special == "float" { SECOND / 4 } else { 0 };
        assert_eq!(at(ends - 1), Ok(()));
        assert_eq!(at(ends), Err(Refused::Expired));
        assert_eq!(at(ends - WEEK), Ok(()));
        assert_eq!(at(ends - WEEK - 1), Err(DENIED));
    }
}

#[test]
fn whatever_is_changed_in_a_text_is_denied_and_even_when_late_never_called_expired() {
    for (text, key, check) in vectors() {
        let denied = |changed: &str| {
            for now in [NOW, u64::MAX] {
                assert_eq!(check(&key, changed, now), Err(DENIED), "{text} became {changed}");
            }
        };
        for (at, byte) in text.bytes().enumerate() {
            // In base64 the bits of neighbours and of what differs in one bit only, the delimiters, anything.
            let others =
                [byte ^ 1, byte ^ 2, byte ^ 4, byte ^ 32, byte.wrapping_add(1), b'A', b'0', b'.', b'-'];
            for new in others.into_iter().chain(*b"=\0 \n") {
                if new != byte && new.is_ascii() {
                    denied(&[&text[..at], &char::from(new).to_string(), &text[at + 1..]].concat());
                }
            }
            denied(&[&text[..at], &text[at + 1..]].concat());
            denied(&text[..at]);
        }
        for end in ["1", ".", "-", "-1", ".1", "=", "A", "AAAA", " ", "\0", "ä"] {
            denied(&[text, end].concat());
            denied(&[end, text].concat());
        }
    }
}

#[test]
fn another_key_another_id_and_another_type_are_denied() {
    for (text, key, check) in vectors() {
        assert_eq!(check(&other(&key), text, NOW), Err(DENIED));
        assert_eq!(check(&other(&key), text, u64::MAX), Err(DENIED));
        assert_eq!(check(&Key { id: "another".into(), ..key.clone() }, text, NOW), Err(DENIED));
        let key_type = if key.key_type == KeyType::Jwt { KeyType::Ninchat } else { KeyType::Jwt };
        assert_eq!(check(&Key { key_type, ..key.clone() }, text, NOW), Err(DENIED));
    }
}

#[test]
fn a_signature_grants_what_it_was_made_for_and_nothing_else() {
    for (wanted, text) in SIGNS {
        let grant = verify(&key(), text, wanted, NOW).unwrap();
        let nonce = text.split(if text.contains('.') { '.' } else { '-' }).nth(2).unwrap();
        assert_eq!((grant.key_id.as_str(), grant.nonce.as_str()), (KEY_ID, nonce));
        assert_eq!(grant.expires, EXPIRE * SECOND);
        for (unwanted, _) in SIGNS {
            if format!("{wanted:?}") != format!("{unwanted:?}") {
                assert_eq!(verify(&key(), text, unwanted, NOW), Err(DENIED), "{wanted:?} for {unwanted:?}");
            }
        }
        if let Wanted::Channel { channel_id, member_attrs, .. } = *wanted {
            let stranger = Wanted::Channel { channel_id, member_attrs, follows: false, user_id: "stranger" };
            let bound = text.ends_with(".1") || text.ends_with("-1");
            assert_eq!(verify(&key(), text, &stranger, NOW).is_ok(), !bound, "{text}");
        }
    }
}

/// Signs an array as it stands.
fn sign(message: &str, dotted: bool, nonce: &str, flag: &str) -> String {
    let digest =
        Hmac::<Sha512>::new_from_slice(&key().secret).unwrap().chain_update(message).finalize().into_bytes();
    if dotted {
        format!("{KEY_ID}.{EXPIRE}.{nonce}.{}.{flag}", URL_SAFE_NO_PAD.encode(digest))
    } else {
        format!("{KEY_ID}-{EXPIRE}-{nonce}-{}{flag}", STANDARD.encode(digest))
    }
}

#[test]
fn nonces_and_flags_that_a_serialisation_does_not_know_are_denied() {
    let wanted = Wanted::NewPuppet { puppet_attrs: None };
    let long = "n".repeat(129);
    for (nonce, dotted, dashed) in [
        ("n", true, true),
        ("a_9", true, true),
        ("a-b", true, false),
        ("a+b/c=", false, true),
        ("a.b", false, true),
        ("a\"b", false, true),
        ("", false, false),
        ("a b", false, false),
        ("ä", false, false),
        (&long[..128], true, true),
        (&long, false, false),
    ] {
        let escaped = nonce.replace('"', "\\\"");
        let message = format!(r#"[["action","create_session"],["expire",{EXPIRE}],["nonce","{escaped}"]]"#);
        for (form, allowed) in [(true, dotted), (false, dashed)] {
            let text = sign(&message, form, nonce, "");
            assert_eq!(verify(&key(), &text, &wanted, NOW).is_ok(), allowed, "{text}");
            // The mode flag has no meaning for this action.
            let text = sign(&message, form, nonce, if form { "1" } else { "-1" });
            assert_eq!(verify(&key(), &text, &wanted, NOW), Err(DENIED), "{text}");
        }
    }
}

#[test]
fn attributes_are_an_object_without_a_property_twice_and_none_are_as_good_as_absent() {
    let new = |puppet_attrs| Wanted::NewPuppet { puppet_attrs };
    let text = SIGNS[0].1;
    assert!(verify(&key(), text, &new(Some("{}")), NOW).is_ok());
    for attrs in ["null", "[]", "1", "", "{", r#"{"a":1,"a":1}"#] {
        assert_eq!(verify(&key(), text, &new(Some(attrs)), NOW), Err(DENIED), "{attrs}");
    }
    // The serialiser of whoever signed may have sorted what the client did not.
    let message = format!(
        r#"[["action","create_session"],["expire",{EXPIRE}],["nonce","n"],["puppet_attrs",[["a",{{"x":1,"y":[2]}}]]]]"#
    );
    let text = sign(&message, true, "n", "");
    assert!(verify(&key(), &text, &new(Some(r#"{"a": {"y": [2], "x": 1}}"#)), NOW).is_ok());
    assert_eq!(verify(&key(), &text, &new(Some(r#"{"a": {"y": [3], "x": 1}}"#)), NOW), Err(DENIED));
}

#[test]
fn secure_metadata_is_what_was_encrypted_and_for_whom() {
    for (special, text) in SECURES {
        assert_eq!(KeyType::of_secure(text), KeyType::Ninchat);
        let secure = open(&key(), text, USER, NOW).unwrap();
        assert_eq!(secure.metadata, if *special == "empty" { Object::new() } else { metadata() });
        assert_eq!(secure.user_name, None);
        let stranger = open(&key(), text, "stranger", NOW).map(drop);
        assert_eq!(stranger, if *special == "user" { Err(DENIED) } else { Ok(()) });
    }
    for (text, name) in [(JWE, None), (JWE_NAME, Some("Bob"))] {
        assert_eq!(KeyType::of_secure(text), KeyType::Jwt);
        let secure = open(&jwt_key(), text, USER, NOW).unwrap();
        assert_eq!((secure.metadata, secure.user_name.as_deref()), (metadata(), name));
    }
}

/// Encrypts in the original encoding, with blocks of zeros more than it needs.
fn encrypt(json: &[u8], more: usize) -> String {
    let mut plain = [Sha512::digest(json).as_slice(), json].concat();
    plain.resize((plain.len().div_ceil(16) + more) * 16, 0);
    let iv = [7; 16];
    let aes = cbc::Encryptor::<aes::Aes256>::new_from_slices(&key().secret, &iv).unwrap();
    let cipher = aes.encrypt_padded_vec::<NoPadding>(&plain);
    format!("{KEY_ID}.{}", URL_SAFE_NO_PAD.encode([iv.as_slice(), &cipher].concat()))
}

#[test]
fn authentic_metadata_must_still_be_well_formed() {
    let at = |json: &str, more| open(&key(), &encrypt(json.as_bytes(), more), USER, NOW).map(drop);
    assert_eq!(at(&format!(r#"{{"expire":{EXPIRE},"metadata":{{}}}}"#), 0), Ok(()));
    assert_eq!(at(&format!(r#"{{"expire":{EXPIRE},"metadata":{{}}}}"#), 2), Ok(()));
    assert_eq!(at(r#"{"expire":-1,"metadata":{}}"#, 0), Err(Refused::Expired));
    for json in [
        "",
        "{}",
        "[]",
        r#"{"metadata":{}}"#,
        r#"{"expire":EXPIRE}"#,
        r#"{"expire":"EXPIRE","metadata":{}}"#,
        r#"{"expire":1e400,"metadata":{}}"#,
        r#"{"expire":1e300,"metadata":{}}"#,
        r#"{"expire":9007199254740993,"metadata":{}}"#,
        r#"{"expire":EXPIRE,"metadata":[1]}"#,
        r#"{"expire":EXPIRE,"metadata":"text"}"#,
        r#"{"expire":EXPIRE,"metadata":{},"user_id":null}"#,
        r#"{"expire":EXPIRE,"metadata":{},"user_id":"stranger"}"#,
        r#"{"expire":EXPIRE,"expire":EXPIRE,"metadata":{}}"#,
        r#"{"expire":EXPIRE,"metadata":{"a":{"b":1,"b":2}}}"#,
        r#"{"expire":EXPIRE,"metadata":{}} x"#,
        r#"{"expire":EXPIRE,"metadata":{"a":"\ud800"}}"#,
    ] {
        assert_eq!(at(&json.replace("EXPIRE", &EXPIRE.to_string()), 0), Err(DENIED), "{json}");
    }
    let invalid = [br#"{"expire":1800003600,"metadata":{"a":""#.as_slice(), b"\xff\"}}"].concat();
    assert_eq!(open(&key(), &encrypt(&invalid, 0), USER, NOW), Err(DENIED));
    let deep = format!(r#"{{"expire":{EXPIRE},"metadata":{{"a":{}"#, "[".repeat(100_000));
    assert_eq!(at(&deep, 0), Err(DENIED));
}

#[test]
fn a_secret_has_the_length_that_its_type_needs_and_is_never_shown() {
    let parse = |key_type, length| Key::parse("id", key_type, &STANDARD.encode(vec![1; length]));
    for (key_type, length, good) in [
        (KeyType::Ninchat, 32, true),
        (KeyType::Ninchat, 31, false),
        (KeyType::Ninchat, 33, false),
        (KeyType::Ninchat, 0, false),
        (KeyType::Jwt, 31, false),
        (KeyType::Jwt, 32, true),
        (KeyType::Jwt, 64, true),
        (KeyType::Jwt, 1024, true),
        (KeyType::Jwt, 1025, false),
    ] {
        let error = parse(key_type, length).err();
        assert_eq!(error, (!good).then_some(BadSecret::Length), "{key_type:?} {length}");
    }
    for secret in ["!", "AAA", &SECRET[1..], &SECRET.replace('=', ""), &SECRET.replace('+', "-")] {
        assert_eq!(Key::parse("id", KeyType::Jwt, secret), Err(BadSecret::Base64), "{secret}");
    }
    // A longer secret signs, and opens nothing.
    let long = Key { secret: vec![1; 64], ..jwt_key() };
    assert_eq!(open(&long, JWE, USER, NOW), Err(DENIED));
    assert_eq!(format!("{:?}", key()), r#"Key { id: "9k2mleve", key_type: Ninchat, .. }"#);
    for key_type in [KeyType::Ninchat, KeyType::Jwt] {
        assert_eq!(KeyType::named(key_type.name()), Some(key_type));
    }
    assert_eq!(KeyType::named("JWT"), None);
}

#[test]
fn texts_that_name_no_key_are_denied() {
    for text in ["", ".", "-", "..", "....", "a", "e30..", "e30.e30.e30", "ä", "W10.a.b"] {
        assert_eq!(key_id_of(KeyType::Jwt, text), Err(DENIED), "{text}");
    }
    for text in ["", ".", "-", "a", "ä"] {
        assert_eq!(key_id_of(KeyType::Ninchat, text), Err(DENIED), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_is_taken_and_none_panics(text in "([a-zA-Z0-9_=+/-]{0,9}[.-]?){0,8}|\\PC{0,40}") {
        for key in [key(), jwt_key()] {
            let _ = key_id_of(key.key_type(), &text);
            prop_assert_eq!(open(&key, &text, USER, NOW), Err(DENIED));
            prop_assert_eq!(authenticate(&key, &text, NOW), Err(DENIED));
            prop_assert_eq!(authorize(&key, &text, "c", NOW), Err(DENIED));
            prop_assert_eq!(verify(&key, &text, &Wanted::Puppet { user_id: &text }, NOW), Err(DENIED));
        }
    }
}
