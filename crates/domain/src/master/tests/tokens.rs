use super::*;
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead as _, Payload};
use serde_json::{Value, json};
use sha2::Sha256;

#[test]
fn a_token_authenticates_its_subject_and_authorizes_for_its_scopes_only() {
    for (token, name) in [(AUTHENTICATION, None), (AUTHENTICATION_NAME, Some("Päivi")), (BOTH, None)] {
        let subject = authenticate(&jwt_key(), token, NOW).unwrap();
        assert_eq!((subject.sub.as_str(), subject.preferred_username.as_deref()), ("crm/17", name));
        assert_eq!(subject.expires, EXPIRE * SECOND);
    }
    for (token, channel, result) in [
        (SCOPES, "1bfbr0u", Ok(())),
        (SCOPES, "1bfbr0v", Ok(())),
        (BOTH, "1bfbr0u", Ok(())),
        (BOTH, "1bfbr0v", Err(DENIED)),
        (SCOPES, "1bfbr0", Err(DENIED)),
        (SCOPES, "", Err(DENIED)),
        (AUTHENTICATION, "1bfbr0u", Err(DENIED)),
    ] {
        assert_eq!(authorize(&jwt_key(), token, channel, NOW), result, "{channel}");
    }
    assert_eq!(authenticate(&jwt_key(), SCOPES, NOW), Err(DENIED));
}

/// A token with a header and claims as they stand, signed with HS256 or encrypted with A256GCM.
fn token(header: &str, claims: &str, encrypted: bool) -> String {
    let first = URL_SAFE_NO_PAD.encode(header);
    let secret = jwt_key().secret;
    if encrypted {
        let payload = Payload { msg: claims.as_bytes(), aad: first.as_bytes() };
        let sealed = Aes256Gcm::new_from_slice(&secret).unwrap().encrypt(&[7; 12].into(), payload).unwrap();
        let (cipher, tag) = sealed.split_at(sealed.len() - 16);
        [first, String::new(), URL_SAFE_NO_PAD.encode([7; 12]), URL_SAFE_NO_PAD.encode(cipher)].join(".")
            + "."
            + &URL_SAFE_NO_PAD.encode(tag)
    } else {
        let signed = format!("{first}.{}", URL_SAFE_NO_PAD.encode(claims));
        let mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap().chain_update(&signed);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
}

/// What becomes of a token whose header and claims are changed by a merge.
fn merged(encrypted: bool, header: Value, claims: Value) -> Result<(), Refused> {
    let all = json!({"exp": EXPIRE, "sub": "s", "scopes": ["channel:c"], "ninchat.com/metadata": {}});
    let head = if encrypted {
        json!({"alg": "dir", "enc": "A256GCM", "kid": JWT_KEY_ID})
    } else {
        json!({"alg": "HS256", "kid": JWT_KEY_ID})
    };
    let merge = |mut to: Value, from: Value| {
        for (name, value) in from.as_object().unwrap() {
            // `"absent"` takes it away.
            if value == "absent" {
                to.as_object_mut().unwrap().remove(name);
            } else {
                to[name] = value.clone();
            }
        }
        to.to_string()
    };
    taken(&token(&merge(head, header), &merge(all, claims), encrypted), encrypted)
}

/// Takes a token for all that it may be for.
fn taken(token: &str, encrypted: bool) -> Result<(), Refused> {
    let key = jwt_key();
    if encrypted {
        return open(&key, token, USER, NOW).map(drop);
    }
    authorize(&key, token, "c", NOW).and(authenticate(&key, token, NOW).map(drop))
}

#[test]
fn headers_that_ask_for_anything_else_are_denied() {
    for encrypted in [false, true] {
        assert_eq!(merged(encrypted, json!({}), json!({})), Ok(()));
        assert_eq!(
            merged(encrypted, json!({"typ": "JWT", "jku": "https://example.invalid"}), json!({})),
            Ok(())
        );
        for alg in ["none", "None", "", "HS384", "HS512", "RS256", "hs256", "A256KW", "A256GCMKW"] {
            assert_eq!(merged(encrypted, json!({"alg": alg}), json!({})), Err(DENIED), "{alg}");
        }
        for header in [
            json!({"alg": "absent"}),
            json!({"alg": ["HS256"]}),
            json!({"alg": null}),
            json!({"kid": "absent"}),
            json!({"kid": ""}),
            json!({"kid": "another"}),
            json!({"kid": 1}),
            json!({"zip": "DEF"}),
            json!({"zip": null}),
            json!({"crit": []}),
            json!({"crit": ["exp"]}),
            json!({"crit": null}),
        ] {
            assert_eq!(merged(encrypted, header.clone(), json!({})), Err(DENIED), "{header}");
        }
    }
    for enc in [json!("A128GCM"), json!("A256CBC-HS512"), json!("absent"), json!(null)] {
        assert_eq!(merged(true, json!({"enc": enc}), json!({})), Err(DENIED), "{enc}");
    }
    // A signed token is no metadata, and an encrypted one no signature.
    assert_eq!(taken(BOTH, true), Err(DENIED));
    assert_eq!(taken(JWE, false), Err(DENIED));
    let unsigned = BOTH.rsplit_once('.').unwrap().0;
    let none = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"none","kid":"{JWT_KEY_ID}"}}"#));
    let rest = unsigned.split_once('.').unwrap().1;
    assert_eq!(taken(&format!("{none}.{rest}."), false), Err(DENIED));
}

#[test]
fn claims_that_are_missing_or_of_another_type_are_denied() {
    let week = EXPIRE - 3600 + 7 * 24 * 3600;
    for encrypted in [false, true] {
        for (claims, result) in [
            (json!({"exp": "absent"}), Err(DENIED)),
            (json!({"exp": null}), Err(DENIED)),
            (json!({"exp": EXPIRE.to_string()}), Err(DENIED)),
            (json!({"exp": 1e300}), Err(DENIED)),
            (json!({"exp": week}), Ok(())),
            (json!({"exp": week as f64 + 0.5}), Err(DENIED)),
            (json!({"exp": week + 1}), Err(DENIED)),
            (json!({"exp": EXPIRE - 3600}), Err(Refused::Expired)),
            (json!({"exp": EXPIRE as f64 - 3599.5}), Ok(())),
            (json!({"exp": -1}), Err(Refused::Expired)),
            (json!({"nbf": EXPIRE - 3600 + 60}), Ok(())),
            (json!({"nbf": EXPIRE - 3600 + 61}), Err(DENIED)),
            (json!({"nbf": "soon"}), Err(DENIED)),
            (json!({"preferred_username": null}), Ok(())),
            (json!({"preferred_username": 1}), Err(DENIED)),
            (json!({"preferred_username": "n".repeat(513)}), Err(DENIED)),
        ] {
            assert_eq!(merged(encrypted, json!({}), claims.clone()), result, "{claims}");
        }
    }
    for claims in [
        json!({"sub": "absent"}),
        json!({"sub": ""}),
        json!({"sub": null}),
        json!({"sub": 17}),
        json!({"scopes": "absent"}),
        json!({"scopes": "channel:c"}),
        json!({"scopes": ["channel:c", 1]}),
        json!({"scopes": ["channel: c", "Channel:c", "c", "channel:cc"]}),
    ] {
        assert_eq!(merged(false, json!({}), claims.clone()), Err(DENIED), "{claims}");
    }
    for metadata in [json!("absent"), json!(null), json!([]), json!("text")] {
        assert_eq!(merged(true, json!({}), json!({"ninchat.com/metadata": metadata})), Err(DENIED));
    }
}

#[test]
fn a_property_twice_is_denied_in_headers_and_in_claims() {
    let header = format!(r#"{{"alg":"HS256","kid":"{JWT_KEY_ID}"}}"#);
    let claims = format!(r#"{{"exp":{EXPIRE},"sub":"s","scopes":["channel:c"]}}"#);
    assert_eq!(taken(&token(&header, &claims, false), false), Ok(()));
    let twice = header.replacen('{', r#"{"alg":"none","#, 1);
    assert_eq!(taken(&token(&twice, &claims, false), false), Err(DENIED));
    let twice = header.replacen('{', r#"{"kid":"another","#, 1);
    assert_eq!(taken(&token(&twice, &claims, false), false), Err(DENIED));
    let twice = claims.replacen('{', r#"{"exp":1,"#, 1);
    assert_eq!(taken(&token(&header, &twice, false), false), Err(DENIED));
    let twice = claims.replacen('{', r#"{"other":{"a":1,"a":2},"#, 1);
    assert_eq!(taken(&token(&header, &twice, false), false), Err(DENIED));
}
